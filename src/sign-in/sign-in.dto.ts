import { ApiProperty, getSchemaPath } from '@nestjs/swagger';
import { IsBoolean, IsIn, IsString, IsUUID, MaxLength, MinLength, ValidateIf } from 'class-validator';
import {
  EXAMPLE_ACCESS_TOKEN,
  TOKEN_TYPE_DESCRIPTION,
  TOKEN_TYPES,
  TokenPairDto,
  type TokenType,
} from '../tokens/tokens.dto.js';
import { DeviceSummaryDto } from '../two-factor/two-factor.dto.js';
import { UserDto } from '../users/users.dto.js';

const EXAMPLE_CODE_TOKEN = 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImNvZGUrand0In0.eyJzdWIiOiIwMTlhIn0.c2lnbmF0dXJl';
const EXAMPLE_DEVICE = '019aa8d2-8f02-7a51-b1c4-0d6a1e5b7c22';

/** The first factor: a password, or a code that POST /auth/otp sent. */
export class SignInDto {
  @ApiProperty({
    minLength: 1,
    maxLength: 254,
    example: 'ada@example.com',
    description: 'An e-mail address, a phone number in E.164 form, or a username, told apart by shape.',
  })
  @IsString()
  @MinLength(1)
  @MaxLength(254)
  identifier!: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 1024,
    example: 'three uncommon words',
    description: 'The password; required unless a code is sent instead.',
  })
  @ValidateIf((body: SignInDto) => body.password !== undefined || body.code === undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(1024)
  password?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 64,
    example: '0492039',
    description: 'The one-time code, instead of the password.',
  })
  @ValidateIf((body: SignInDto) => body.code !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(64)
  code?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 200,
    example: 'q2hVb0xTbk5ZV1pKZ0RkT2x1Y2tXbG5vY2tPdXQ',
    description: 'With a password: from an earlier sign-in with `trustBrowser`. The answer has its successor.',
  })
  @ValidateIf((body: SignInDto) => body.trustedBrowserToken !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(200)
  trustedBrowserToken?: string;
}

/** The second factor. */
export class SecondFactorDto {
  @ApiProperty({
    minLength: 1,
    maxLength: 8192,
    example: EXAMPLE_CODE_TOKEN,
    description: 'From the first factor’s answer.',
  })
  @IsString()
  @MinLength(1)
  @MaxLength(8192)
  codeToken!: string;

  @ApiProperty({
    minLength: 1,
    maxLength: 64,
    example: '492039',
    description: 'What the user types; spaces and dashes do not matter.',
  })
  @IsString()
  @MinLength(1)
  @MaxLength(64)
  code!: string;

  @ApiProperty({
    required: false,
    format: 'uuid',
    example: EXAMPLE_DEVICE,
    description:
      'Another of the listed devices than the one being asked. One that receives codes must be asked first (POST /auth/otp).',
  })
  @ValidateIf((body: SecondFactorDto) => body.deviceId !== undefined)
  @IsUUID()
  deviceId?: string;

  @ApiProperty({
    required: false,
    example: false,
    description: 'Whether this browser needs no second factor for a while (TRUSTED_BROWSER_TTL).',
  })
  @ValidateIf((body: SecondFactorDto) => body.trustBrowser !== undefined)
  @IsBoolean()
  trustBrowser?: boolean;
}

/** Asks for a code: again within a sign-in (`codeToken`), or instead of a password (`identifier`). */
export class AskForCodeDto {
  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 8192,
    example: EXAMPLE_CODE_TOKEN,
    description: 'From the first factor’s answer.',
  })
  @ValidateIf((body: AskForCodeDto) => body.codeToken !== undefined || body.identifier === undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(8192)
  codeToken?: string;

  @ApiProperty({
    required: false,
    format: 'uuid',
    example: EXAMPLE_DEVICE,
    description: 'With a code token: the device to ask; absent: the same again.',
  })
  @ValidateIf((body: AskForCodeDto) => body.deviceId !== undefined)
  @IsUUID()
  deviceId?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 254,
    example: 'ada@example.com',
    description: 'Instead of a code token: whom to send a code that stands for the password.',
  })
  @ValidateIf((body: AskForCodeDto) => body.identifier !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(254)
  identifier?: string;

  @ApiProperty({
    required: false,
    enum: ['email', 'sms'],
    example: 'email',
    description: 'With an identifier: how to send it; absent: as the identifier suggests.',
  })
  @ValidateIf((body: AskForCodeDto) => body.channel !== undefined)
  @IsIn(['email', 'sms'])
  channel?: 'email' | 'sms';
}

/** Whom to send a link. */
export class AskForLinkDto {
  @ApiProperty({ minLength: 1, maxLength: 254, example: 'ada@example.com', description: 'Whose account it is.' })
  @IsString()
  @MinLength(1)
  @MaxLength(254)
  identifier!: string;

  @ApiProperty({
    required: false,
    maxLength: 2048,
    example: 'https://app.example.com/signed-in',
    description: 'Where the link leads, with `?token=`: exactly one of REDIRECT_ALLOWLIST.',
  })
  @ValidateIf((body: AskForLinkDto) => body.redirectTo !== undefined)
  @IsString()
  @MaxLength(2048)
  redirectTo?: string;
}

/** Whom to let choose a new password. */
export class AskForResetDto {
  @ApiProperty({ minLength: 1, maxLength: 254, example: 'ada@example.com', description: 'Whose account it is.' })
  @IsString()
  @MinLength(1)
  @MaxLength(254)
  identifier!: string;
}

/** The token of a link. */
export class RedeemLinkDto {
  @ApiProperty({
    minLength: 1,
    maxLength: 200,
    example: 'c29tZXRoaW5nIHRoYXQgbm9ib2R5IGNvdWxkIGd1ZXNz',
    description: 'What stood in the link as `token`.',
  })
  @IsString()
  @MinLength(1)
  @MaxLength(200)
  token!: string;
}

/** A new password for whoever holds the link, or the code. */
export class ConfirmResetDto {
  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 200,
    example: 'c29tZXRoaW5nIHRoYXQgbm9ib2R5IGNvdWxkIGd1ZXNz',
    description: 'From the link, which came by mail. Required unless a code came by text message.',
  })
  @ValidateIf((body: ConfirmResetDto) => body.token !== undefined || body.code === undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(200)
  token?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 254,
    example: '+4915112345678',
    description: 'With a code: the identifier it was asked for with.',
  })
  @ValidateIf((body: ConfirmResetDto) => body.identifier !== undefined || body.code !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(254)
  identifier?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 64,
    example: '492039',
    description: 'From the text message.',
  })
  @ValidateIf((body: ConfirmResetDto) => body.code !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(64)
  code?: string;

  @ApiProperty({ maxLength: 1024, example: 'four other uncommon words', description: 'The new password.' })
  @IsString()
  @MaxLength(1024)
  newPassword!: string;
}

/** What is answered whether or not anybody has the identifier. */
export class SentDto {
  @ApiProperty({ type: 'integer', example: 60, description: 'Seconds until another message may be asked for.' })
  resendIn!: number;
}

export class AskedDto {
  @ApiProperty({
    type: 'integer',
    example: 60,
    description: 'Seconds until another code may be asked for; 0 where none is sent.',
  })
  resendIn!: number;

  @ApiProperty({
    required: false,
    type: DeviceSummaryDto,
    description: 'The device that is being asked now; absent where an identifier was given, known or not.',
  })
  device?: DeviceSummaryDto;
}

/** Signed in: the tokens of a new session. */
export class AuthenticatedDto extends TokenPairDto {
  @ApiProperty({ enum: ['authenticated'], description: 'Which of the three answers this is.' })
  status!: 'authenticated';

  @ApiProperty({ type: UserDto, description: 'Who signed in.' })
  user!: UserDto;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: null,
    description:
      'When a second factor that the policy accepts must have been enrolled, where what the user has will not do for ever. Tell him.',
  })
  deadline!: string | null;

  @ApiProperty({
    required: false,
    type: [String],
    example: ['7K3PXQ-M2ZVA9-4TDN8R-WBC6HJ'],
    description: 'After the first device was confirmed: codes for the day it is lost. Never shown again.',
  })
  recoveryCodes?: string[];

  @ApiProperty({
    required: false,
    example: 'q2hVb0xTbk5ZV1pKZ0RkT2x1Y2tXbG5vY2tPdXQ',
    description: 'For the next sign-in from this browser; each is good for one.',
  })
  trustedBrowserToken?: string;
}

/** The first factor was right; a device is being asked for the second. */
export class SecondFactorRequiredDto {
  @ApiProperty({ enum: ['second_factor_required'], description: 'Which of the three answers this is.' })
  status!: 'second_factor_required';

  @ApiProperty({
    example: EXAMPLE_CODE_TOKEN,
    description: 'Goes with the code to POST /auth/token/second-factor. No bearer token.',
  })
  codeToken!: string;

  @ApiProperty({ type: 'integer', example: 300, description: 'Life of the code token and of the code, in seconds.' })
  expiresIn!: number;

  @ApiProperty({ type: DeviceSummaryDto, description: 'The device that is being asked now.' })
  device!: DeviceSummaryDto;

  @ApiProperty({ type: [DeviceSummaryDto], description: 'Every device that may be asked instead.' })
  devices!: DeviceSummaryDto[];

  @ApiProperty({ description: 'Whether a code was sent just now.' })
  codeSent!: boolean;

  @ApiProperty({
    type: 'integer',
    example: 60,
    description: 'Seconds until another code may be asked for; 0 where none is sent.',
  })
  resendIn!: number;
}

/** The policy wants a device that does not exist yet. */
export class EnrollmentRequiredDto {
  @ApiProperty({ enum: ['enrollment_required'], description: 'Which of the three answers this is.' })
  status!: 'enrollment_required';

  @ApiProperty({
    example: 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImVucm9sbG1lbnQrand0In0.eyJzdWIiOiIwMTlhIn0.c2lnbmF0dXJl',
    description: 'Bearer token that opens POST /otp-devices and its confirmation, and nothing else.',
  })
  enrollmentToken!: string;

  @ApiProperty({ type: 'integer', example: 900, description: 'Life of the enrollment token, in seconds.' })
  expiresIn!: number;

  @ApiProperty({
    type: [String],
    enum: ['email', 'sms', 'totp'],
    example: ['totp'],
    description: 'Of which a device may be created.',
  })
  methods!: string[];

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'Until when the requirement is tolerated.',
  })
  deadline!: string | null;
}

export type SignInResult = AuthenticatedDto | SecondFactorRequiredDto | EnrollmentRequiredDto;

/** The name of the union in the OpenAPI document. */
export const SIGN_IN_RESULT = 'SignInResult';

/** The one answer of every way in. An inline `oneOf` would give generated clients no name for it. */
export const signInResultSchema = {
  oneOf: [AuthenticatedDto, SecondFactorRequiredDto, EnrollmentRequiredDto].map((dto) => ({
    $ref: getSchemaPath(dto),
  })),
  discriminator: {
    propertyName: 'status',
    mapping: {
      authenticated: getSchemaPath(AuthenticatedDto),
      second_factor_required: getSchemaPath(SecondFactorRequiredDto),
      enrollment_required: getSchemaPath(EnrollmentRequiredDto),
    },
  },
};

export class StepUpDto {
  @ApiProperty({
    required: false,
    format: 'uuid',
    example: EXAMPLE_DEVICE,
    description: 'The device to ask or to answer with; absent: the one that a sign-in asks first.',
  })
  @ValidateIf((body: StepUpDto) => body.deviceId !== undefined)
  @IsUUID()
  deviceId?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 64,
    example: '492039',
    description: 'The device’s code. Absent: a code is sent, or shown by the app.',
  })
  @ValidateIf((body: StepUpDto) => body.code !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(64)
  code?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 1024,
    example: 'three uncommon words',
    description: 'Instead of a code, only where the user has no device.',
  })
  @ValidateIf((body: StepUpDto) => body.password !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(1024)
  password?: string;
}

/** An access token whose `auth_time` is now. */
export class SteppedUpDto {
  @ApiProperty({ enum: TOKEN_TYPES, description: TOKEN_TYPE_DESCRIPTION })
  tokenType!: TokenType;

  @ApiProperty({
    required: false,
    example: EXAMPLE_ACCESS_TOKEN,
    description: 'Replaces the present access token; the refresh token stays. Absent where it was set as a cookie.',
  })
  accessToken?: string;

  @ApiProperty({ type: 'integer', example: 300, description: 'Its life, in seconds.' })
  expiresIn!: number;
}

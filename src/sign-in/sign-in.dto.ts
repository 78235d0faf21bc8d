import { ApiProperty, getSchemaPath } from '@nestjs/swagger';
import { IsString, MaxLength, MinLength, ValidateIf } from 'class-validator';
import { TokenPairDto } from '../tokens/tokens.dto.js';
import { RULE_METHODS } from '../two-factor/policy.js';
import { DeviceSummaryDto } from '../two-factor/two-factor.dto.js';
import { UserDto } from '../users/users.dto.js';
import { EXAMPLE_CODE_TOKEN } from './codes.dto.js';

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
    enum: RULE_METHODS,
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

import { ApiProperty, getSchemaPath } from '@nestjs/swagger';
import { IsString, IsUUID, MaxLength, MinLength, ValidateIf } from 'class-validator';
import { EXAMPLE_ACCESS_TOKEN, TokenPairDto } from '../tokens/tokens.dto.js';
import { DeviceSummaryDto } from '../two-factor/two-factor.dto.js';
import { UserDto } from '../users/users.dto.js';

const EXAMPLE_CODE_TOKEN = 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImNvZGUrand0In0.eyJzdWIiOiIwMTlhIn0.c2lnbmF0dXJl';
const EXAMPLE_DEVICE = '019aa8d2-8f02-7a51-b1c4-0d6a1e5b7c22';

/** The first factor. */
export class SignInDto {
  @ApiProperty({
    minLength: 1,
    maxLength: 254,
    example: 'ada@example.com',
    description: 'An e-mail address or a username, told apart by shape.',
  })
  @IsString()
  @MinLength(1)
  @MaxLength(254)
  identifier!: string;

  @ApiProperty({ minLength: 1, maxLength: 1024, example: 'three uncommon words', description: 'The password.' })
  @IsString()
  @MinLength(1)
  @MaxLength(1024)
  password!: string;
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
}

/** Asks again, or asks another device. */
export class AskAgainDto {
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
    required: false,
    format: 'uuid',
    example: EXAMPLE_DEVICE,
    description: 'The device to ask; absent: the same again.',
  })
  @ValidateIf((body: AskAgainDto) => body.deviceId !== undefined)
  @IsUUID()
  deviceId?: string;
}

export class AskedDto {
  @ApiProperty({
    type: 'integer',
    example: 60,
    description: 'Seconds until another code may be asked for; 0 where none is sent.',
  })
  resendIn!: number;

  @ApiProperty({ type: DeviceSummaryDto, description: 'The device that is being asked now.' })
  device!: DeviceSummaryDto;
}

/** Signed in: the tokens of a new session. */
export class AuthenticatedDto extends TokenPairDto {
  @ApiProperty({ enum: ['authenticated'], description: 'Which of the three answers this is.' })
  status!: 'authenticated';

  @ApiProperty({ type: UserDto, description: 'Who signed in.' })
  user!: UserDto;
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
    enum: ['email', 'totp'],
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
  @ApiProperty({ enum: ['Bearer'], description: 'How to send it.' })
  tokenType!: 'Bearer';

  @ApiProperty({
    example: EXAMPLE_ACCESS_TOKEN,
    description: 'Replaces the present access token. The refresh token stays.',
  })
  accessToken!: string;

  @ApiProperty({ type: 'integer', example: 300, description: 'Its life, in seconds.' })
  expiresIn!: number;
}

import { ApiProperty } from '@nestjs/swagger';
import { IsObject, IsString, MaxLength, MinLength, ValidateIf } from 'class-validator';
import { DeviceSummaryDto } from '../two-factor/two-factor.dto.js';
import { NAME_MAX_LENGTH, PASSWORD_WIRE_LENGTH } from '../users/users.dto.js';

const EXAMPLE_CODE_TOKEN = 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImNvZGUrand0In0.eyJzdWIiOiIwMTlhIn0.c2lnbmF0dXJl';

/** A new account. At least one of the fields that identify (IDENTITY_FIELDS) is needed. */
export class RegisterDto {
  @ApiProperty({
    required: false,
    format: 'idn-email',
    maxLength: 254,
    example: 'ada@example.com',
    description: 'E-mail address; unique where it identifies.',
  })
  @ValidateIf((body: RegisterDto) => body.email !== undefined)
  @IsString()
  @MaxLength(254)
  email?: string;

  @ApiProperty({
    required: false,
    maxLength: 64,
    example: 'ada',
    description: 'Letters of one alphabet, digits, `.`, `_` and `-`; unique, also among names that look like it.',
  })
  @ValidateIf((body: RegisterDto) => body.username !== undefined)
  @IsString()
  @MaxLength(64)
  username?: string;

  @ApiProperty({
    required: false,
    maxLength: 64,
    example: '+4915112345678',
    description: 'Phone number with its country code (E.164); unique where it identifies.',
  })
  @ValidateIf((body: RegisterDto) => body.phoneNumber !== undefined)
  @IsString()
  @MaxLength(64)
  phoneNumber?: string;

  @ApiProperty({
    required: false,
    maxLength: PASSWORD_WIRE_LENGTH,
    example: 'three uncommon words',
    description:
      'At least 8 characters by default, at most 128; not a common one. Without it the way in is a one-time code.',
  })
  @ValidateIf((body: RegisterDto) => body.password !== undefined)
  @IsString()
  @MaxLength(PASSWORD_WIRE_LENGTH)
  password?: string;

  @ApiProperty({ required: false, maxLength: NAME_MAX_LENGTH, example: 'Ada', description: 'First name.' })
  @ValidateIf((body: RegisterDto) => body.firstName !== undefined)
  @IsString()
  @MaxLength(NAME_MAX_LENGTH)
  firstName?: string;

  @ApiProperty({ required: false, maxLength: NAME_MAX_LENGTH, example: 'Lovelace', description: 'Last name.' })
  @ValidateIf((body: RegisterDto) => body.lastName !== undefined)
  @IsString()
  @MaxLength(NAME_MAX_LENGTH)
  lastName?: string;

  @ApiProperty({
    selfRequired: false,
    type: 'object',
    additionalProperties: { type: 'string', maxLength: 256 },
    example: { company: 'Analytical Engines' },
    description: 'Fields of the operator’s (PROFILE_FIELDS).',
  })
  @ValidateIf((body: RegisterDto) => body.profile !== undefined)
  @IsObject()
  profile?: Record<string, string>;

  @ApiProperty({
    required: false,
    maxLength: 2048,
    example: '',
    description:
      'Leave it empty, and hide the field from people: programs that fill in everything give themselves away by it.',
  })
  @ValidateIf((body: RegisterDto) => body.website !== undefined)
  @IsString()
  @MaxLength(2048)
  website?: string;
}

/** A registration whose address has still to be proved. The same for an address that has an account. */
export class RegistrationStartedDto {
  @ApiProperty({
    example: EXAMPLE_CODE_TOKEN,
    description:
      'Goes with the code to POST /users/confirm; POST /auth/otp sends another code for it. No bearer token.',
  })
  codeToken!: string;

  @ApiProperty({ type: 'integer', example: 300, description: 'Life of the code token and of the code, in seconds.' })
  expiresIn!: number;

  @ApiProperty({ description: 'Whether a code was sent just now; not where the address had a message a moment ago.' })
  codeSent!: boolean;

  @ApiProperty({ type: 'integer', example: 60, description: 'Seconds until another code may be asked for.' })
  resendIn!: number;

  @ApiProperty({ type: DeviceSummaryDto, description: 'Where the code went.' })
  device!: DeviceSummaryDto;
}

/** The code that was sent to the address of a registration. */
export class ConfirmRegistrationDto {
  @ApiProperty({
    minLength: 1,
    maxLength: 8192,
    example: EXAMPLE_CODE_TOKEN,
    description: 'From the registration’s answer.',
  })
  @IsString()
  @MinLength(1)
  @MaxLength(8192)
  codeToken!: string;

  @ApiProperty({ minLength: 1, maxLength: 64, example: '492039', description: 'What the user types.' })
  @IsString()
  @MinLength(1)
  @MaxLength(64)
  code!: string;
}

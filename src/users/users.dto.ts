import { ApiProperty } from '@nestjs/swagger';
import { IsString, Matches, MaxLength, MinLength, ValidateIf } from 'class-validator';
import type { User } from './user.entity.js';

const NAME_MAX_LENGTH = 100;
/** More than any password that is accepted, so that the rules can say "at most 128" instead of a bare refusal. */
const PASSWORD_WIRE_LENGTH = 1024;

/** A new account. At least one of `email`, `phoneNumber` and `username` identifies it. */
export class RegisterDto {
  @ApiProperty({
    required: false,
    format: 'idn-email',
    maxLength: 254,
    example: 'ada@example.com',
    description: 'E-mail address; unique. Required unless a phone number or a username is given.',
  })
  @ValidateIf(
    (body: RegisterDto) => body.email !== undefined || (body.username === undefined && body.phoneNumber === undefined),
  )
  @IsString()
  @MaxLength(254)
  email?: string;

  @ApiProperty({
    required: false,
    maxLength: 64,
    example: 'ada',
    description: 'Letters, digits, `.`, `_` and `-`; unique.',
  })
  @ValidateIf((body: RegisterDto) => body.username !== undefined)
  @IsString()
  @MaxLength(64)
  username?: string;

  @ApiProperty({
    required: false,
    maxLength: 64,
    example: '+4915112345678',
    description: 'Phone number with its country code (E.164); unique.',
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
}

/** What a user may change about himself without proving anything. */
export class UpdateProfileDto {
  @ApiProperty({ required: false, maxLength: NAME_MAX_LENGTH, example: 'Ada', description: 'First name.' })
  @ValidateIf((body: UpdateProfileDto) => body.firstName !== undefined)
  @IsString()
  @MaxLength(NAME_MAX_LENGTH)
  firstName?: string;

  @ApiProperty({ required: false, maxLength: NAME_MAX_LENGTH, example: 'King', description: 'Last name.' })
  @ValidateIf((body: UpdateProfileDto) => body.lastName !== undefined)
  @IsString()
  @MaxLength(NAME_MAX_LENGTH)
  lastName?: string;

  @ApiProperty({
    required: false,
    type: String,
    nullable: true,
    maxLength: 35,
    example: 'de-AT',
    description: 'The language of messages (BCP 47); null: that of the service.',
  })
  @ValidateIf((body: UpdateProfileDto) => body.locale !== undefined && body.locale !== null)
  @IsString()
  @MaxLength(35)
  @Matches(/^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/, { message: 'locale must be a language tag such as de or de-AT' })
  locale?: string | null;
}

export class ChangePasswordDto {
  @ApiProperty({
    minLength: 1,
    maxLength: PASSWORD_WIRE_LENGTH,
    example: 'three uncommon words',
    description: 'The present password.',
  })
  @IsString()
  @MinLength(1)
  @MaxLength(PASSWORD_WIRE_LENGTH)
  currentPassword!: string;

  @ApiProperty({
    maxLength: PASSWORD_WIRE_LENGTH,
    example: 'four other uncommon words',
    description: 'The new password.',
  })
  @IsString()
  @MaxLength(PASSWORD_WIRE_LENGTH)
  newPassword!: string;
}

/** A user, as he sees himself. */
export class UserDto {
  @ApiProperty({ format: 'uuid', example: '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11', description: 'Never changes.' })
  id!: string;

  @ApiProperty({
    type: String,
    format: 'idn-email',
    nullable: true,
    example: 'ada@example.com',
    description: 'E-mail address.',
  })
  email!: string | null;

  @ApiProperty({ example: true, description: 'Whether a code sent to the address came back.' })
  emailVerified!: boolean;

  @ApiProperty({ type: String, nullable: true, example: '+4915112345678', description: 'Phone number (E.164).' })
  phoneNumber!: string | null;

  @ApiProperty({ example: false, description: 'Whether a code sent to the number came back.' })
  phoneVerified!: boolean;

  @ApiProperty({ type: String, nullable: true, example: 'ada', description: 'Username.' })
  username!: string | null;

  @ApiProperty({ example: 'Ada', description: 'First name; may be empty.' })
  firstName!: string;

  @ApiProperty({ example: 'Lovelace', description: 'Last name; may be empty.' })
  lastName!: string;

  @ApiProperty({ type: String, nullable: true, example: 'de-AT', description: 'The language of messages (BCP 47).' })
  locale!: string | null;

  @ApiProperty({ type: [String], example: [], description: 'Roles, given by administrators.' })
  roles!: string[];

  @ApiProperty({ type: String, format: 'date-time', description: 'When the account was created.' })
  createdAt!: string;

  @ApiProperty({ type: String, format: 'date-time', description: 'When the account was last changed.' })
  updatedAt!: string;
}

export function toUserDto(user: User): UserDto {
  return {
    id: user.id,
    email: user.email,
    emailVerified: user.emailVerifiedAt !== null,
    phoneNumber: user.phoneNumber,
    phoneVerified: user.phoneVerifiedAt !== null,
    username: user.username,
    firstName: user.firstName,
    lastName: user.lastName,
    locale: user.locale,
    roles: user.roles,
    createdAt: user.createdAt.toISOString(),
    updatedAt: user.updatedAt.toISOString(),
  };
}

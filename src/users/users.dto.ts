import { ApiProperty } from '@nestjs/swagger';
import { IsObject, IsString, Matches, MaxLength, MinLength, ValidateIf } from 'class-validator';
import type { User } from './user.entity.js';

export const NAME_MAX_LENGTH = 100;
/** More than any password that is accepted, so that the rules can say "at most 128" instead of a bare refusal. */
export const PASSWORD_WIRE_LENGTH = 1024;

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

  @ApiProperty({
    selfRequired: false,
    type: 'object',
    additionalProperties: { type: 'string', nullable: true, maxLength: 256 },
    example: { company: 'Analytical Engines' },
    description: 'Fields of the operator’s (PROFILE_FIELDS); null takes one away, the others stay.',
  })
  @ValidateIf((body: UpdateProfileDto) => body.profile !== undefined)
  @IsObject()
  profile?: Record<string, string | null>;
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

  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'string' },
    example: { company: 'Analytical Engines' },
    description: 'Fields of the operator’s (PROFILE_FIELDS).',
  })
  profile!: Record<string, string>;

  @ApiProperty({ type: [String], example: [], description: 'Roles, given by administrators.' })
  roles!: string[];

  @ApiProperty({ type: String, format: 'date-time', description: 'When the account was created.' })
  createdAt!: string;

  @ApiProperty({ type: String, format: 'date-time', description: 'When the account was last changed.' })
  updatedAt!: string;
}

/** What of a user is shown to himself. */
type ShownUser = Pick<
  User,
  Exclude<keyof UserDto, 'emailVerified' | 'phoneVerified'> | 'emailVerifiedAt' | 'phoneVerifiedAt'
>;

export function toUserDto(user: ShownUser): UserDto {
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
    profile: user.profile,
    roles: user.roles,
    createdAt: user.createdAt.toISOString(),
    updatedAt: user.updatedAt.toISOString(),
  };
}

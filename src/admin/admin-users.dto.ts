import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsOptional,
  IsString,
  Matches,
  MaxLength,
  ValidateIf,
} from 'class-validator';
import { PageDto, PageQueryDto } from '../paging/page.js';
import { METHOD_TYPES, RULE_METHODS, type MethodType } from '../two-factor/policy.js';
import { MAX_ROLES, ROLE_NAME, ROLE_RULE } from '../users/role.js';
import { UpdateProfileDto, UserDto } from '../users/users.dto.js';
import { TWO_FACTOR_STATES, USER_SORTS, type AdminUserRow } from './admin-users.queries.js';

/** The query of the list of users. Filters are joined by "and". */
export class ListUsersDto extends PageQueryDto {
  @ApiPropertyOptional({
    maxLength: 100,
    example: 'ada',
    description: 'Anywhere in the e-mail address, username, phone number or names, in any case.',
  })
  @IsOptional()
  @IsString()
  @MaxLength(100)
  // PostgreSQL knows no text that holds NUL.
  @Matches(/^\P{Cc}*$/u, { message: 'q must not contain control characters' })
  q?: string;

  @ApiPropertyOptional({ example: 'admin', description: 'Has this role.' })
  @IsOptional()
  @Matches(ROLE_NAME, { message: `role ${ROLE_RULE}` })
  role?: string;

  @ApiPropertyOptional({ type: Boolean, example: true, description: 'Can sign in, or was deactivated.' })
  // A query holds text only.
  @Transform(({ value }: { value: unknown }) => (value === 'true' || value === 'false' ? value === 'true' : value))
  @IsOptional()
  @IsBoolean()
  active?: boolean;

  @ApiPropertyOptional({
    enum: TWO_FACTOR_STATES,
    example: 'missing',
    description:
      '`enrolled`: has a device that works; recovery codes are none. `missing`: has none. `required`: the configuration, a rule in force or the user himself demands a second factor.',
  })
  @IsOptional()
  @IsIn(TWO_FACTOR_STATES)
  twoFactor?: (typeof TWO_FACTOR_STATES)[number];

  @ApiPropertyOptional({ enum: METHOD_TYPES, example: 'totp', description: 'Has a device of this method that works.' })
  @IsOptional()
  @IsIn(METHOD_TYPES)
  method?: MethodType;

  @ApiPropertyOptional({
    type: Boolean,
    example: false,
    description:
      'true: instead of accounts, registrations whose address has still to be proved (SIGNUP_VERIFIED_ONLY).',
  })
  @Transform(({ value }: { value: unknown }) => (value === 'true' || value === 'false' ? value === 'true' : value))
  @IsOptional()
  @IsBoolean()
  registering?: boolean;

  @ApiPropertyOptional({
    enum: USER_SORTS,
    default: '-createdAt',
    example: '-createdAt',
    description: 'The order; `-` turns it round. Users without an address come before all addresses.',
  })
  @IsOptional()
  @IsIn(USER_SORTS)
  sort: (typeof USER_SORTS)[number] = '-createdAt';
}

/** What administrators change about a user. Addresses, passwords and what was verified are his alone. */
export class UpdateUserDto extends UpdateProfileDto {
  @ApiProperty({
    required: false,
    type: [String],
    maxItems: MAX_ROLES,
    uniqueItems: true,
    example: ['admin'],
    description: 'All roles of the user from now on. `admin` opens the admin API; what others mean is up to you.',
  })
  @ValidateIf((body: UpdateUserDto) => body.roles !== undefined)
  @IsArray()
  @ArrayMaxSize(MAX_ROLES)
  @ArrayUnique()
  @Matches(ROLE_NAME, { each: true, message: `each role ${ROLE_RULE}` })
  roles?: string[];

  @ApiProperty({
    required: false,
    example: true,
    description: 'False: the user can no longer sign in, and his sessions end.',
  })
  @ValidateIf((body: UpdateUserDto) => body.active !== undefined)
  @IsBoolean()
  active?: boolean;
}

/** The second factor of a user, in short. */
export class TwoFactorSummaryDto {
  @ApiProperty({ example: true, description: 'Whether somebody demands one now, be it the user himself.' })
  required!: boolean;

  @ApiProperty({ example: true, description: 'Whether there is a device that works; recovery codes are none.' })
  enrolled!: boolean;

  @ApiProperty({
    enum: RULE_METHODS,
    isArray: true,
    example: ['totp'],
    description: 'Methods of devices that work.',
  })
  methods!: MethodType[];

  @ApiProperty({ type: 'integer', minimum: 0, example: 10, description: 'Recovery codes that were not used.' })
  recoveryCodesLeft!: number;
}

/** A user, as administrators see him. */
export class AdminUserDto extends UserDto {
  @ApiProperty({ example: true, description: 'Whether the user can sign in.' })
  active!: boolean;

  @ApiProperty({ example: true, description: 'Whether there is a password; without one the way in is a code or link.' })
  passwordSet!: boolean;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: '2026-11-21T10:00:00.000Z',
    description: 'When the newest session began that is still on record; null where there is none.',
  })
  lastSignInAt!: string | null;

  @ApiProperty({ type: TwoFactorSummaryDto, description: 'The second factor in short.' })
  twoFactor!: TwoFactorSummaryDto;
}

export class AdminUserListDto extends PageDto {
  @ApiProperty({ type: [AdminUserDto], description: 'The users of this page.' })
  items!: AdminUserDto[];
}

export function toAdminUserDto({ createdAt, updatedAt, lastSignInAt, ...user }: AdminUserRow): AdminUserDto {
  return {
    ...user,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
    lastSignInAt: lastSignInAt?.toISOString() ?? null,
  };
}

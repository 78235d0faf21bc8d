import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import {
  ArrayMaxSize,
  ArrayNotEmpty,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateIf,
} from 'class-validator';
import { RULE_METHODS, type RuleMethod } from '../two-factor/policy.js';
import { MAX_ROLES, ROLE_NAME, ROLE_RULE } from '../users/role.js';

const MESSAGE_MAX_LENGTH = 500;
const HOUR = 3_600;
const THIRTY_DAYS = 30 * 24 * HOUR;

/** Whom to invite, and to what. Either `email` or `phoneNumber`. */
export class InviteDto {
  @ApiProperty({
    required: false,
    format: 'idn-email',
    maxLength: 254,
    example: 'grace@example.com',
    description: 'Where the invitation goes. Only whoever reads it there can accept.',
  })
  @ValidateIf((body: InviteDto) => body.email !== undefined || body.phoneNumber === undefined)
  @IsString()
  @MaxLength(254)
  email?: string;

  @ApiProperty({
    required: false,
    maxLength: 64,
    example: '+4915112345678',
    description: 'Instead of an e-mail address: a phone number with its country code (E.164), for a text message.',
  })
  @ValidateIf((body: InviteDto) => body.phoneNumber !== undefined)
  @IsString()
  @MaxLength(64)
  phoneNumber?: string;

  @ApiPropertyOptional({
    type: [String],
    maxItems: MAX_ROLES,
    uniqueItems: true,
    example: ['support'],
    description: 'Roles that come with acceptance. Only administrators, after a recent proof of a factor.',
  })
  @ValidateIf((body: InviteDto) => body.roles !== undefined)
  @IsArray()
  @ArrayMaxSize(MAX_ROLES)
  @ArrayUnique()
  @Matches(ROLE_NAME, { each: true, message: `each role ${ROLE_RULE}` })
  roles?: string[];

  @ApiPropertyOptional({
    example: true,
    description: 'Whether a second factor is required of the account from acceptance on.',
  })
  @ValidateIf((body: InviteDto) => body.requireTwoFactor !== undefined)
  @IsBoolean()
  requireTwoFactor?: boolean;

  @ApiPropertyOptional({
    enum: RULE_METHODS,
    isArray: true,
    example: ['totp'],
    description:
      'Methods that are accepted from the account, of those that the configuration trusts. Only administrators, as with `roles`.',
  })
  @ValidateIf((body: InviteDto) => body.methods !== undefined)
  @IsArray()
  @ArrayNotEmpty()
  @ArrayUnique()
  @IsIn(RULE_METHODS, { each: true })
  methods?: RuleMethod[];

  @ApiPropertyOptional({
    maxLength: MESSAGE_MAX_LENGTH,
    example: 'Welcome to the team!',
    description: 'A few words of yours for the mail: plain text, in which no links work. A text message has none.',
  })
  @ValidateIf((body: InviteDto) => body.message !== undefined)
  @IsString()
  @MaxLength(MESSAGE_MAX_LENGTH)
  message?: string;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: HOUR,
    maximum: THIRTY_DAYS,
    example: 604_800,
    description: 'Seconds that the invitation is good for; absent: INVITATION_TTL.',
  })
  @ValidateIf((body: InviteDto) => body.expiresIn !== undefined)
  @IsInt()
  @Min(HOUR)
  @Max(THIRTY_DAYS)
  expiresIn?: number;

  @ApiPropertyOptional({
    maxLength: 2_000,
    example: 'https://app.example.com/welcome',
    description: 'Where the link leads, `token` added: exactly one of REDIRECT_ALLOWLIST. Absent: to the frontend.',
  })
  @ValidateIf((body: InviteDto) => body.redirectTo !== undefined)
  @IsString()
  @MaxLength(2_000)
  redirectTo?: string;
}

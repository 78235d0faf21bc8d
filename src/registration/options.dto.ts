import { ApiProperty } from '@nestjs/swagger';
import { RULE_METHODS, type RuleMethod } from '../two-factor/policy.js';

export class SignUpOptionsDto {
  @ApiProperty({
    enum: ['immediate', 'verified', 'deferred', 'off'],
    example: 'immediate',
    description:
      '`immediate`: the account exists at once. `verified`: once a code from its address came back. `deferred`: at once, and its addresses once they are confirmed. `off`: nobody may register.',
  })
  mode!: 'immediate' | 'verified' | 'deferred' | 'off';

  @ApiProperty({ example: true, description: 'Whether users may invite others, also where nobody may register.' })
  invitations!: boolean;
}

export class PasswordOptionsDto {
  @ApiProperty({ type: 'integer', example: 8, description: 'Code points, at least.' })
  minLength!: number;

  @ApiProperty({ type: 'integer', example: 128, description: 'Code points, at most.' })
  maxLength!: number;
}

export class ProviderOptionDto {
  @ApiProperty({ example: 'google', description: 'As it stands in paths.' })
  name!: string;

  @ApiProperty({ example: 'Google', description: 'What people know it as.' })
  displayName!: string;
}

export const WAYS_IN = ['password', 'code', 'magicLink', 'social'] as const;
const CHANNELS = ['email', 'sms'] as const;

/** What a frontend needs to know to draw its forms. */
export class AuthOptionsDto {
  @ApiProperty({ type: SignUpOptionsDto, description: 'How accounts are made.' })
  signUp!: SignUpOptionsDto;

  @ApiProperty({
    type: [String],
    example: ['email', 'phoneNumber', 'username'],
    description: 'Fields that identify a user: what he signs in with.',
  })
  identityFields!: readonly string[];

  @ApiProperty({ type: [String], example: [], description: 'Fields that a registration must give.' })
  requiredFields!: readonly string[];

  @ApiProperty({
    type: [String],
    example: ['email', 'phoneNumber', 'username', 'password', 'firstName', 'lastName'],
    description: 'Fields that a registration may give.',
  })
  optionalFields!: readonly string[];

  @ApiProperty({ type: [String], example: ['company'], description: 'Fields of the operator’s, given in `profile`.' })
  profileFields!: readonly string[];

  @ApiProperty({ type: PasswordOptionsDto, description: 'How long a new password is.' })
  password!: PasswordOptionsDto;

  @ApiProperty({
    enum: WAYS_IN,
    isArray: true,
    example: ['password', 'code', 'magicLink'],
    description: 'First factors.',
  })
  waysIn!: (typeof WAYS_IN)[number][];

  @ApiProperty({ enum: CHANNELS, isArray: true, example: ['email', 'sms'], description: 'What codes come by.' })
  codeChannels!: (typeof CHANNELS)[number][];

  @ApiProperty({
    enum: RULE_METHODS,
    isArray: true,
    example: ['email', 'totp'],
    description: 'Methods that are accepted as a second factor, unless a rule asks for a stronger one.',
  })
  methods!: RuleMethod[];

  @ApiProperty({ type: [ProviderOptionDto], description: 'Providers of social sign-in.' })
  providers!: readonly ProviderOptionDto[];

  @ApiProperty({ example: false, description: 'Whether a browser may be remembered after a second factor.' })
  trustedBrowser!: boolean;

  @ApiProperty({ example: false, description: 'Whether browsers may have their tokens as cookies.' })
  cookies!: boolean;
}

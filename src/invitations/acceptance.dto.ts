import { ApiProperty, PickType } from '@nestjs/swagger';
import { IsString, MaxLength, MinLength } from 'class-validator';
import { maskEmail, maskPhone } from '../notifications/mask.js';
import { RULE_METHODS, type MethodType } from '../two-factor/policy.js';
import { RegisterDto } from '../registration/registration.dto.js';
import { nameOf } from './inviter-name.js';
import type { Invitation } from './invitations.queries.js';

const TOKEN = {
  minLength: 1,
  maxLength: 200,
  example: 'Zk1vV0Z4dE5yT2VvQ3lLd2dYb1BqU2hIcEdaUXJhY2s',
  description: '`token` of the link in the message.',
} as const;

export class InvitationTokenDto {
  @ApiProperty(TOKEN)
  @IsString()
  @MinLength(1)
  @MaxLength(200)
  token!: string;
}

/** For an address without an account the rest is the new account's; one that has an account takes none of it. */
export class AcceptInvitationDto extends PickType(RegisterDto, [
  'username',
  'password',
  'firstName',
  'lastName',
  'profile',
] as const) {
  @ApiProperty(TOKEN)
  @IsString()
  @MinLength(1)
  @MaxLength(200)
  token!: string;
}

/** An invitation, as whoever has its link sees it. Whether the address has an account is not told. */
export class InvitationPreviewDto {
  @ApiProperty({ example: 'Ada Lovelace', description: 'Who invites: a name, or else a masked address or a username.' })
  inviter!: string;

  @ApiProperty({ example: 'g•••@example.com', description: 'The invited address, masked.' })
  address!: string;

  @ApiProperty({ type: [String], example: ['support'], description: 'Roles that come with acceptance.' })
  roles!: string[];

  @ApiProperty({ example: true, description: 'Whether a second factor is required from acceptance on.' })
  requiresTwoFactor!: boolean;

  @ApiProperty({
    enum: RULE_METHODS,
    isArray: true,
    nullable: true,
    example: ['totp'],
    description: 'Methods that will be accepted; null: those of the policy.',
  })
  methods!: MethodType[] | null;

  @ApiProperty({ example: 'Welcome to the team!', description: 'The inviter’s words: show them as plain text.' })
  message!: string;

  @ApiProperty({ type: String, format: 'date-time', example: '2026-11-29T10:00:00.000Z', description: 'Until when.' })
  expiresAt!: string;
}

export function toPreviewDto(invitation: Invitation): InvitationPreviewDto {
  const { inviter, address, email, roles, requireTwoFactor, methods, message, expiresAt } = invitation;
  return {
    inviter: inviter ? nameOf(inviter) : '',
    address: email === null ? maskPhone(address) : maskEmail(address),
    roles,
    requiresTwoFactor: requireTwoFactor,
    methods,
    message,
    expiresAt: expiresAt.toISOString(),
  };
}

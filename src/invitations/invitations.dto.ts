import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional } from 'class-validator';
import { PageDto, PageQueryDto } from '../paging/page.js';
import { RULE_METHODS } from '../two-factor/policy.js';
import { nameOf } from './inviter-name.js';
import { INVITATION_STATUSES, type Invitation, type InvitationStatus } from './invitations.queries.js';

const EXAMPLE_TIME = '2026-11-29T10:00:00.000Z';

/** The query of the list of invitations. */
export class ListInvitationsDto extends PageQueryDto {
  @ApiPropertyOptional({ enum: INVITATION_STATUSES, example: 'pending', description: 'Only these.' })
  @IsOptional()
  @IsIn(INVITATION_STATUSES)
  status?: InvitationStatus;
}

export class InviterDto {
  @ApiProperty({ format: 'uuid', example: '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11', description: 'The user.' })
  id!: string;

  @ApiProperty({ example: 'Ada Lovelace', description: 'His name, or else his masked address or username.' })
  name!: string;
}

/** An invitation, as its inviter and administrators see it. */
export class InvitationDto {
  @ApiProperty({ format: 'uuid', example: '019aa8d2-9d50-7b2e-8f11-3c4d5e6f7a81', description: 'The invitation.' })
  id!: string;

  @ApiProperty({
    type: InviterDto,
    nullable: true,
    example: { id: '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11', name: 'Ada Lovelace' },
    description: 'Who invites; null: his account was removed.',
  })
  inviter!: InviterDto | null;

  @ApiProperty({
    type: String,
    format: 'idn-email',
    nullable: true,
    example: 'grace@example.com',
    description: 'The invited address.',
  })
  email!: string | null;

  @ApiProperty({ type: String, nullable: true, example: null, description: 'The invited phone number (E.164).' })
  phoneNumber!: string | null;

  @ApiProperty({
    enum: INVITATION_STATUSES,
    example: 'pending',
    description:
      '`revoked` also where the inviter was deactivated or removed, or is no longer an administrator and gave roles or methods.',
  })
  status!: InvitationStatus;

  @ApiProperty({ type: [String], example: ['support'], description: 'Roles that come with acceptance.' })
  roles!: string[];

  @ApiProperty({ example: true, description: 'Whether a second factor is required from acceptance on.' })
  requireTwoFactor!: boolean;

  @ApiProperty({
    enum: RULE_METHODS,
    isArray: true,
    nullable: true,
    example: ['totp'],
    description: 'Methods that are accepted from the account; null: those of the policy.',
  })
  methods!: string[] | null;

  @ApiProperty({ example: 'Welcome to the team!', description: 'The inviter’s words; may be empty.' })
  message!: string;

  @ApiProperty({ type: String, format: 'date-time', example: '2026-11-22T10:00:00.000Z', description: 'Since when.' })
  createdAt!: string;

  @ApiProperty({
    type: String,
    format: 'date-time',
    example: EXAMPLE_TIME,
    description: 'Until when it can be accepted.',
  })
  expiresAt!: string;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: null,
    description: 'When it was accepted.',
  })
  acceptedAt!: string | null;

  @ApiProperty({
    type: String,
    format: 'uuid',
    nullable: true,
    example: null,
    description: 'Whose account accepted; for administrators, null for others.',
  })
  acceptedBy!: string | null;
}

export class InvitationListDto extends PageDto {
  @ApiProperty({ type: [InvitationDto], description: 'The newest first.' })
  items!: InvitationDto[];
}

/** `forAdmin`: an id tells when its account was made, and so whether the address had one before. */
export function toInvitationDto(invitation: Invitation, forAdmin: boolean): InvitationDto {
  const { id, inviterId, inviter, address, email, status, roles, requireTwoFactor, methods, message } = invitation;
  return {
    id,
    inviter: inviterId === null || inviter === null ? null : { id: inviterId, name: nameOf(inviter) },
    email,
    phoneNumber: email === null ? address : null,
    status,
    roles,
    requireTwoFactor,
    methods,
    message,
    createdAt: invitation.createdAt.toISOString(),
    expiresAt: invitation.expiresAt.toISOString(),
    acceptedAt: invitation.acceptedAt?.toISOString() ?? null,
    acceptedBy: forAdmin ? invitation.acceptedBy : null,
  };
}

import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import { isUUID } from 'class-validator';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { IdentityRules } from '../identity-rules/identity-rules.service.js';
import { matchLocale } from '../notifications/locale.js';
import { invalidCursor, pageOf, readCursor, type Page, type PageQueryDto } from '../paging/page.js';
import { invalidField, Problem } from '../problems/problem.js';
import { AccessDemands } from '../tokens/access-demands.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { RequirementRules } from '../two-factor/requirement-rules.service.js';
import { Users } from '../users/users.service.js';
import { InvitationMessages } from './invitation-messages.js';
import { channelOf, invitationHash, newToken } from './invitation-token.js';
import {
  findInvitation,
  findInvitations,
  findObstacle,
  insertInvitation,
  renewInvitation,
  revokeInvitation,
  type Invitation,
  type InvitationStatus,
} from './invitations.queries.js';
import type { InviteDto } from './invite.dto.js';

/** What inviters and administrators do with invitations. */
@Injectable()
export class Invitations {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly demands: AccessDemands,
    private readonly users: Users,
    private readonly identityRules: IdentityRules,
    private readonly requirementRules: RequirementRules,
    private readonly messages: InvitationMessages,
    private readonly audit: Audit,
    private readonly config: Config,
  ) {}

  /**
   * Invites an address. Whether it has an account is looked at nowhere here: the inviter must not learn it.
   * @throws Problem invitations_closed, admin_required, insufficient_user_authentication, redirect_not_allowed,
   * identity_refused, address_refused, already_invited, too_many_invitations, validation_failed, and those of a message
   * that is not sent
   */
  async create(principal: AccessPrincipal, body: InviteDto, client: Client): Promise<Invitation> {
    this.requireOpen();
    const { roles = [], requireTwoFactor = false, methods = null, redirectTo = null } = body;
    // To accept only a weak method is to lower what protects the account, so it is no raise that anybody may ask for.
    if (roles.length > 0 || methods !== null) {
      await this.demands.requireAdmin(principal);
      await this.demands.requireFresh(principal);
    }
    this.requirementRules.requireKnownMethods(methods);
    // Compared as a whole: a prefix or a pattern would let `https://app.example.com.evil.com` pass.
    if (redirectTo !== null && !this.config.server.redirectAllowlist.includes(redirectTo)) {
      throw new Problem('redirect_not_allowed');
    }
    const { email, address } = await this.readAddress(body, client);
    const { perDay, ttlSeconds } = this.config.invitations;
    const { userId: inviterId } = principal;
    const token = newToken();
    return this.db.transaction(async (tx) => {
      // First: what is counted per inviter is counted one at a time.
      if (!(await this.users.lockActive(tx, inviterId))) throw new Problem('invalid_token');
      const invitation = await insertInvitation(
        tx,
        {
          id: uuidv7(),
          inviterId,
          address,
          email,
          roles,
          requireTwoFactor,
          methods,
          message: body.message?.trim() ?? '',
          locale: client.locale === null ? null : matchLocale(client.locale),
          redirectTo,
          tokenHash: invitationHash(token),
          lifetimeSeconds: body.expiresIn ?? ttlSeconds,
        },
        perDay,
      );
      if (!invitation) {
        const { open, seconds } = await findObstacle(tx, { inviterId, address }, perDay);
        throw open ? new Problem('already_invited') : tooMany(seconds);
      }
      await this.messages.send(tx, invitation, token);
      const channel = channelOf(invitation);
      const details = { invitationId: invitation.id, channel, roles, requireTwoFactor, methods };
      await this.audit.record(tx, 'invitation.created', { userId: inviterId, client }, details);
      return invitation;
    });
  }

  /** @throws Problem not_found, also for somebody else's */
  async get(principal: AccessPrincipal, id: string): Promise<Invitation> {
    const invitation = await findInvitation(this.db, id, await this.reachOf(principal));
    if (!invitation) throw new Problem('not_found');
    return invitation;
  }

  async list(
    principal: AccessPrincipal,
    { limit, cursor, status }: PageQueryDto & { status?: InvitationStatus },
  ): Promise<Page<Invitation>> {
    const after = readCursor(cursor, 1)?.[0] ?? null;
    if (after !== null && !isUUID(after)) throw invalidCursor();
    const filter = { inviterId: await this.reachOf(principal), status: status ?? null };
    return pageOf(await findInvitations(this.db, filter, { after, rows: limit + 1 }), limit, ({ id }) => [id]);
  }

  /**
   * A fresh link in a message of its own; the one before opens nothing any more.
   * @throws Problem invitations_closed, not_found, invitation_not_open, too_many_invitations, and those of a message
   * that is not sent
   */
  async resend(principal: AccessPrincipal, id: string, client: Client): Promise<Invitation> {
    this.requireOpen();
    const { inviterId, address, status } = await this.get(principal, id);
    if (status !== 'pending' || inviterId === null) throw new Problem('invitation_not_open');
    const token = newToken();
    return this.db.transaction(async (tx) => {
      const inviter = await this.users.lockActive(tx, inviterId);
      const renewed = inviter && (await renewInvitation(tx, id, invitationHash(token)));
      if (!renewed) {
        if ((await findInvitation(tx, id, null))?.status !== 'pending') throw new Problem('invitation_not_open');
        const { seconds } = await findObstacle(tx, { inviterId, address }, this.config.invitations.perDay);
        throw tooMany(seconds);
      }
      await this.messages.send(tx, renewed, token);
      const by = { userId: inviterId, ...byOf(principal, inviterId, client) };
      await this.audit.record(tx, 'invitation.resent', by, { invitationId: id });
      return renewed;
    });
  }

  /**
   * Revoked twice is revoked.
   * @throws Problem not_found, invitation_not_open where it was accepted
   */
  async revoke(principal: AccessPrincipal, id: string, client: Client): Promise<void> {
    const { inviterId } = await this.get(principal, id);
    await this.db.transaction(async (tx) => {
      if (await revokeInvitation(tx, id)) {
        const by = { userId: inviterId, ...byOf(principal, inviterId, client) };
        return this.audit.record(tx, 'invitation.revoked', by, { invitationId: id });
      }
      if ((await findInvitation(tx, id, null))?.status === 'accepted') throw new Problem('invitation_not_open');
    });
  }

  /** Whose invitations somebody may see: null, an administrator, those of all. */
  private async reachOf(principal: AccessPrincipal): Promise<string | null> {
    if (!principal.roles.includes('admin')) return principal.userId;
    await this.demands.requireAdmin(principal);
    return null;
  }

  private requireOpen(): void {
    if (!this.config.invitations.allowed) throw new Problem('invitations_closed');
  }

  private async readAddress(
    { email, phoneNumber }: InviteDto,
    client: Client,
  ): Promise<{ email: string | null; address: string }> {
    if (email !== undefined && phoneNumber !== undefined) throw invalidField('phoneNumber', 'cannot go with an email');
    const { driver } = this.config.sms;
    // The provider of `twilio-verify` sends its own codes and nothing else.
    if (phoneNumber !== undefined && (driver === null || driver === 'twilio-verify')) {
      throw invalidField('phoneNumber', 'cannot be invited: this service sends no text messages; use email');
    }
    const identity = this.users.readIdentity({ email, phoneNumber });
    const named = { email: identity.emailCanonical, phoneNumber: identity.phoneNumber, ip: client.ip };
    await this.identityRules.requireAllowed('registration', named, client);
    return { email: identity.email, address: identity.emailCanonical ?? identity.phoneNumber ?? '' };
  }
}

function byOf({ userId }: AccessPrincipal, inviterId: string | null, client: Client) {
  return userId === inviterId ? { client } : { actor: { kind: 'admin', userId } as const, client };
}

function tooMany(retryAfter: number): Problem {
  return new Problem('too_many_invitations', { retryAfter });
}

import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { crashAt } from '../config/failpoints.js';
import { Problem } from '../problems/problem.js';
import { resultOf, SignInPipeline } from '../sign-in/pipeline.js';
import type { SignInResult } from '../sign-in/sign-in.dto.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { Tokens } from '../tokens/tokens.service.js';
import { RequirementRules } from '../two-factor/requirement-rules.service.js';
import { User } from '../users/user.entity.js';
import { markEmailVerified, markPhoneVerified, storeRoles, type NewUser } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';
import type { AcceptInvitationDto } from './acceptance.dto.js';
import { InvitationMessages } from './invitation-messages.js';
import { channelOf, invitationHash } from './invitation-token.js';
import { acceptInvitation, findOpenInvitation, type Invitation } from './invitations.queries.js';
import { Newcomers } from './newcomers.service.js';
import { beginAnew } from './unproved-account.queries.js';

const OF_A_NEW_ACCOUNT = ['username', 'password', 'firstName', 'lastName', 'profile'] as const;

/** What the link of an invitation is good for. It proves its address, like any link that was sent there. */
@Injectable()
export class Acceptance {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly pipeline: SignInPipeline,
    private readonly users: Users,
    private readonly newcomers: Newcomers,
    private readonly requirementRules: RequirementRules,
    private readonly tokens: Tokens,
    private readonly messages: InvitationMessages,
    private readonly audit: Audit,
  ) {}

  /** @throws Problem invalid_invitation */
  async preview(token: string): Promise<Invitation> {
    const invitation = await findOpenInvitation(this.db, invitationHash(token));
    if (!invitation) throw new Problem('invalid_invitation');
    return invitation;
  }

  /**
   * @param principal who is signed in already, if somebody is
   * @throws Problem invalid_invitation, invitation_for_another_address, account_not_proved, identity_taken,
   * identity_refused, address_refused, last_admin, validation_failed, and what the pipeline refuses
   */
  async accept(body: AcceptInvitationDto, principal: AccessPrincipal | null, client: Client): Promise<SignInResult> {
    const tokenHash = invitationHash(body.token);
    const newcomer = await this.newcomers.read(await this.preview(body.token), body, client);
    const outcome = await this.db.transaction(async (tx) => {
      // The user before anything else, here and everywhere: in two orders two requests could wait for each other.
      const { user, isNew } = await this.lockOrCreate(tx, newcomer, principal, client);
      const invitation = await acceptInvitation(tx, tokenHash, user.id);
      if (!invitation) throw new Problem('invalid_invitation');
      crashAt('accepting-invitation');
      if (!isNew) await this.admit(tx, user, newcomer, body, principal, client);
      await this.fulfil(tx, invitation, user);
      const { id: invitationId, inviterId } = invitation;
      const details = { invitationId, inviterId, newAccount: isNew };
      await this.audit.record(tx, 'invitation.accepted', { userId: user.id, client }, details);
      await this.messages.tellInviter(tx, invitation);
      return this.pipeline.decide(tx, user.id, { proof: channelOf(invitation) }, client);
    });
    return resultOf(outcome);
  }

  /** The account that accepts: the address's own or, where it has none, a new one. */
  private async lockOrCreate(
    tx: EntityManager,
    newcomer: NewUser,
    principal: AccessPrincipal | null,
    client: Client,
  ): Promise<{ user: User; isNew: boolean }> {
    const present = await this.lockOwner(tx, newcomer);
    if (present) return { user: present, isNew: false };
    if (principal) throw new Problem('invitation_for_another_address');
    const created = await this.users.create(tx, newcomer, { client });
    if (created) return { user: created, isNew: true };
    // It was registered at this very moment; otherwise it is the username that somebody has.
    const quicker = await this.lockOwner(tx, newcomer);
    if (!quicker) throw new Problem('identity_taken');
    return { user: quicker, isNew: false };
  }

  private lockOwner(tx: EntityManager, { emailCanonical, phoneNumber }: NewUser): Promise<User | null> {
    const where =
      emailCanonical === null
        ? { phoneNumber: phoneNumber ?? '', phoneIdentifies: true }
        : { emailCanonical, emailIdentifies: true };
    return tx.findOne(User, { where, lock: { mode: 'for_no_key_update' } });
  }

  /** Whether an account that was there before may accept, with what was sent. */
  private async admit(
    tx: EntityManager,
    user: User,
    newcomer: NewUser,
    body: AcceptInvitationDto,
    principal: AccessPrincipal | null,
    client: Client,
  ): Promise<void> {
    // Nobody is told that an account was deactivated.
    if (!user.active) throw new Problem('invalid_invitation');
    const proved = newcomer.emailCanonical === null ? user.phoneVerifiedAt : user.emailVerifiedAt;
    if (principal && (proved === null || principal.userId !== user.id)) {
      throw new Problem('invitation_for_another_address');
    }
    if (proved === null) await this.takeOver(tx, user, newcomer, body, client);
    else refuse(body, OF_A_NEW_ACCOUNT);
  }

  /**
   * An account that never proved the address, which a stranger may have made to wait for the owner in it. Whoever reads
   * the mailbox gets it without anything that was put there before.
   */
  private async takeOver(
    tx: EntityManager,
    user: User,
    newcomer: NewUser,
    body: AcceptInvitationDto,
    client: Client,
  ): Promise<void> {
    refuse(body, ['username']);
    const channel = newcomer.emailCanonical === null ? 'sms' : 'email';
    if (!(await beginAnew(tx, user.id, channel, newcomer))) throw new Problem('account_not_proved');
    await this.tokens.endSessionsOf(tx, user.id, 'invitation_accepted', { client });
  }

  /** The address is proved, and the account gets what the invitation promised or demands. */
  private async fulfil(tx: EntityManager, invitation: Invitation, { id: userId, roles: before }: User): Promise<void> {
    const { inviterId, address, roles, requireTwoFactor, methods } = invitation;
    if (channelOf(invitation) === 'email') await markEmailVerified(tx, userId, address);
    else await markPhoneVerified(tx, userId, address);
    // Only an administrator can have given them; that he still is one stands in the condition of the acceptance.
    const admin = { actor: { kind: 'admin', userId: inviterId ?? '' } as const };
    const after = [...new Set([...before, ...roles])];
    if (after.length > before.length) {
      await storeRoles(tx, userId, after);
      await this.audit.record(tx, 'user.roles-changed', { userId, ...admin }, { before, after });
      await this.requirementRules.endUnmetSessions(tx, userId, admin);
    }
    if (!requireTwoFactor && methods === null) return;
    const by = roles.length > 0 || methods !== null ? admin : { actor: { kind: 'user' } as const };
    await this.requirementRules.raise(tx, userId, { required: requireTwoFactor, methods }, by);
  }
}

/** Of an account that is there, neither the inviter nor whoever reads the mailbox changes the password or the name. */
function refuse(body: AcceptInvitationDto, fields: readonly (typeof OF_A_NEW_ACCOUNT)[number][]): void {
  const given = fields.filter((field) => body[field] !== undefined);
  if (given.length === 0) return;
  const messages = ['is for a new account, and this address has one; leave it out'];
  throw new Problem('validation_failed', { errors: given.map((field) => ({ field, messages })) });
}

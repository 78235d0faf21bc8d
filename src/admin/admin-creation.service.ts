import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit, type By } from '../audit/audit.service.js';
import { Problem } from '../problems/problem.js';
import { SentProofs, type NewLink } from '../sign-in/sent-proofs.service.js';
import { RequirementRules } from '../two-factor/requirement-rules.service.js';
import { Passwords } from '../users/password.js';
import { User } from '../users/user.entity.js';
import { storedText } from '../users/profile.js';
import { newUser, storeRoles, type NewUser } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';
import { hasActiveAdmin } from './admin-creation.queries.js';

export interface NewAdmin {
  email: string;
  username?: string;
  firstName?: string;
  lastName?: string;
  /** Without one a link to choose it is made. */
  password?: string;
}

export interface CreatedAdmin {
  id: string;
  outcome: 'created' | 'promoted' | 'unchanged';
  link: NewLink | null;
}

/**
 * An account has the address already, and nobody has proved to read its mailbox: whoever registered it, with a password
 * of his own, would become an administrator.
 */
export class UnprovedAccount extends Error {
  override readonly name = 'UnprovedAccount';
}

/**
 * Makes administrators for those who run the service: over HTTP nobody can. The link to choose a password is handed
 * to the caller and goes out in no message, so the address counts as verified only after a code to it came back.
 */
@Injectable()
export class AdminCreation {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly users: Users,
    private readonly passwords: Passwords,
    private readonly proofs: SentProofs,
    private readonly rules: RequirementRules,
    private readonly audit: Audit,
  ) {}

  /**
   * An account that exists gets the role and keeps everything else; asked twice, nothing happens twice.
   *
   * @param link whether a link is made also where there is a password
   * @param unprovedToo whether an account of an address that nobody proved to read gets the role
   * @throws Problem validation_failed, identity_taken; UnprovedAccount
   */
  async create(
    wanted: NewAdmin,
    { link, unprovedToo }: { link: boolean; unprovedToo: boolean },
    by: By,
  ): Promise<CreatedAdmin> {
    const user = await this.read(wanted);
    return this.db.transaction(async (tx) => {
      if (await this.insert(tx, user, by)) {
        const needsLink = link || user.passwordHash === null;
        return { id: user.id, outcome: 'created', link: needsLink ? await this.createLink(tx, user.id, by) : null };
      }
      const { id, outcome } = await this.promote(tx, user, unprovedToo, by);
      return { id, outcome, link: link ? await this.createLink(tx, id, by) : null };
    });
  }

  /**
   * The first administrator of an installation: one, however many replicas start at once.
   *
   * @returns the link; `taken` where the address has an account, which is not promoted; null where nothing is to be done
   */
  async createFirst(email: string): Promise<NewLink | 'taken' | null> {
    const by: By = { actor: { kind: 'system' } };
    const user = await this.read({ email });
    return this.db.transaction(async (tx) => {
      if (await hasActiveAdmin(tx)) return null;
      if (await this.insert(tx, user, by)) return this.createLink(tx, user.id, by);
      // Another replica may have been quicker.
      return (await hasActiveAdmin(tx)) ? null : 'taken';
    });
  }

  private async read({ password, firstName = '', lastName = '', ...names }: NewAdmin): Promise<NewUser> {
    const identity = this.users.readIdentity(names);
    if (password !== undefined) this.users.requireGoodPassword('password', password, identity);
    const passwordHash = password === undefined ? null : await this.passwords.hash(password);
    return newUser({ ...identity, firstName: storedText(firstName), lastName: storedText(lastName), passwordHash });
  }

  /** False where the address or the username is taken. */
  private async insert(tx: EntityManager, user: NewUser, by: By): Promise<boolean> {
    if (!(await this.users.create(tx, user, by))) return false;
    await this.giveRole(tx, user.id, [], by);
    return true;
  }

  private async promote(
    tx: EntityManager,
    { emailCanonical }: NewUser,
    unprovedToo: boolean,
    by: By,
  ): Promise<Pick<CreatedAdmin, 'id' | 'outcome'>> {
    const found = await tx.findOneBy(User, { emailCanonical: emailCanonical ?? '', emailIdentifies: true });
    const user = found && (await this.users.lock(tx, found.id));
    if (!user) throw new Problem('identity_taken', { detail: 'The username has another account. Choose another one.' });
    const { id, roles, emailVerifiedAt, active } = user;
    if (roles.includes('admin')) return { id, outcome: 'unchanged' };
    if (emailVerifiedAt === null && !unprovedToo) throw new UnprovedAccount();
    await this.giveRole(tx, id, roles, by);
    if (active) await this.rules.endUnmetSessions(tx, id, by);
    return { id, outcome: 'promoted' };
  }

  private async giveRole(tx: EntityManager, userId: string, before: readonly string[], by: By): Promise<void> {
    const after = [...before, 'admin'];
    await storeRoles(tx, userId, after);
    await this.audit.record(tx, 'user.roles-changed', { userId, ...by }, { before, after });
  }

  private async createLink(tx: EntityManager, userId: string, by: By): Promise<NewLink> {
    await this.audit.record(tx, 'user.recovery-link-requested', { userId, ...by }, {});
    return this.proofs.createLink(tx, userId, 'printed_password_reset');
  }
}

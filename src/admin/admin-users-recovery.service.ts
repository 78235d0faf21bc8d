import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit, type By } from '../audit/audit.service.js';
import { Config } from '../config/config.js';
import { Notifications } from '../notifications/notifications.service.js';
import { deleteDevicesOf, unlockDevices } from '../otp-devices/otp-device.queries.js';
import { Problem } from '../problems/problem.js';
import { resetKey } from '../sign-in/password-reset.service.js';
import { SentProofs } from '../sign-in/sent-proofs.service.js';
import { codeKey } from '../sign-in/sign-in.service.js';
import { deleteTrustedBrowsers } from '../sign-in/trusted-browsers.queries.js';
import { PasswordFailures } from '../throttling/password-failures.js';
import { Tokens } from '../tokens/tokens.service.js';
import { RequirementRules } from '../two-factor/requirement-rules.service.js';
import type { User } from '../users/user.entity.js';
import { forgetPreferences } from '../users/user.queries.js';
import { signedInKey, Users } from '../users/users.service.js';

/**
 * How an administrator helps somebody who cannot sign in. Nothing here shows a secret, a link or a code, or sets a
 * password: an administrator must not be able to sign in as somebody else.
 */
@Injectable()
export class AdminUsersRecovery {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly users: Users,
    private readonly rules: RequirementRules,
    private readonly tokens: Tokens,
    private readonly proofs: SentProofs,
    private readonly passwordFailures: PasswordFailures,
    private readonly notifications: Notifications,
    private readonly audit: Audit,
    private readonly config: Config,
  ) {}

  /**
   * Removes every device, so that the next sign-in enrolls; sessions end, and what is open becomes void.
   * @throws Problem not_found, last_admin
   */
  async resetTwoFactor(id: string, by: By): Promise<void> {
    await this.db.transaction(async (tx) => {
      const user = await this.lock(tx, id);
      const devices = await deleteDevicesOf(tx, id);
      const trustedBrowsers = await deleteTrustedBrowsers(tx, id, null);
      await forgetPreferences(tx, id, this.fallbackReaches(user));
      if (user.active && user.roles.includes('admin')) await this.rules.requireAdminLeft(tx);
      await this.audit.record(tx, 'two-factor.reset', { userId: id, ...by }, { devices, trustedBrowsers });
      await this.tokens.endSessionsOf(tx, id, 'two_factor_reset', by);
      await this.notifications.tell(tx, user, { kind: 'two-factor-reset' });
    });
  }

  /** @throws Problem not_found */
  async endSessions(id: string, by: By): Promise<void> {
    await this.db.transaction(async (tx) => {
      await this.lock(tx, id);
      await this.tokens.endSessionsOf(tx, id, 'admin', by);
    });
  }

  /**
   * Ends the pauses after wrong passwords and codes, and opens devices that were closed by them.
   * @throws Problem not_found
   */
  async unlock(id: string, by: By): Promise<void> {
    await this.db.transaction(async (tx) => {
      const user = await this.lock(tx, id);
      await this.passwordFailures.forgiveEach(tx, failureKeysOf(user));
      const devices = await unlockDevices(tx, id);
      await this.audit.record(tx, 'user.unlocked', { userId: id, ...by }, { devices });
    });
  }

  /**
   * Sends the user the link to choose a new password, within the limits of his own requests.
   * @returns seconds until another one may be asked for
   * @throws Problem not_found, recovery_not_possible, code_recently_sent
   */
  async sendRecoveryLink(id: string, by: By): Promise<number> {
    return this.db.transaction(async (tx) => {
      const { active, email, emailVerifiedAt } = await this.lock(tx, id);
      // To an address that nobody has proved to read, a link could go to somebody else.
      if (!active || email === null || emailVerifiedAt === null) throw new Problem('recovery_not_possible');
      await this.audit.record(tx, 'user.recovery-link-requested', { userId: id, ...by }, {});
      return this.proofs.requestPasswordResetFor(tx, email);
    });
  }

  private async lock(tx: EntityManager, id: string): Promise<User> {
    const user = await this.users.lock(tx, id);
    if (!user) throw new Problem('not_found');
    return user;
  }

  /** Whether the user can be asked without a device: his own wish for a second factor would lock him out otherwise. */
  private fallbackReaches({ emailCanonical, phoneNumber }: User): boolean {
    const { fallbackMethod } = this.config.twoFactor;
    if (fallbackMethod === 'none') return false;
    return (fallbackMethod === 'email' ? emailCanonical : phoneNumber) !== null;
  }
}

/** Everything that wrong passwords and codes of the user are counted under. */
function failureKeysOf({ id, emailCanonical, usernameCanonical, phoneNumber }: User): string[] {
  const identifiers = [emailCanonical, usernameCanonical, phoneNumber].filter((identifier) => identifier !== null);
  return [
    signedInKey(id),
    ...identifiers.flatMap((identifier) => [identifier, codeKey(identifier), resetKey(identifier)]),
  ];
}

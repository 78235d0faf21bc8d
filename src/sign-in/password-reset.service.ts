import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { crashAt } from '../config/failpoints.js';
import { Notifications } from '../notifications/notifications.service.js';
import { Attempts } from '../otp-devices/attempts.service.js';
import { findLatestChallengeOf } from '../otp-devices/challenge.queries.js';
import { Problem } from '../problems/problem.js';
import { PasswordFailures } from '../throttling/password-failures.js';
import { Tokens } from '../tokens/tokens.service.js';
import { parseIdentifier } from '../users/identity.js';
import { Passwords } from '../users/password.js';
import { bumpEpoch, setPassword } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';
import { Links } from './links.service.js';

/**
 * A new password for whoever reads the account's mailbox or phone. It signs nobody in and leaves the second factor
 * alone: a mailbox must not be enough to take an account over. Everything that was open ends.
 */
@Injectable()
export class PasswordReset {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly links: Links,
    private readonly attempts: Attempts,
    private readonly users: Users,
    private readonly passwords: Passwords,
    private readonly passwordFailures: PasswordFailures,
    private readonly tokens: Tokens,
    private readonly notifications: Notifications,
    private readonly audit: Audit,
  ) {}

  /** @throws Problem invalid_link, validation_failed */
  async withLink(token: string, newPassword: string, client: Client): Promise<void> {
    // Before the hash, which is expensive: a stranger's guess costs one look-up, and a refused password no link.
    const sentTo = await this.links.findOwner('password_reset', token);
    const userId = sentTo ?? (await this.links.findOwner('printed_password_reset', token));
    const user = userId === null ? null : await this.users.findActive(userId);
    if (!user) throw new Problem('invalid_link');
    this.users.requireGoodPassword('newPassword', newPassword, user);
    const passwordHash = await this.passwords.hash(newPassword);
    await this.db.transaction(async (tx) => {
      const owner = await this.links.consume(tx, sentTo ? 'password_reset' : 'printed_password_reset', token);
      if (sentTo) await this.links.proveAddress(tx, owner);
      await this.replace(tx, owner, passwordHash, sentTo ? 'email' : null, client);
    });
  }

  /**
   * With a code that came by text message. Known and unknown identifiers cost the same, a hash included, and are
   * counted the same.
   * @throws Problem invalid_link, validation_failed
   */
  async withCode(identifier: string, code: string, newPassword: string, client: Client): Promise<void> {
    this.users.requireGoodPassword('newPassword', newPassword, null);
    const parsed = parseIdentifier(identifier);
    const key = resetKey(parsed?.canonical ?? identifier);
    const count = () => this.passwordFailures.spend(this.db, key);
    const passwordHash = await this.passwords.hash(newPassword, count);
    const user = parsed && (await this.users.findByIdentifier(parsed));
    const challenge = user?.active ? await findLatestChallengeOf(this.db, user.id, 'reset') : null;
    const answer =
      challenge &&
      (await this.attempts.check(challenge.id, 'reset', code, client, async (tx, { userId }) => {
        this.users.requireGoodPassword('newPassword', newPassword, await this.users.getActive(userId, tx));
        await this.replace(tx, userId, passwordHash, 'sms', client);
      }));
    if (!answer?.ok)
      throw new Problem('invalid_link', { detail: 'The code is wrong, was used or has expired. Ask for another.' });
    await this.passwordFailures.forgive(this.db, key);
  }

  private async replace(
    tx: EntityManager,
    userId: string,
    passwordHash: string,
    by: 'email' | 'sms' | null,
    client: Client,
  ): Promise<void> {
    await setPassword(tx, userId, passwordHash, by);
    await bumpEpoch(tx, userId);
    crashAt('resetting-password');
    await this.tokens.endSessionsOf(tx, userId, 'password_reset', { client });
    await this.audit.record(tx, 'user.password-reset', { userId, client }, {});
    await this.notifications.tell(tx, await this.users.getActive(userId, tx), { kind: 'password-changed' });
  }
}

/** What wrong codes for a new password are counted under; no request that is taken holds a NUL, so nobody can type it. */
export function resetKey(identifier: string): string {
  return `reset\0${identifier}`;
}

import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import { createHash, randomBytes } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { Notifications } from '../notifications/notifications.service.js';
import { Problem } from '../problems/problem.js';
import type { MethodType } from '../two-factor/policy.js';
import type { User } from '../users/user.entity.js';
import { Users } from '../users/users.service.js';
import {
  deleteTrustedBrowsers,
  findTrustedBrowsers,
  insertTrustedBrowser,
  rotateTrustedBrowser,
  type TrustedBrowser,
} from './trusted-browsers.queries.js';

/**
 * Browsers in which a user need not prove the second factor for a while. Off unless TRUSTED_BROWSER_TTL is set; a
 * session that began this way says `acr: aal1`, as only one factor was proved.
 */
@Injectable()
export class TrustedBrowsers {
  private readonly ttlSeconds: number | null;

  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly users: Users,
    private readonly notifications: Notifications,
    private readonly audit: Audit,
    { twoFactor }: Config,
  ) {
    this.ttlSeconds = twoFactor.trustedBrowserTtlSeconds;
  }

  /** @throws Problem trusted_browsers_off */
  requireOn(): void {
    if (this.ttlSeconds === null) throw new Problem('trusted_browsers_off');
  }

  /** Trusts the browser of a sign-in that has just proved a second factor by this method. */
  async trust(
    tx: EntityManager,
    { id: userId }: Pick<User, 'id'>,
    method: MethodType,
    client: Client,
  ): Promise<string> {
    const user = await this.users.getActive(userId, tx);
    const token = randomBytes(32).toString('base64url');
    await insertTrustedBrowser(tx, {
      id: uuidv7(),
      userId,
      tokenHash: hashOf(token),
      userAgent: client.userAgent,
      ip: client.ip,
      ttlSeconds: this.ttlSeconds ?? 0,
      method,
    });
    await this.audit.record(tx, 'browser.trusted', { userId, client }, {});
    await this.notifications.tell(tx, user, { kind: 'browser-trusted', browser: client.userAgent ?? '' });
    return token;
  }

  /** The successor of a token that is good for this user, and what was proved when his browser was trusted; else null. */
  async use(
    tx: EntityManager,
    user: User,
    token: string | undefined,
  ): Promise<{ token: string; method: MethodType } | null> {
    if (this.ttlSeconds === null || token === undefined) return null;
    const successor = randomBytes(32).toString('base64url');
    const used = await rotateTrustedBrowser(tx, user.id, hashOf(token), hashOf(successor));
    return used && { token: successor, method: used.method };
  }

  findAll(userId: string): Promise<TrustedBrowser[]> {
    return findTrustedBrowsers(this.db, userId);
  }

  /** Forgets one browser, or all where none is named. */
  async forget(userId: string, id: string | null, client: Client): Promise<void> {
    await this.db.transaction(async (tx) => {
      const forgotten = await deleteTrustedBrowsers(tx, userId, id);
      if (forgotten === 0 && id !== null) throw new Problem('not_found');
      if (forgotten > 0) await this.audit.record(tx, 'browser.forgotten', { userId, client }, { count: forgotten });
    });
  }
}

/** The token is 256 random bits, so a plain hash is enough; the purpose keeps it from fitting elsewhere. */
function hashOf(token: string): Buffer {
  return createHash('sha256').update(`trusted-browser\0${token}`).digest();
}

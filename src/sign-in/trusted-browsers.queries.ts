import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';
import type { MethodType } from '../two-factor/policy.js';

/** Dies with a change of the account's security: the epoch it was made in must be the present one. */
const ALIVE = `expires_at > now() AND epoch = (SELECT u.epoch FROM users u WHERE u.id = trusted_browsers.user_id)`;

export interface TrustedBrowser {
  id: string;
  userAgent: string | null;
  ip: string | null;
  createdAt: Date;
  lastUsedAt: Date;
  expiresAt: Date;
}

export async function insertTrustedBrowser(
  tx: EntityManager,
  browser: {
    id: string;
    userId: string;
    tokenHash: Buffer;
    userAgent: string | null;
    ip: string;
    ttlSeconds: number;
    method: MethodType;
  },
): Promise<void> {
  await rowsOf(
    tx,
    `INSERT INTO trusted_browsers (id, user_id, token_hash, user_agent, ip, created_at, last_used_at, expires_at, epoch,
                                   method)
     SELECT $1, id, $3, $4, $5, now(), now(), now() + make_interval(secs => $6), epoch, $7 FROM users WHERE id = $2`,
    [browser.id, browser.userId, browser.tokenHash, browser.userAgent, browser.ip, browser.ttlSeconds, browser.method],
  );
}

/** Uses a token up for its successor: of two browsers with the same stolen token one goes on. */
export function rotateTrustedBrowser(
  tx: EntityManager,
  userId: string,
  tokenHash: Buffer,
  successorHash: Buffer,
): Promise<{ method: MethodType } | null> {
  return firstRow<{ method: MethodType }>(
    tx,
    `UPDATE trusted_browsers SET token_hash = $3, last_used_at = now()
     WHERE user_id = $1 AND token_hash = $2 AND method IS NOT NULL AND ${ALIVE} RETURNING method`,
    [userId, tokenHash, successorHash],
  );
}

export function findTrustedBrowsers(db: EntityManager, userId: string): Promise<TrustedBrowser[]> {
  return rowsOf<TrustedBrowser>(
    db,
    `SELECT id, user_agent AS "userAgent", ip, created_at AS "createdAt", last_used_at AS "lastUsedAt",
            expires_at AS "expiresAt"
     FROM trusted_browsers WHERE user_id = $1 AND ${ALIVE} ORDER BY last_used_at DESC, id`,
    [userId],
  );
}

/** Forgets one browser of the user, or all of them; the number of those that were forgotten. */
export async function deleteTrustedBrowsers(tx: EntityManager, userId: string, id: string | null): Promise<number> {
  const rows = await rowsOf(
    tx,
    'DELETE FROM trusted_browsers WHERE user_id = $1 AND ($2::uuid IS NULL OR id = $2) RETURNING id',
    [userId, id],
  );
  return rows.length;
}

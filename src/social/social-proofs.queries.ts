import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';

/** Stores the hash of a nonce that is given out, and forgets some that are over: what strangers ask for must not pile up. */
export async function insertNonce(
  db: EntityManager,
  { provider, hash, ttlSeconds }: { provider: string; hash: Buffer; ttlSeconds: number },
): Promise<void> {
  await rowsOf(
    db,
    `WITH over AS (
       DELETE FROM social_proofs WHERE hash IN (
         SELECT hash FROM social_proofs WHERE expires_at < now() ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED))
     INSERT INTO social_proofs (hash, provider, expires_at) VALUES ($1, $2, now() + make_interval(secs => $3))`,
    [hash, provider, ttlSeconds],
  );
}

/** Whether a nonce of this provider can still be used; nothing happens to it. */
export async function isOpenNonce(db: EntityManager, provider: string, hash: Buffer): Promise<boolean> {
  const row = await firstRow(
    db,
    'SELECT 1 FROM social_proofs WHERE hash = $1 AND provider = $2 AND consumed_at IS NULL AND expires_at > now()',
    [hash, provider],
  );
  return row !== null;
}

/** Uses a nonce up: of parallel sign-ins with one ID token, one gets it. */
export async function consumeNonce(tx: EntityManager, provider: string, hash: Buffer): Promise<boolean> {
  const row = await firstRow(
    tx,
    `UPDATE social_proofs SET consumed_at = now()
     WHERE hash = $1 AND provider = $2 AND consumed_at IS NULL AND expires_at > now() RETURNING provider`,
    [hash, provider],
  );
  return row !== null;
}

/** Notes that an access token has come; false where it had before. Kept until the token ends by itself. */
export async function spendAccessToken(
  tx: EntityManager,
  { provider, hash, keepSeconds }: { provider: string; hash: Buffer; keepSeconds: number },
): Promise<boolean> {
  const row = await firstRow(
    tx,
    `INSERT INTO social_proofs (hash, provider, expires_at, consumed_at)
     VALUES ($1, $2, now() + make_interval(secs => $3), now()) ON CONFLICT DO NOTHING RETURNING provider`,
    [hash, provider, keepSeconds],
  );
  return row !== null;
}

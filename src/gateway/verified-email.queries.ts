import type { EntityManager } from 'typeorm';
import { firstRow } from '../database/sql.js';

/** Null unless a code came back from it: whoever registers another's address must not become him behind the gateway. */
export async function findVerifiedEmail(db: EntityManager, userId: string): Promise<string | null> {
  const row = await firstRow<{ email: string }>(
    db,
    'SELECT email FROM users WHERE id = $1 AND email_verified_at IS NOT NULL',
    [userId],
  );
  return row?.email ?? null;
}

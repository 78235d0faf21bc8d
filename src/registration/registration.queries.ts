import type { EntityManager } from 'typeorm';
import { rowsOf } from '../database/sql.js';

/** The address of a registration was proved: it is an account from now on. */
export async function endRegistering(tx: EntityManager, userId: string): Promise<void> {
  await rowsOf(
    tx,
    'UPDATE users SET registering_until = NULL, created_at = now(), updated_at = now() WHERE id = $1 AND registering_until IS NOT NULL',
    [userId],
  );
}

/** Removes registrations whose address nobody has proved in time, at most so many; how many. */
export async function deleteOverdueRegistrations(db: EntityManager, limit: number): Promise<number> {
  const removed = await rowsOf(
    db,
    `DELETE FROM users WHERE id IN (
       SELECT id FROM users WHERE registering_until <= now() ORDER BY registering_until LIMIT $1)
     AND registering_until <= now() RETURNING id`,
    [limit],
  );
  return removed.length;
}

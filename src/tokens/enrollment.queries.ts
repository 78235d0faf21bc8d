import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';

/** A change of the account's security (a new epoch) or its deactivation makes open enrollments worthless. */
const OPEN = `consumed_at IS NULL AND expires_at > now()
  AND epoch = (SELECT u.epoch FROM users u WHERE u.id = enrollments.user_id AND u.active)`;

export interface NewEnrollment {
  id: string;
  userId: string;
  proved: readonly string[];
  methods: readonly string[];
  lifetimeSeconds: number;
}

export async function insertEnrollment(tx: EntityManager, enrollment: NewEnrollment): Promise<void> {
  await rowsOf(
    tx,
    `INSERT INTO enrollments (id, user_id, proved, methods, created_at, expires_at, epoch)
     SELECT $1, id, $3, $4, now(), now() + make_interval(secs => $5), epoch FROM users WHERE id = $2`,
    [enrollment.id, enrollment.userId, enrollment.proved, enrollment.methods, enrollment.lifetimeSeconds],
  );
}

export function findOpenEnrollment(db: EntityManager, id: string): Promise<{ methods: string[] } | null> {
  return firstRow<{ methods: string[] }>(db, `SELECT methods FROM enrollments WHERE id = $1 AND ${OPEN}`, [id]);
}

/** Spends the enrollment: of parallel confirmations one gets what was proved, the others null. */
export function consumeEnrollment(tx: EntityManager, id: string): Promise<{ proved: string[] } | null> {
  return firstRow<{ proved: string[] }>(
    tx,
    `UPDATE enrollments SET consumed_at = now() WHERE id = $1 AND ${OPEN} RETURNING proved`,
    [id],
  );
}

import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';

/**
 * Whether this report was recorded before. Reports of one message wait for each other until the transaction ends, so
 * of two at the same time the second one sees the first.
 */
export async function isReported(tx: EntityManager, providerId: string, state: string): Promise<boolean> {
  await rowsOf(tx, 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [providerId]);
  const row = await firstRow<{ reported: boolean }>(
    tx,
    `SELECT EXISTS (
       SELECT FROM audit_events
       WHERE type = 'message.delivery' AND details->>'providerId' = $1 AND details->>'state' = $2
     ) AS reported`,
    [providerId, state],
  );
  return row?.reported === true;
}

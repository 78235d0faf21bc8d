import type { PoolClient } from 'pg';
import type { EntityManager } from 'typeorm';
import { waitFor } from './bounded-pool.js';
import { rowsOf } from './sql.js';

/**
 * Lets the statements of one transaction take longer than a request's may: for what an administrator does to everybody
 * at once. Only within a transaction; it ends with it.
 */
export async function allowSeconds(tx: EntityManager, seconds: number): Promise<void> {
  if (!tx.queryRunner?.isTransactionActive) throw new Error('Patience is for a transaction');
  waitFor((await tx.queryRunner.connect()) as PoolClient, (seconds + 2) * 1_000);
  await rowsOf(tx, "SELECT set_config('statement_timeout', $1, true)", [`${seconds}s`]);
}

import type { EntityManager } from 'typeorm';
import { firstRow } from '../database/sql.js';

/** Whether anybody can open the admin API. */
export async function hasActiveAdmin(tx: EntityManager): Promise<boolean> {
  return (await firstRow(tx, `SELECT id FROM users WHERE active AND roles @> '{admin}' LIMIT 1`, [])) !== null;
}

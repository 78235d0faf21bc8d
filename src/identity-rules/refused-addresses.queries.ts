import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';

export async function refuseAddress(tx: EntityManager, key: Buffer, seconds: number): Promise<void> {
  await rowsOf(
    tx,
    `INSERT INTO refused_addresses (key, until) VALUES ($1, now() + make_interval(secs => $2))
     ON CONFLICT (key) DO UPDATE SET until = excluded.until`,
    [key, seconds],
  );
}

export async function isAddressRefused(db: EntityManager, key: Buffer): Promise<boolean> {
  return (await firstRow(db, 'SELECT 1 FROM refused_addresses WHERE key = $1 AND until > now()', [key])) !== null;
}

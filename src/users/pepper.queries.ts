import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';

export interface KnownPepper {
  id: string;
  checkValue: Buffer;
}

export function findPeppers(db: EntityManager): Promise<KnownPepper[]> {
  return rowsOf<KnownPepper>(
    db,
    'SELECT id, check_value AS "checkValue" FROM password_peppers ORDER BY created_at',
    [],
  );
}

/** Of several replicas that start at once one writes it. */
export async function insertPepper(db: EntityManager, { id, checkValue }: KnownPepper): Promise<void> {
  await rowsOf(
    db,
    'INSERT INTO password_peppers (id, check_value, created_at) VALUES ($1, $2, now()) ON CONFLICT DO NOTHING',
    [id, checkValue],
  );
}

/** Whether any password still has this pepper. It reads all users, so it is asked only of a pepper that is gone. */
export async function isPepperUsed(db: EntityManager, id: string): Promise<boolean> {
  return (
    (await firstRow(db, `SELECT 1 FROM users WHERE split_part(password_hash, '$', 1) = $1 LIMIT 1`, [id])) !== null
  );
}

export async function deletePepper(db: EntityManager, id: string): Promise<void> {
  await rowsOf(db, 'DELETE FROM password_peppers WHERE id = $1', [id]);
}

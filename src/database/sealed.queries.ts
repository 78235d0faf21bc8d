import type { EntityManager } from 'typeorm';
import type { SealedColumn } from '../crypto/sealed-columns.js';
import { allowSeconds } from './patience.js';
import { rowsOf } from './sql.js';

/** The second part of `v1.<key id>.…`. */
const keyIdOf = (sealed: string) => `split_part(${sealed}, '.', 2)`;

/** Looking through a table of millions takes longer than the few seconds that a request may. */
const PATIENCE_SECONDS = 60;

export interface SealedRow {
  id: string;
  sealed: string;
}

/** The ids of keys that seal something and are not among these: one pass over each table. */
export function findMissingKeyIds(
  db: EntityManager,
  columns: readonly SealedColumn[],
  keyIds: readonly string[],
): Promise<string[]> {
  const parts = columns.map(
    ({ table, column }) => `SELECT ${keyIdOf(column)} AS id FROM ${table} WHERE ${keyIdOf(column)} <> ALL ($1)`,
  );
  return db.transaction(async (tx) => {
    await allowSeconds(tx, PATIENCE_SECONDS);
    const rows = await rowsOf<{ id: string }>(tx, `${parts.join(' UNION ')} ORDER BY id`, [keyIds]);
    return rows.map(({ id }) => id);
  });
}

/** How many texts each key seals, in each column and in jobs that are still to be done. */
export function countSealed(
  db: EntityManager,
  columns: readonly SealedColumn[],
): Promise<{ place: string; keyId: string; count: number }[]> {
  const parts = [
    ...columns.map(({ table, column }) => `SELECT '${table}.${column}' AS place, ${column} AS sealed FROM ${table}`),
    `SELECT 'queued messages', coalesce(payload ->> 'sealed', payload ->> 'sealedTo')
     FROM graphile_worker._private_jobs WHERE attempts < max_attempts`,
  ];
  return db.transaction(async (tx) => {
    await allowSeconds(tx, PATIENCE_SECONDS);
    return rowsOf(
      tx,
      `SELECT place, ${keyIdOf('sealed')} AS "keyId", count(*)::integer AS count
       FROM (${parts.join(' UNION ALL ')}) AS stored WHERE sealed IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2`,
      [],
    );
  });
}

/** The next rows, by id, that another key than this one seals. */
export function readBatch(
  db: EntityManager,
  { table, column, rowId, rowIdType }: SealedColumn,
  keyId: string,
  after: string | null,
  limit: number,
): Promise<SealedRow[]> {
  return rowsOf<SealedRow>(
    db,
    `SELECT ${rowId} AS id, ${column} AS sealed FROM ${table}
     WHERE ${keyIdOf(column)} <> $1 AND ($2::${rowIdType} IS NULL OR ${rowId} > $2::${rowIdType})
     ORDER BY ${rowId} LIMIT $3`,
    [keyId, after, limit],
  );
}

/** @returns how many rows still held what was read, and now hold the same secret sealed anew */
export async function replaceSealed(
  db: EntityManager,
  { table, column, rowId, rowIdType }: SealedColumn,
  rows: readonly (SealedRow & { resealed: string })[],
): Promise<number> {
  const replaced = await rowsOf(
    db,
    `UPDATE ${table} SET ${column} = anew.resealed
     FROM unnest($1::${rowIdType}[], $2::text[], $3::text[]) AS anew (id, sealed, resealed)
     WHERE ${table}.${rowId} = anew.id AND ${table}.${column} = anew.sealed RETURNING 1`,
    [rows.map(({ id }) => id), rows.map(({ sealed }) => sealed), rows.map(({ resealed }) => resealed)],
  );
  return replaced.length;
}

import type { EntityManager } from 'typeorm';
import { firstRow } from '../database/sql.js';
import type { ExpiredRows } from './expired-rows.js';

export interface Page {
  /** Where the next page begins; null where this was the last. */
  last: string | null;
  removed: number;
}

/**
 * Removes what has expired among the next rows in the order of their key. Walked by the primary key, a table needs no
 * index on when its rows end, and every statement is short. A row that somebody holds is left for the next time: nobody
 * who signs in meanwhile waits for this, nor this for him.
 */
export async function removeExpired(
  db: EntityManager,
  { table, key, keyType, expired }: ExpiredRows,
  after: string | null,
  size: number,
): Promise<Page> {
  const page = await firstRow<Page & { seen: number }>(
    db,
    `WITH page AS MATERIALIZED (
       SELECT ${key} AS key FROM ${table} WHERE $1::${keyType} IS NULL OR ${key} > $1 ORDER BY ${key} LIMIT $2),
     free AS MATERIALIZED (
       SELECT t.${key} AS key FROM ${table} t JOIN page ON t.${key} = page.key WHERE ${expired}
       ORDER BY t.${key} FOR UPDATE OF t SKIP LOCKED),
     gone AS (DELETE FROM ${table} t USING free WHERE t.${key} = free.key RETURNING 1)
     SELECT (SELECT key::text FROM page ORDER BY page.key DESC LIMIT 1) AS last, (SELECT count(*) FROM page)::int AS seen,
            (SELECT count(*) FROM gone)::int AS removed`,
    [after, size],
  );
  if (!page) throw new Error('A page of a table was not looked at');
  return { last: page.seen < size ? null : page.last, removed: page.removed };
}

import type { EntityManager } from 'typeorm';
import { firstRow } from '../database/sql.js';
import type { ExpiredRows } from './expired-rows.js';

export interface Page {
  /** Where the next page begins; null where this was the last. */
  last: string | Buffer | null;
  removed: number;
}

/**
 * Removes what has expired among the next rows in the order of their key. Walked by the primary key, a table needs no
 * index on when its rows end, and every statement is short: nobody who signs in meanwhile waits for it.
 */
export async function removeExpired(
  db: EntityManager,
  { table, key, keyType, expired }: ExpiredRows,
  after: string | Buffer | null,
  size: number,
): Promise<Page> {
  const page = await firstRow<Page & { seen: number }>(
    db,
    `WITH page AS MATERIALIZED (
       SELECT ${key} AS key FROM ${table} WHERE $1::${keyType} IS NULL OR ${key} > $1 ORDER BY ${key} LIMIT $2),
     gone AS (DELETE FROM ${table} t USING page WHERE t.${key} = page.key AND ${expired} RETURNING 1)
     SELECT (SELECT key FROM page ORDER BY key DESC LIMIT 1) AS last, (SELECT count(*) FROM page)::int AS seen,
            (SELECT count(*) FROM gone)::int AS removed`,
    [after, size],
  );
  if (!page) throw new Error('A page of a table was not looked at');
  return { last: page.seen < size ? null : page.last, removed: page.removed };
}

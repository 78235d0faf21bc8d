import { query } from './postgres.js';

export interface TableSize {
  table: string;
  rows: number;
  megabytes: number;
  indexMegabytes: number;
}

/** The tables that are worth a line: a megabyte and more. */
export function sizesOfTables(databaseUrl: string): Promise<TableSize[]> {
  return query<TableSize>(
    databaseUrl,
    `SELECT relname AS table, reltuples::float8 AS rows, (pg_table_size(oid) / 1048576)::int AS megabytes,
            (pg_indexes_size(oid) / 1048576)::int AS "indexMegabytes"
     FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_table_size(oid) >= 1048576
     ORDER BY pg_total_relation_size(oid) DESC`,
  );
}

/** Indexes that nothing has read since the database was made, but for those that hold a constraint. */
export async function unusedIndexes(databaseUrl: string): Promise<string[]> {
  const rows = await query<{ name: string; size: string }>(
    databaseUrl,
    `SELECT indexrelname AS name, pg_size_pretty(pg_relation_size(indexrelid)) AS size
     FROM pg_stat_user_indexes JOIN pg_index USING (indexrelid)
     WHERE schemaname = 'public' AND idx_scan = 0 AND NOT indisunique
     ORDER BY pg_relation_size(indexrelid) DESC, indexrelname`,
  );
  return rows.map(({ name, size }) => `${name} (${size})`);
}

import type { EntityManager } from 'typeorm';

/**
 * The rows of one statement. TypeORM answers `[rows, count]` for UPDATE and DELETE and plain rows for the rest;
 * here a statement always answers its rows, and "no row" is how a conditional update says no.
 */
export async function rowsOf<Row>(
  db: EntityManager,
  statement: string,
  parameters: readonly unknown[],
): Promise<Row[]> {
  const result: unknown = await db.query(statement, [...parameters]);
  if (!Array.isArray(result)) return [];
  const updated = result.length === 2 && Array.isArray(result[0]) && typeof result[1] === 'number';
  return (updated ? result[0] : result) as Row[];
}

export async function firstRow<Row>(
  db: EntityManager,
  statement: string,
  parameters: readonly unknown[],
): Promise<Row | null> {
  const rows = await rowsOf<Row>(db, statement, parameters);
  return rows[0] ?? null;
}

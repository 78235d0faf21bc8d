import { randomInt } from 'node:crypto';
import pg from 'pg';
import type { Config } from '../config/config.js';
import { isPooled } from '../database/pooled.js';
import { failed, ok, warning, type Check } from './check.js';

const NAME = 'direct database';
/** Milliseconds. */
const TIMEOUT = 5_000;
const LOCK_NUMBERS = 2 ** 31;

/** The way past the pooler, where DATABASE_DIRECT_URL names one. Nothing is written. */
export async function checkDirectDatabase({ storage }: Config): Promise<Check[]> {
  const { databaseUrl, directUrl } = storage;
  if (directUrl === databaseUrl) return [];
  const [usual, direct] = [clientFor(databaseUrl), clientFor(directUrl)];
  try {
    await usual.connect();
    return [await checkDirectly(direct, usual)];
  } finally {
    await usual.end();
  }
}

async function checkDirectly(direct: pg.Client, usual: pg.Client): Promise<Check> {
  try {
    await direct.connect();
    if (!(await leadToOneDatabase(direct, usual))) {
      const detail = 'DATABASE_DIRECT_URL leads to another database than DATABASE_URL; correct one of them';
      return failed(NAME, `${detail}: migrations would be applied there, and mails wait there`);
    }
    if (!(await isPooled(direct))) return ok(NAME, 'PostgreSQL itself, and the same database');
    const detail = 'DATABASE_DIRECT_URL leads to a pooler too; let it name PostgreSQL itself';
    return warning(NAME, `${detail}, else every request looks its session up`);
  } catch (cause) {
    const { code = 'no answer' } = cause as { code?: string };
    return failed(NAME, `DATABASE_DIRECT_URL leads to no database (${code}); start it, or correct the setting`);
  } finally {
    await direct.end();
  }
}

/** Names, addresses and ports may differ on the way to one database; a lock that the one takes is seen by the other. */
async function leadToOneDatabase(direct: pg.Client, usual: pg.Client): Promise<boolean> {
  const lock = [randomInt(LOCK_NUMBERS), randomInt(LOCK_NUMBERS)];
  // It ends with its transaction: behind a pooler a session's lock would stay with whoever has the connection next.
  await direct.query('BEGIN');
  await direct.query('SELECT pg_advisory_xact_lock($1, $2)', lock);
  const { rowCount } = await usual.query(
    `SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
     WHERE locktype = 'advisory' AND classid = $1 AND objid = $2 AND datname = current_database()`,
    lock,
  );
  await direct.query('ROLLBACK');
  return rowCount === 1;
}

function clientFor(connectionString: string): pg.Client {
  return new pg.Client({ connectionString, connectionTimeoutMillis: TIMEOUT, query_timeout: TIMEOUT });
}

import { Logger } from '@nestjs/common';
import { runMigrations } from 'graphile-worker';
import { Client, Pool } from 'pg';
import { DataSource, MigrationExecutor } from 'typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigurationError } from '../config/env.js';
import { databaseCodeOf } from '../problems/database-away.js';
import { migrations } from './migrations.js';
import { findUnfitness } from './unfitness.js';

const logger = new Logger('Database');

/** Any fixed number; it only has to be the same in every replica. */
const MIGRATION_LOCK = 4_227_001;
/** Others wait for as long as a migration takes, and this transaction does nothing meanwhile. */
const WAIT_AND_STAY = `BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0;
  SET LOCAL idle_in_transaction_session_timeout = 0`;
/**
 * Milliseconds that a migration waits for a table. Whoever comes after it waits as well, so behind a dump, which holds
 * its tables for hours, everybody's sign-in would.
 */
const LOCK_TIMEOUT = 1_000;
/** Milliseconds, as many as PostgreSQL knows: the driver leaves a 0 out, and the limit of the user would hold. */
const NO_TIMEOUT = 2_147_483_647;
/** Milliseconds before it is tried again. */
const LOCK_PAUSE = 5_000;
const LOCKED = '55P03';
/** Milliseconds; a host that swallows packets would else hold up the start for minutes. */
const CONNECT_TIMEOUT = 10_000;

/**
 * Applies what is pending: the tables of this service and those of its job queue. Replicas that start together
 * queue on an advisory lock, which dies with its process, so a killed migration blocks nobody. It is a transaction's
 * lock: a pooler would keep one of a session, and no replica would ever start again.
 *
 * @returns the names of the migrations that were applied
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  const lock = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: CONNECT_TIMEOUT });
  lock.on('error', sayLost);
  await lock.connect();
  try {
    const faults = await findUnfitness(lock);
    if (faults.length > 0) throw new ConfigurationError(faults);
    await lock.query(WAIT_AND_STAY);
    await lock.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    const applied = await migrateTables(databaseUrl);
    await migrateJobs(databaseUrl);
    return applied;
  } finally {
    await lock.end();
  }
}

export interface MigrationState {
  name: string;
  applied: boolean;
}

/** What {@link migrate} has applied here. Nothing is written, also where nothing has been applied yet. */
export async function findMigrationStates(databaseUrl: string): Promise<MigrationState[]> {
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: CONNECT_TIMEOUT });
  await client.connect();
  try {
    const { rows: found } = await client.query<{ tables: boolean; queue: boolean }>(
      `SELECT to_regclass('migrations') IS NOT NULL AS tables, to_regnamespace('graphile_worker') IS NOT NULL AS queue`,
    );
    const applied = found[0]?.tables ? await client.query<{ name: string }>('SELECT name FROM migrations') : null;
    const names = new Set(applied?.rows.map(({ name }) => name));
    return [
      ...migrations.map(({ name }) => ({ name, applied: names.has(name) })),
      { name: 'job queue', applied: found[0]?.queue === true },
    ];
  } finally {
    await client.end();
  }
}

async function migrateTables(databaseUrl: string): Promise<string[]> {
  const source = new DataSource({
    type: 'postgres',
    url: databaseUrl,
    installExtensions: false,
    migrations,
    extra: { lock_timeout: LOCK_TIMEOUT, statement_timeout: NO_TIMEOUT },
    // The other one writes to stdout, where a command's answer stands alone.
    logger: 'debug',
  });
  await source.initialize();
  try {
    const pending = await new MigrationExecutor(source).getPendingMigrations();
    while (!(await applyUnlessLocked(source))) await sleep(LOCK_PAUSE);
    return pending.map(({ name }) => name);
  } finally {
    await source.destroy();
  }
}

/** The queue's own tables, with its own migrations. */
async function migrateJobs(databaseUrl: string): Promise<void> {
  const pool = new Pool({
    connectionString: databaseUrl,
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    statement_timeout: NO_TIMEOUT,
  });
  pool.on('error', sayLost);
  pool.on('connect', (client) => client.on('error', sayLost));
  try {
    await runMigrations({ pgPool: pool, schema: 'graphile_worker' });
  } finally {
    await pool.end();
  }
}

/** Whoever waits for a statement is told by it. Unheard, the end of a connection that does nothing would end the process. */
function sayLost({ message }: Error): void {
  logger.warn(`A connection of the migrations was lost: ${message}`);
}

/** @returns false where somebody holds a table that a migration needs; those before it stay applied */
async function applyUnlessLocked(source: DataSource): Promise<boolean> {
  try {
    await source.runMigrations({ transaction: 'each' });
    return true;
  } catch (thrown) {
    if (databaseCodeOf(thrown) !== LOCKED) throw thrown;
    logger.warn('A migration waits for a table that somebody holds, such as a dump; it is tried again every 5 s');
    return false;
  }
}

import { runMigrations as migrateJobs } from 'graphile-worker';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { ConfigurationError } from '../config/env.js';
import { migrations } from './migrations.js';
import { findUnfitness } from './unfitness.js';

/** Any fixed number; it only has to be the same in every replica. */
const MIGRATION_LOCK = 4_227_001;
/** Others wait for as long as a migration takes, and this transaction does nothing meanwhile. */
const WAIT_AND_STAY = `BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0;
  SET LOCAL idle_in_transaction_session_timeout = 0`;
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
  await lock.connect();
  try {
    const faults = await findUnfitness(lock);
    if (faults.length > 0) throw new ConfigurationError(faults);
    await lock.query(WAIT_AND_STAY);
    await lock.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    const applied = await migrateTables(databaseUrl);
    await migrateJobs({ connectionString: databaseUrl, schema: 'graphile_worker' });
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
  const source = new DataSource({ type: 'postgres', url: databaseUrl, installExtensions: false, migrations });
  await source.initialize();
  try {
    const applied = await source.runMigrations({ transaction: 'each' });
    return applied.map((migration) => migration.name);
  } finally {
    await source.destroy();
  }
}

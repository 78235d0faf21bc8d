import pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { migrate } from '../../src/database/migrate.js';
import { LeaveSendsUnindexed1795356000000 } from '../../migrations/1795356000000-leave-sends-unindexed.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';

/** The migration tries again every five seconds. */
vi.setConfig({ testTimeout: 30_000 });

const { name } = new LeaveSendsUnindexed1795356000000();

let database: TestDatabase;
let dump: pg.Client;
let service: pg.Client;
beforeAll(async () => {
  database = await createDatabase();
  [dump, service] = [new pg.Client(database.url), new pg.Client(database.url)];
  await Promise.all([dump.connect(), service.connect()]);
});
afterAll(async () => {
  await Promise.all([dump.end(), service.end()]);
  await database.drop();
});

it('a migration that a dump is in the way of keeps nobody else waiting, and is applied when the dump is over', async () => {
  await undoLast();
  // As pg_dump does, for as long as it takes.
  await dump.query('BEGIN; LOCK TABLE destination_sends IN ACCESS SHARE MODE');
  const applied = migrate(database.url);

  await vi.waitFor(async () => expect(await waiting()).toBe(1), { timeout: 10_000 });
  await service.query('SET statement_timeout = 3000');
  await service.query('SELECT count(*) FROM destination_sends');
  expect((await dump.query('SELECT 1 FROM migrations WHERE name = $1', [name])).rowCount).toBe(0);
  await dump.query('COMMIT');
  expect(await applied).toEqual([name]);
});

it('a migration takes as long as it takes, whatever limit the database or its user has for statements', async () => {
  await undoLast();
  await service.query(`
    CREATE FUNCTION wait_a_moment() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.6); END $$;
    CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('DROP INDEX') EXECUTE FUNCTION wait_a_moment();
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET statement_timeout = 300', current_database()); END $$`);
  expect(await migrate(database.url)).toEqual([name]);
});

async function undoLast(): Promise<void> {
  await service.query('CREATE INDEX destination_sends_last_sent_at_idx ON destination_sends (last_sent_at)');
  await service.query('DELETE FROM migrations WHERE name = $1', [name]);
}

async function waiting(): Promise<number | null> {
  const locks = `SELECT 1 FROM pg_locks WHERE relation = 'destination_sends'::regclass AND NOT granted`;
  return (await service.query(locks)).rowCount;
}

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findMigrationStates } from '../../src/database/migrate.js';
import { startOwnPostgres, type OwnPostgres } from '../support/own-postgres.js';
import { endProcesses } from '../support/server-process.js';

let postgres: OwnPostgres;
beforeAll(async () => {
  postgres = await startOwnPostgres();
});
afterAll(() => postgres.remove());

const appliedNow = async () => (await findMigrationStates(postgres.url)).filter(({ applied }) => applied).length;

it('migrations that are killed in the middle, again and again, leave nothing half done and are finished later', async () => {
  // Each statement takes a tenth of a second, so that a kill lands between them.
  await postgres.sql(`
    CREATE FUNCTION wait_a_moment() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); END $$;
    CREATE EVENT TRIGGER slow ON ddl_command_end EXECUTE FUNCTION wait_a_moment()`);
  const seen: number[] = [];
  for (const patience of [300, 1_000, 1_500, 500]) {
    const started = postgres.startService().catch(() => null);
    await expect.poll(migrating, { timeout: 20_000, interval: 20 }).toBe(true);
    await sleep(patience);
    await expect.poll(migrating, { timeout: 10_000, interval: 5 }).toBe(true);
    await endProcesses();
    await started;
    seen.push(await appliedNow());
  }
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  await postgres.sql('DROP EVENT TRIGGER slow');

  const server = await postgres.startService();
  expect((await fetch(`${server.url}/health/ready`)).status).toBe(200);
  expect((await findMigrationStates(postgres.url)).every(({ applied }) => applied)).toBe(true);
}, 120_000);

/** Whether somebody runs a statement that changes tables. */
async function migrating(): Promise<boolean> {
  const rows = await postgres.sql(
    `SELECT pid FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep' AND pid <> pg_backend_pid()`,
  );
  return rows.length > 0;
}

import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { TestApp } from '../support/app.js';

/** Less than the second after which the service gives up waiting for a lock. */
const PATIENCE_MS = 700;

/**
 * Holds a row while `act` runs, until so many of the service's statements wait for it, and then lets them all go.
 * Every one of them has begun before any could see what another did: a race that luck would rarely show.
 * @returns what `act` gave, and how many were waiting at the end
 */
export async function pileUp<T>(
  app: TestApp,
  row: { table: 'users' | 'otp_devices' | 'failure_counters'; where: string; parameters?: readonly unknown[] },
  wanted: number,
  act: () => Promise<T>,
): Promise<{ result: T; waiting: number }> {
  const client = new pg.Client({ connectionString: app.database.url });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query(`SELECT 1 FROM ${row.table} WHERE ${row.where} FOR UPDATE`, [...(row.parameters ?? [])]);
    const result = act();
    const waiting = await untilWaiting(client, wanted);
    await client.query('COMMIT');
    return { result: await result, waiting };
  } finally {
    await client.end();
  }
}

async function untilWaiting(client: pg.Client, wanted: number): Promise<number> {
  let firstSeen = 0;
  for (let waiting = 0; ; await pause(5)) {
    const { rows } = await client.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'countersign' AND wait_event_type = 'Lock'`,
    );
    waiting = rows[0]?.count ?? 0;
    if (waiting > 0 && firstSeen === 0) firstSeen = performance.now();
    if (waiting >= wanted || (firstSeen > 0 && performance.now() - firstSeen > PATIENCE_MS)) return waiting;
  }
}

import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { send, type Wish } from '../support/gateway-client.js';
import { startOwnPostgres, type OwnPostgres } from '../support/own-postgres.js';
import { PASSWORD } from '../support/people.js';
import type { ServerProcess } from '../support/server-process.js';
import { isClean, Ledger, ROUNDS, type Entry } from './ledger.js';
import { mountSmallDisk, type SmallDisk } from './small-disk.js';

// Real: a process of the built service, and a PostgreSQL of its own that keeps tables, or its log, on a disk in memory,
// which is filled.

const NOT_HERE = 'needs root, and permission to mount a disk';

let disk: SmallDisk | null;
let postgres: OwnPostgres;
let server: ServerProcess;
const agent = new Agent({ keepAlive: true });
const ledger = new Ledger();
const registered: { email: string; entry: Entry }[] = [];

beforeEach(async () => {
  registered.length = 0;
  disk = mountSmallDisk(80);
  postgres = await startOwnPostgres();
});
afterEach(async () => {
  disk?.free();
  await postgres.remove();
  disk?.remove();
});

afterAll(() => agent.destroy());

const ask = async (wish: Wish) => (await send(agent, server.url, wish)).status;

async function register(): Promise<Entry> {
  const email = `person-${randomBytes(6).toString('hex')}@example.com`;
  const entry = await ledger.post(server.url, '/users', { email, password: PASSWORD });
  registered.push({ email, entry });
  return entry;
}

async function signedIn(): Promise<string> {
  const email = `reader-${randomBytes(6).toString('hex')}@example.com`;
  await ledger.post(server.url, '/users', { email, password: PASSWORD });
  const { body } = await ledger.post(server.url, '/auth/token', { identifier: email, password: PASSWORD });
  return String(body['accessToken']);
}

/** Registers people until that is refused; some still find room in the last pages. */
async function registerUntilRefused(): Promise<number | null> {
  for (let each = 0; each < 300; each += 1) {
    const { status } = await register();
    if (status !== 201) return status;
  }
  return 201;
}

async function writeToLog(megabytes: number): Promise<void> {
  const client = new pg.Client({ connectionString: postgres.url });
  client.on('error', () => undefined);
  await client.connect();
  const megabyte = `pg_logical_emit_message(false, 'fill', repeat('x', 1000000))`;
  await client.query(`SELECT ${megabyte} FROM generate_series(1, ${megabytes})`);
  await client.end();
}

async function expectClean(): Promise<void> {
  const rows = await postgres.sql<{ email: string; created: number }>(
    `SELECT email, (SELECT count(*)::integer FROM audit_events WHERE user_id = users.id AND type = 'user.created') AS created
     FROM users`,
  );
  const created = new Map(rows.map((row) => [row.email, row.created]));
  expect(registered.filter(({ email, entry }) => !isClean(entry, created.get(email) ?? 0))).toEqual([]);
  expect(registered.filter(({ entry }) => entry.status === 201).length).toBeGreaterThan(0);
}

describe.runIf(ROUNDS > 0)('a database whose disk is full', { timeout: 120_000 }, () => {
  it('of its tables: writes get 503, reads go on, and writes do once there is room', async ({ skip }) => {
    if (!disk) return skip(NOT_HERE);
    await postgres.sql(`CREATE TABLESPACE small LOCATION '${disk.folder}'`);
    await postgres.sql('ALTER DATABASE app SET default_tablespace = small');
    server = await postgres.startService();
    const token = await signedIn();

    disk.fill();
    expect(await registerUntilRefused()).toBe(503);
    for (let each = 0; each < 5; each += 1) {
      expect((await register()).status).toBe(503);
      const read = ['/health/live', '/.well-known/jwks.json', '/health/ready', '/api/v1/users/me'];
      expect(await Promise.all(read.map((path) => ask({ path, token })))).toEqual([200, 200, 200, 200]);
    }

    disk.free();
    expect((await register()).status).toBe(201);
    await expectClean();
  });

  it('of its log: it stops, everything that needs it gets 503, and all that was answered is there when it is back', async ({
    skip,
  }) => {
    if (!disk) return skip(NOT_HERE);
    const [place] = await postgres.sql<{ data_directory: string }>('SHOW data_directory');
    const log = join(place?.data_directory ?? '', 'pg_wal');
    await postgres.kill();
    execFileSync('mv', [log, disk.folder]);
    symlinkSync(join(disk.folder, 'pg_wal'), log);
    await postgres.restart();
    server = await postgres.startService();
    for (let each = 0; each < 5; each += 1) expect((await register()).status).toBe(201);

    disk.fill();
    // PostgreSQL cannot go on without its log, and cannot start again without room for it.
    await expect(writeToLog(40)).rejects.toThrow(/No space left|terminated/);
    for (let each = 0; each < 5; each += 1) {
      const others = ['/health/live', '/.well-known/jwks.json', '/health/ready'].map((path) => ask({ path }));
      expect([(await register()).status, ...(await Promise.all(others))]).toEqual([503, 200, 200, 503]);
    }

    disk.free();
    await postgres.restart();
    await expect.poll(() => ask({ path: '/health/ready' }), { timeout: 10_000 }).toBe(200);
    expect((await register()).status).toBe(201);
    await expectClean();
  });
});

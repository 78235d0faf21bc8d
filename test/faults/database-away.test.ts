import { randomBytes } from 'node:crypto';
import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { send, type Sent, type Wish } from '../support/gateway-client.js';
import { startOwnPostgres, type OwnPostgres } from '../support/own-postgres.js';
import { PASSWORD } from '../support/people.js';
import type { ServerProcess } from '../support/server-process.js';

// Real: a process of the built service, and a PostgreSQL of its own that is killed, cut off and made read-only.

let postgres: OwnPostgres;
let server: ServerProcess;
const agent = new Agent({ keepAlive: true });

beforeAll(async () => {
  postgres = await startOwnPostgres();
  server = await postgres.startService();
});
afterAll(async () => {
  agent.destroy();
  await postgres.remove();
});

const ask = (wish: Wish): Promise<Sent> => send(agent, server.url, wish);
const post = (path: string, body: object): Promise<Sent> => ask({ method: 'POST', path: `/api/v1${path}`, body });
const statusOf = async (path: string): Promise<number> => (await ask({ path })).status;

/** What a client wrote down about one person: null where it got no answer that says so. */
interface Entry {
  email: string;
  registered: boolean | null;
  signedIn: boolean | null;
}

/** Registers people and signs each in once, never repeating anything, until it is told to stop. */
function keepLedger() {
  const entries: Entry[] = [];
  const refusals: { status: number; retryAfter: string | undefined; ms: number }[] = [];
  let over = false;
  const did = async (path: string, body: object): Promise<boolean | null> => {
    const began = performance.now();
    const { status, headers } = await post(path, body);
    if (status < 300) return true;
    refusals.push({ status, retryAfter: headers['retry-after'] as string, ms: performance.now() - began });
    return status >= 500 ? null : false;
  };
  const clients = Array.from({ length: 8 }, async () => {
    while (!over) {
      const email = `person-${randomBytes(6).toString('hex')}@example.com`;
      const entry: Entry = { email, registered: null, signedIn: null };
      entries.push(entry);
      entry.registered = await did('/users', { email, password: PASSWORD });
      if (entry.registered) entry.signedIn = await did('/auth/token', { identifier: email, password: PASSWORD });
    }
  });
  return {
    entries,
    refusals,
    async stop() {
      over = true;
      await Promise.all(clients);
    },
  };
}

/** Acknowledged: it is there, once. Not acknowledged: at most once. */
async function expectClean(entries: Entry[]): Promise<void> {
  const rows = await postgres.sql<{ email: string; created: number; sessions: number }>(
    `SELECT email,
       (SELECT count(*)::integer FROM audit_events WHERE user_id = users.id AND type = 'user.created') AS created,
       (SELECT count(*)::integer FROM sessions WHERE user_id = users.id) AS sessions
     FROM users`,
  );
  const found = new Map(rows.map((row) => [row.email, row]));
  const wrong = entries.filter(({ email, registered, signedIn }) => {
    const { created, sessions } = found.get(email) ?? { created: 0, sessions: 0 };
    if (registered === true && created !== 1) return true;
    if (signedIn === true && sessions !== 1) return true;
    return created > 1 || sessions > 1;
  });
  expect(wrong).toEqual([]);
  expect(entries.filter(({ signedIn }) => signedIn).length).toBeGreaterThan(20);
}

async function healthyWithin(milliseconds: number): Promise<void> {
  await expect.poll(() => statusOf('/health/ready'), { timeout: milliseconds, interval: 50 }).toBe(200);
  expect((await post('/auth/token', { identifier: 'nobody@example.com', password: PASSWORD })).status).toBe(401);
}

it('outlives a database that is killed under load: 503 with Retry-After, and nothing lost or done twice', async () => {
  const ledger = keepLedger();
  await sleep(1_500);
  await postgres.kill();
  await sleep(1_500);
  expect(await statusOf('/health/live')).toBe(200);
  expect(await statusOf('/.well-known/jwks.json')).toBe(200);
  const ready = await ask({ path: '/health/ready' });
  expect([ready.status, ready.headers['retry-after']]).toEqual([503, '2']);
  expect(ready.body).toContain('database');
  await sleep(500);

  await postgres.restart();
  await healthyWithin(5_000);
  await sleep(1_000);
  await ledger.stop();

  expect(ledger.refusals.length).toBeGreaterThan(10);
  for (const { status, retryAfter, ms } of ledger.refusals) {
    expect([status, Number(retryAfter) <= 2]).toEqual([503, true]);
    expect(ms).toBeLessThan(4_000);
  }
  await expectClean(ledger.entries);
}, 60_000);

it('outlives connections that are cut at random', async () => {
  const ledger = keepLedger();
  for (let each = 0; each < 60; each += 1) {
    await postgres.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name LIKE 'countersign%' AND random() < 0.5`,
    );
    await sleep(50);
  }
  await sleep(500);
  await ledger.stop();
  expect(ledger.refusals.length).toBeGreaterThan(0);
  for (const { status } of ledger.refusals) expect(status).toBe(503);
  await healthyWithin(5_000);
  await expectClean(ledger.entries);
}, 60_000);

it('reads from a database that takes no writes, and refuses writes until it does', async () => {
  const email = `reader-${randomBytes(6).toString('hex')}@example.com`;
  await post('/users', { email, password: PASSWORD });
  const { body } = await post('/auth/token', { identifier: email, password: PASSWORD });
  const { accessToken: token } = JSON.parse(body) as { accessToken: string };
  const me = async () => (await ask({ path: '/api/v1/users/me', token })).status;

  await setReadOnly('on');
  expect(await me()).toBe(200);
  expect(await statusOf('/.well-known/jwks.json')).toBe(200);
  const written = await post('/users', { email: `new-${email}`, password: PASSWORD });
  expect([written.status, written.headers['retry-after']]).toEqual([503, '2']);
  const signedIn = await post('/auth/token', { identifier: email, password: PASSWORD });
  expect(signedIn.status).toBe(503);

  await setReadOnly('off');
  await healthyWithin(5_000);
  expect((await post('/users', { email: `new-${email}`, password: PASSWORD })).status).toBe(201);
}, 60_000);

/** As a failover does it: what is connected is cut, and whoever comes back may only read. */
async function setReadOnly(value: 'on' | 'off'): Promise<void> {
  await postgres.sql(`BEGIN READ WRITE; ALTER DATABASE app SET default_transaction_read_only = ${value}; COMMIT`);
  await postgres.sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'countersign%'`,
  );
  await sleep(300);
}

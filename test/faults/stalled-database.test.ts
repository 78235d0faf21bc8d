import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { send } from '../support/gateway-client.js';
import { startOwnPostgres, type OwnPostgres } from '../support/own-postgres.js';
import { PASSWORD } from '../support/people.js';
import type { ServerProcess } from '../support/server-process.js';

// Real: a process of the built service, and a PostgreSQL of its own whose processes are stopped while sockets stay open.

const EMAIL = 'somebody@example.com';

let postgres: OwnPostgres;
let server: ServerProcess;
let token: string;
const agent = new Agent({ keepAlive: true });

beforeAll(async () => {
  postgres = await startOwnPostgres();
  server = await postgres.startService({ DATABASE_POOL_SIZE: '2' });
  await post('/users', { email: EMAIL, password: PASSWORD });
  const { body } = await post('/auth/token', { identifier: EMAIL, password: PASSWORD });
  token = (JSON.parse(body) as { accessToken: string }).accessToken;
});
afterAll(async () => {
  postgres.goOn();
  agent.destroy();
  await postgres.remove();
});

const post = (path: string, body: object) => send(agent, server.url, { method: 'POST', path: `/api/v1${path}`, body });
const get = async (path: string) => (await send(agent, server.url, { path, token })).status;

async function timed(path: string): Promise<{ status: number; code: string | undefined; ms: number }> {
  const began = performance.now();
  const { status, body } = await send(agent, server.url, { path, token });
  const ms = performance.now() - began;
  return { status, code: (JSON.parse(body) as { code?: string }).code, ms };
}

/** MiB that the process holds. */
function memory(): number {
  const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1024;
}

it('a database that stands still costs seconds and no memory, and is used again once it goes on', async () => {
  await Promise.all(Array.from({ length: 200 }, () => get('/api/v1/users/me')));
  const before = memory();
  const answers: Awaited<ReturnType<typeof timed>>[] = [];
  postgres.stall();
  const until = Date.now() + 15_000;
  const clients = Array.from({ length: 40 }, async () => {
    while (Date.now() < until) {
      answers.push(await timed('/api/v1/users/me'));
      await sleep(20);
    }
  });
  const others = (async () => {
    await sleep(3_000);
    while (Date.now() < until) {
      const [live, jwks, ready] = await Promise.all(
        ['/health/live', '/.well-known/jwks.json', '/health/ready'].map((path) => timed(path)),
      );
      expect([live?.status, jwks?.status, ready?.status]).toEqual([200, 200, 503]);
      expect(Math.max(live?.ms ?? 0, jwks?.ms ?? 0)).toBeLessThan(2_000);
      expect(ready?.ms).toBeLessThan(4_000);
      await sleep(200);
    }
  })();
  await Promise.all([...clients, others]);

  expect(answers.length).toBeGreaterThan(80);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
  expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(8_000);
  expect(memory() - before).toBeLessThan(40);

  postgres.goOn();
  await expect.poll(() => get('/api/v1/users/me'), { timeout: 5_000 }).toBe(200);
  await expect.poll(() => get('/health/ready'), { timeout: 5_000 }).toBe(200);
  // Now and then one is seen that goes on, as the log's is each second; one that was left open stays.
  const open = () => postgres.sql(`SELECT pid FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'`);
  await expect.poll(open, { timeout: 5_000 }).toEqual([]);
}, 60_000);

it('of two hundred who sign in while it stands still nobody waits for those before him', async () => {
  postgres.stall();
  const began = performance.now();
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      post('/auth/token', { identifier: `nobody-${index}@example.com`, password: PASSWORD }),
    ),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
  expect(performance.now() - began).toBeLessThan(9_000);

  postgres.goOn();
  const signIn = async () => (await post('/auth/token', { identifier: EMAIL, password: PASSWORD })).status;
  await expect.poll(signIn, { timeout: 5_000 }).toBe(200);
}, 60_000);

it('a pool that is used up refuses what it cannot queue at once, and the rest of the service does not notice', async () => {
  // every statement on sessions waits for this one, and both connections with it
  const held = postgres.sql('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4); COMMIT');
  await sleep(300);
  const crowd = Array.from({ length: 300 }, () => timed('/api/v1/users/me'));
  const others = await Promise.all(['/health/live', '/.well-known/jwks.json', '/health/ready'].map(timed));
  expect(others.map(({ status }) => status)).toEqual([200, 200, 200]);
  const answers = await Promise.all(crowd);
  await held;

  // More came at once than two connections and fifty who wait for each.
  expect(answers.filter(({ code }) => code === 'busy').length).toBeGreaterThan(20);
  expect(answers.filter(({ status }) => status !== 503 && status !== 200)).toEqual([]);
  expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(8_000);
  expect(await get('/api/v1/users/me')).toBe(200);
}, 60_000);

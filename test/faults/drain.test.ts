import { Agent } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Gateway, send } from '../support/gateway-client.js';
import { PASSWORD } from '../support/people.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { endProcesses, newFolder, startProcess, type ServerProcess } from '../support/server-process.js';

// Real: processes, sockets, signals. What counts as lost is any connection error at all, and any 5xx.

const SECRET_KEY = 'Qm7rT2vX9kLp4Zs8Wd3Yf6Hb1Nc5Jg0AeUo';
const EMAIL = 'somebody@example.com';

let database: TestDatabase;
let agent: Agent;

beforeAll(async () => {
  database = await createDatabase();
  agent = new Agent({ keepAlive: true });
});
afterEach(() => endProcesses());
afterAll(async () => {
  agent.destroy();
  await database.drop();
});

function replica(extra: Record<string, string> = {}): Promise<ServerProcess> {
  return startProcess({
    DATA_DIR: newFolder(),
    DATABASE_URL: database.url,
    SECRET_KEY,
    DATABASE_POOL_SIZE: '6',
    THROTTLE_SIGN_IN_PER_IP: 'off',
    THROTTLE_SEND_PER_IP: 'off',
    THROTTLE_OVERALL_PER_IP: 'off',
    // all of them are one person, and a right password is an attempt until it has been compared
    PASSWORD_FREE_FAILURES: 'off',
    TWO_FACTOR_TRUSTED_METHODS: 'none',
    TWO_FACTOR_FALLBACK_METHOD: 'none',
    SESSIONS_PER_USER: '1000',
    ...extra,
  });
}

const signIn = { method: 'POST', path: '/api/v1/auth/token', body: { identifier: EMAIL, password: PASSWORD } };

async function register({ url }: ServerProcess): Promise<void> {
  const body = { email: EMAIL, password: PASSWORD };
  await send(agent, url, { method: 'POST', path: '/api/v1/users', body });
}

it('restarts of replicas behind a gateway lose no request, and every one ends with 0', async () => {
  const replicas = [await replica({ SHUTDOWN_DELAY: '2s' }), await replica({ SHUTDOWN_DELAY: '2s' })];
  await register(replicas[0] as ServerProcess);
  const urls = new Set(replicas.map(({ url }) => url));
  const gateway = new Gateway(urls);
  await gateway.look();

  const lost: string[] = [];
  let answered = 0;
  let over = false;
  const clients = Array.from({ length: 16 }, async (_, place) => {
    // mostly what comes most, and a few that take long
    const wish = place % 8 === 0 ? signIn : { path: '/.well-known/jwks.json' };
    while (!over) {
      const outcome = await gateway.send(wish).then(
        ({ status }) => (status < 400 ? null : String(status)),
        (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error),
      );
      if (outcome === null) answered += 1;
      else lost.push(`${wish.path}: ${outcome}`);
      await sleep(20);
    }
  });

  for (let round = 0; round < 2; round += 1) {
    const leaving = replicas.shift() as ServerProcess;
    expect(await leaving.end('SIGTERM')).toBe(0);
    urls.delete(leaving.url);
    const next = await replica({ SHUTDOWN_DELAY: '2s' });
    replicas.push(next);
    urls.add(next.url);
    await gateway.look();
  }
  over = true;
  await Promise.all(clients);
  gateway.close();

  expect(lost).toEqual([]);
  expect(answered).toBeGreaterThan(500);
}, 120_000);

it('requests that are being answered at SIGTERM are answered, and their connections closed', async () => {
  // Three at a time and a quarter of a second each: most of them wait for their turn when the signal comes.
  const slow = { ARGON2_MEMORY_KIB: '131072', ARGON2_ITERATIONS: '4' };
  const server = await replica(slow);
  await register(server);
  const answers = Array.from({ length: 12 }, async () => {
    const answer = await send(agent, server.url, signIn);
    return { ...answer, at: Date.now() };
  });
  await Promise.race(answers);
  const began = Date.now();
  const code = server.end('SIGTERM');
  const settled = await Promise.all(answers);
  expect(settled.map(({ status }) => status)).toEqual(Array(12).fill(200));
  const later = settled.filter(({ at }) => at > began + 100);
  expect(later.length).toBeGreaterThan(3);
  expect(later.map(({ headers }) => headers['connection'])).toEqual(later.map(() => 'close'));
  expect(await code).toBe(0);
  expect(Date.now() - began).toBeLessThan(25_000);
}, 60_000);

it('a client that keeps a connection open and says nothing holds nobody up', async () => {
  const server = await replica();
  const { port, hostname } = new URL(server.url);
  const idle = Array.from({ length: 20 }, () => connect(Number(port), hostname).on('error', () => undefined));
  await Promise.all(idle.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
  const used = new Agent({ keepAlive: true });
  await send(used, server.url, { path: '/health/live' });
  const began = Date.now();
  expect(await server.end('SIGTERM')).toBe(0);
  expect(Date.now() - began).toBeLessThan(5_000);
  used.destroy();
}, 60_000);

import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RedisWindows } from '../../src/throttling/redis-windows.js';
import { startApp, type TestApp } from '../support/app.js';
import { REDIS_SERVER, RedisServer } from '../support/redis-server.js';

const LIMITS = { THROTTLE_SIGN_IN_PER_IP: '30/1m' };

describe('the limit of sign-in requests of one address, at two replicas', () => {
  let first: TestApp;
  let second: TestApp;
  beforeAll(async () => {
    first = await startApp(LIMITS);
    second = await startApp(LIMITS, { replicaOf: first });
  });
  afterAll(async () => {
    await second.close();
    await first.close();
  });

  it('lets exactly as many through as one alone, also in parallel', async () => {
    expect(tally(await signIns([first, second], 80, '192.0.2.1'))).toEqual({ 400: 30, 429: 50 });
  });

  it('holds over a restart', async () => {
    await signIns([first], 30, '192.0.2.2');
    const restarted = await startApp(LIMITS, { replicaOf: first });
    expect(tally(await signIns([restarted], 1, '192.0.2.2'))).toEqual({ 429: 1 });
    await restarted.close();
  });

  it('ends a minute after the first request, by the clock of the database', async () => {
    await signIns([first, second], 31, '192.0.2.3');
    await first.clock.advance(61);
    const restarted = await startApp(LIMITS, { replicaOf: first });
    expect(tally(await signIns([restarted], 1, '192.0.2.3'))).toEqual({ 400: 1 });
    await restarted.close();
  });

  it('tells what is left, and how long until there is more', async () => {
    const [answer] = await signIns([first], 1, '192.0.2.4');
    expect(answer?.headers['ratelimit-policy']).toBe('"sign-in";q=30;w=60');
    expect(answer?.headers['ratelimit']).toMatch(/^"sign-in";r=29;t=(60|59)$/);
    await signIns([first, second], 29, '192.0.2.4');
    const [refused] = await signIns([second], 1, '192.0.2.4');
    expect(refused?.headers['ratelimit']).toMatch(/^"sign-in";r=0;t=\d+$/);
    expect(refused?.headers['retry-after']).toBe(/t=(\d+)/.exec(String(refused?.headers['ratelimit']))?.[1]);
  });

  it('costs the database nothing once it is reached: a flood is refused from memory', async () => {
    await signIns([first], 31, '192.0.2.5');
    const before = await hitsOf(first);
    expect(tally(await signIns([first], 200, '192.0.2.5'))).toEqual({ 429: 200 });
    expect(await hitsOf(first)).toEqual(before);
  });

  it('is kept without the address: a copy of the database tells nobody who was here', async () => {
    const [row] = await first.sql<{ keys: string }>(
      `SELECT string_agg(encode(key, 'escape'), ' ') AS keys FROM address_windows`,
    );
    expect(row?.keys.length).toBeGreaterThan(0);
    expect(row?.keys).not.toContain('192.0.2');
  });
});

describe.skipIf(REDIS_SERVER === null)('the same counted by a Redis', () => {
  const redis = new RedisServer();
  let first: TestApp;
  let second: TestApp;
  beforeAll(async () => {
    await redis.start();
    const settings = { ...LIMITS, REDIS_URL: redis.url };
    first = await startApp(settings);
    second = await startApp(settings, { replicaOf: first });
    await connected();
  });
  afterAll(async () => {
    await second.close();
    await first.close();
    await redis.remove();
  });

  it('holds for both replicas together, and the database counts nothing', async () => {
    expect(tally(await signIns([first, second], 80, '192.0.2.11'))).toEqual({ 400: 30, 429: 50 });
    expect(await hitsOf(first)).toEqual([]);
  });

  it('is counted by each process while Redis does not answer, and nobody waits long for that', async () => {
    redis.stall();
    const began = performance.now();
    expect(tally(await signIns([first, second], 80, '192.0.2.12'))).toEqual({ 400: 60, 429: 20 });
    expect(performance.now() - began).toBeLessThan(5_000);
    redis.wake();
  });

  it('waits in no queue without end while Redis stands still: a flood meanwhile takes no memory', async () => {
    const windows = new RedisWindows(redis.url);
    await windows.onModuleInit();
    const hit = () => windows.hit(Buffer.from('flooded'), 60);
    while (!(await hit().catch(() => null))) await pause(20);
    redis.stall();
    const counted = await Promise.allSettled(Array.from({ length: 5_000 }, hit));
    expect(counted.filter(({ status }) => status === 'fulfilled')).toEqual([]);
    redis.wake();
    let seen = null;
    while (!(seen = await hit().catch(() => null))) await pause(20);
    expect(seen.hits).toBeLessThan(1_100);
    windows.onApplicationShutdown();
  });

  it('is counted by each process while Redis is gone, and by both together when it is back', async () => {
    await redis.kill();
    expect(tally(await signIns([first, second], 80, '192.0.2.13'))).toEqual({ 400: 60, 429: 20 });
    await redis.start();
    await connected();
    expect(tally(await signIns([first, second], 80, '192.0.2.14'))).toEqual({ 400: 30, 429: 50 });
  });

  it('unlocks nothing that matters when Redis is emptied: wrong passwords are counted by the database', async () => {
    const body = { identifier: 'nobody@example.com', password: 'wrong' };
    for (let count = 0; count < 10; count += 1) await first.http.post('/auth/token', body);
    await redis.kill();
    await redis.start();
    expect((await second.http.post('/auth/token', body)).body).toMatchObject({ code: 'too_many_failures' });
  });

  /** Until what one counts is known to the other. */
  async function connected(): Promise<void> {
    for (let n = 0; ; n += 1) {
      const [one] = await signIns([first], 1, `198.51.100.${n}`);
      const [two] = await signIns([second], 1, `198.51.100.${n}`);
      if ([one, two].map((each) => /r=(\d+)/.exec(String(each?.headers['ratelimit']))?.[1]).join() === '29,28') return;
      await pause(50);
    }
  }
});

function signIns(replicas: TestApp[], count: number, remoteAddress: string) {
  return Promise.all(
    Array.from({ length: count }, (_, index) =>
      (replicas[index % replicas.length] as TestApp).app.inject({
        method: 'POST',
        url: '/api/v1/auth/token',
        remoteAddress,
        payload: {},
      }),
    ),
  );
}

function tally(answers: readonly { statusCode: number }[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { statusCode } of answers) counts[statusCode] = (counts[statusCode] ?? 0) + 1;
  return counts;
}

function hitsOf(app: TestApp): Promise<{ hits: number }[]> {
  return app.sql('SELECT hits FROM address_windows ORDER BY key');
}

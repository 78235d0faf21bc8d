import { verify } from '@node-rs/argon2';
import type * as Argon2 from '@node-rs/argon2';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { firstFactor, PASSWORD, register } from '../support/people.js';
import { fireAtOnce, outcomes, type Shot } from './burst.js';
import { pileUp } from './pile-up.js';

// The real one, counted.
vi.mock('@node-rs/argon2', async (load) => {
  const real = await load<typeof Argon2>();
  return { ...real, verify: vi.fn(real.verify) };
});

describe('two hundred wrong passwords at once', () => {
  let app: TestApp;
  let origin: string;
  beforeAll(async () => {
    app = await startApp({ DATABASE_POOL_SIZE: '10' });
    origin = await app.listen();
  });
  afterAll(() => app.close());
  beforeEach(() => {
    vi.mocked(verify).mockClear();
  });

  const guesses = (identifier: string): Shot[] =>
    Array.from({ length: 200 }, (_, index) => ({
      path: '/auth/token',
      body: { identifier, password: `guess number ${index}` },
    }));

  it.each([
    { whose: 'an account’s', identifierOf: async () => (await register(app)).email },
    { whose: 'nobody’s', identifierOf: () => Promise.resolve('nobody@example.com') },
    { whose: 'nobody’s, and no address either', identifierOf: () => Promise.resolve('no body') },
  ])('for $whose identifier: ten are looked at, the others wait', async ({ identifierOf }) => {
    const identifier = await identifierOf();

    const hits = await fireAtOnce([origin], guesses(identifier));

    expect(outcomes(hits)).toEqual({ '401 invalid_credentials': 10, '429 too_many_failures': 190 });
    expect(verify).toHaveBeenCalledTimes(10);

    const retryAfter = Number(hits.find(({ status }) => status === 429)?.headers['retry-after']);
    expect(retryAfter).toBeGreaterThan(25);
    expect(retryAfter).toBeLessThanOrEqual(30);
    const right = await firstFactor(app, identifier, PASSWORD);
    expect([right.status, right.body]).toMatchObject([429, { code: 'too_many_failures' }]);
    expect(verify).toHaveBeenCalledTimes(10);
  });

  it('are still ten when many had begun before the tenth was counted', async () => {
    const { email } = await register(app);
    for (let guess = 0; guess < 5; guess += 1) await firstFactor(app, email, 'wrong');
    vi.mocked(verify).mockClear();
    // Nobody else's attempts are in the table's last row.
    const row = {
      table: 'failure_counters',
      where: 'last_failure_at = (SELECT max(last_failure_at) FROM failure_counters)',
    } as const;

    const { result: hits, waiting } = await pileUp(app, row, 9, () =>
      fireAtOnce([origin], guesses(email).slice(0, 30)),
    );

    expect(waiting).toBeGreaterThan(5);
    expect(outcomes(hits)).toEqual({ '401 invalid_credentials': 5, '429 too_many_failures': 25 });
    expect(verify).toHaveBeenCalledTimes(5);
  });

  it('tell the owner once, however many follow; for nobody the same is noted, and nothing sent', async () => {
    const { email } = await register(app);
    const notes = async () => app.sql(`SELECT 1 FROM graphile_worker.jobs WHERE task_identifier = 'tell-of-pause'`);
    await fireAtOnce([origin], guesses(email).slice(0, 20));
    await app.mailbox.next(email, /Wrong passwords/);
    await app.clock.advance(31);
    await firstFactor(app, email, 'wrong');
    await fireAtOnce([origin], guesses('no one at all').slice(0, 20));
    await vi.waitFor(async () => expect(await notes()).toEqual([]));
    expect(app.mailbox.all(email).filter(({ subject }) => /Wrong passwords/.test(subject))).toHaveLength(1);
  });

  it('keep nobody out for good: after the pause the right password is looked at and forgets them', async () => {
    const { email } = await register(app);
    await fireAtOnce([origin], guesses(email).slice(0, 20));
    await app.clock.advance(30);
    expect((await firstFactor(app, email)).status).toBe(200);
    for (let guess = 0; guess < 10; guess += 1) expect((await firstFactor(app, email, 'wrong')).status).toBe(401);
    expect((await firstFactor(app, email, 'wrong')).status).toBe(429);
  });

  it('count for one identifier, however it is spelled', async () => {
    const { email } = await register(app);
    for (let guess = 0; guess < 10; guess += 1) {
      const spelled = [email, email.toUpperCase(), ` ${email} `][guess % 3] as string;
      expect((await firstFactor(app, spelled, 'wrong')).status).toBe(401);
    }
    expect((await firstFactor(app, email.toUpperCase(), PASSWORD)).status).toBe(429);
  });
});

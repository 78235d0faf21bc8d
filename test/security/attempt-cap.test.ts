import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import {
  firstFactor,
  personWithTotp,
  register,
  secondFactor,
  type Authenticator,
  type Person,
} from '../support/people.js';
import { fireAtOnce, outcomes, type Shot } from './burst.js';
import { pileUp } from './pile-up.js';
import { challengesOf, eventsOf, failuresOf, sessionsOf, wrongTotp } from './traces.js';

const GUESSES = 50;

function guesses(codeToken: string, code: string): Shot[] {
  return Array.from({ length: GUESSES }, () => ({ path: '/auth/token/second-factor', body: { codeToken, code } }));
}

describe('fifty guesses of one code token at once, without a gap between them, on two replicas', () => {
  let app: TestApp;
  let replica: TestApp;
  let origins: string[];
  const people: (Person & Authenticator)[] = [];

  beforeAll(async () => {
    const settings = { CODE_TOKEN_RETRY_WAIT: '0s', DATABASE_POOL_SIZE: '10' };
    app = await startApp(settings);
    for (let round = 0; round < 4; round += 1) people.push(await personWithTotp(app));
    replica = await startApp(settings, { replicaOf: app });
    origins = [await app.listen(), await replica.listen()];
  });
  afterAll(async () => {
    await replica.close();
    await app.close();
  });

  it.each([0, 1, 2, 3])(
    'spend exactly five attempts, and then even the right code is refused (round %i)',
    async (round) => {
      const { id, email, deviceId, secret } = people[round] as Person & Authenticator;
      const sessions = await sessionsOf(app, id);
      const { body } = await firstFactor(app, email);

      const hits = await fireAtOnce(origins, guesses(body.codeToken, wrongTotp(secret, app)));

      expect(outcomes(hits)).toEqual({ '401 invalid_code': 5, '403 too_many_attempts': 45 });
      expect((await challengesOf(app, id)).at(-1)).toEqual({ attempts: 5, consumed: false });
      expect(await failuresOf(app, deviceId)).toBe(5);
      expect(await eventsOf(app, id, 'second-factor.failed')).toBe(5);

      const right = await secondFactor(app, body.codeToken, totpCode(secret, app.clock));
      expect([right.status, right.body]).toMatchObject([403, { code: 'too_many_attempts' }]);
      expect((await challengesOf(app, id)).at(-1)?.attempts).toBe(5);
      expect(await sessionsOf(app, id)).toBe(sessions);
    },
  );

  it('spend no more where one of them is right: it signs in within the five, or not at all', async () => {
    for (const { id, email, secret } of people) {
      await app.clock.advance(900);
      const sessions = await sessionsOf(app, id);
      const { body } = await firstFactor(app, email);
      const shots = guesses(body.codeToken, wrongTotp(secret, app));
      shots[25] = {
        path: '/auth/token/second-factor',
        body: { codeToken: body.codeToken, code: totpCode(secret, app.clock) },
      };

      const {
        '200': signedIn = 0,
        '401 invalid_code': wrong = 0,
        ...refused
      } = outcomes(await fireAtOnce(origins, shots));

      const [challenge] = (await challengesOf(app, id)).slice(-1);
      // One that was counted before the right one was consumed, and compared after it, is told that it came too late.
      expect(signedIn + wrong + (refused['401 token_already_used'] ?? 0)).toBeGreaterThanOrEqual(
        challenge?.attempts ?? 0,
      );
      expect(challenge?.attempts).toBeLessThanOrEqual(5);
      expect(challenge?.consumed).toBe(signedIn === 1);
      expect(await sessionsOf(app, id)).toBe(sessions + signedIn);
    }
  });
});

describe('fifty guesses of one code token at once, with the default gap', () => {
  let app: TestApp;
  let origin: string;
  beforeAll(async () => {
    app = await startApp({ DATABASE_POOL_SIZE: '10' });
    origin = await app.listen();
  });
  afterAll(() => app.close());

  it.each([1, 2, 3])('spend one attempt, and the others are told to wait (round %i)', async () => {
    const { id, email } = await register(app);
    const { body } = await firstFactor(app, email);
    const code = await app.mailbox.code(email);

    const hits = await fireAtOnce([origin], guesses(body.codeToken, code === '1234567' ? '7654321' : '1234567'));

    expect(outcomes(hits)).toEqual({ '401 invalid_code': 1, '429 retry_too_soon': 49 });
    expect(hits.filter(({ status }) => status === 429).every(({ headers }) => headers['retry-after'] === '2')).toBe(
      true,
    );
    expect(await challengesOf(app, id)).toEqual([{ attempts: 1, consumed: false }]);

    const tooSoon = await secondFactor(app, body.codeToken, code);
    expect([tooSoon.status, tooSoon.body]).toMatchObject([429, { code: 'retry_too_soon' }]);
    await app.clock.advance(2);
    expect((await secondFactor(app, body.codeToken, code)).status).toBe(200);
    expect(await sessionsOf(app, id)).toBe(1);
  });

  it('let five codes be tried, two seconds apart, and no sixth, although the code token has not expired', async () => {
    const { id, email } = await register(app);
    const { body } = await firstFactor(app, email);
    const code = await app.mailbox.code(email);
    const statuses: number[] = [];
    for (let guess = 0; guess < 6; guess += 1) {
      statuses.push((await secondFactor(app, body.codeToken, guess < 5 ? '0000000x' : code)).status);
      await app.clock.advance(2);
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 403]);
    expect(await challengesOf(app, id)).toEqual([{ attempts: 5, consumed: false }]);
  });
});

describe('fifty guesses of one code token at once, where fewer attempts are allowed', () => {
  let app: TestApp;
  let origin: string;
  beforeAll(async () => {
    app = await startApp({ CODE_TOKEN_MAX_ATTEMPTS: '3', CODE_TOKEN_RETRY_WAIT: '0s', DATABASE_POOL_SIZE: '10' });
    origin = await app.listen();
  });
  afterAll(() => app.close());

  // The pause of the device begins at its fifth failure, so here the cap stands alone.
  it.each([1, 2, 3])('spend no more than those (round %i)', async () => {
    const { id, email } = await register(app);
    const { body } = await firstFactor(app, email);
    const code = await app.mailbox.code(email);

    const hits = await fireAtOnce([origin], guesses(body.codeToken, 'no code'));

    expect(outcomes(hits)).toEqual({ '401 invalid_code': 3, '403 too_many_attempts': 47 });
    expect(await challengesOf(app, id)).toEqual([{ attempts: 3, consumed: false }]);
    expect((await secondFactor(app, body.codeToken, code)).status).toBe(403);
  });

  it('spend no more than those, also when all of them had begun before the first was counted', async () => {
    const { id, email } = await register(app);
    const { body } = await firstFactor(app, email);
    const device = { table: 'otp_devices', where: 'id = $1', parameters: [body.device.id] } as const;

    const { result: hits, waiting } = await pileUp(app, device, 9, () =>
      fireAtOnce([origin], guesses(body.codeToken, 'no code')),
    );

    expect(waiting).toBeGreaterThan(3);
    expect(outcomes(hits)).toEqual({ '401 invalid_code': 3, '403 too_many_attempts': 47 });
    expect(await challengesOf(app, id)).toEqual([{ attempts: 3, consumed: false }]);
  });
});

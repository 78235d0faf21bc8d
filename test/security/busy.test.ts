import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import type { Answer } from '../support/http.js';
import { firstFactor, register, type Person, type SignedIn } from '../support/people.js';

/** More than one process hashes and lets wait. */
const CROWD = 150;
const FREE_FAILURES = 10;
const WRONG = 'not the right password';
const NEW_PASSWORD = 'four more uncommon words';

interface Heard {
  code: string;
}

describe('of a crowd that signs in at once, whoever is told to come back', () => {
  let app: TestApp;
  let person: Person;
  let token: string;
  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none', TWO_FACTOR_FALLBACK_METHOD: 'none' });
  });
  afterAll(() => app.close());
  beforeEach(async () => {
    person = await register(app);
    ({ accessToken: token } = (await firstFactor<SignedIn>(app, person.email)).body);
    await app.sql('DELETE FROM failure_counters');
  });

  /** A guess for an identifier of its own each, and right behind them some of another kind. */
  async function crowd(attempt: () => Promise<Answer<Heard>>) {
    const guesses = Array.from({ length: CROWD }, (_, index) =>
      firstFactor<Heard>(app, `nobody-${index}@example.com`, WRONG),
    );
    const behind = await Promise.all(Array.from({ length: FREE_FAILURES }, attempt));
    return { behind, all: [...(await Promise.all(guesses)), ...behind] };
  }

  const looked = (answers: Answer<Heard>[]) => answers.filter(({ body }) => body.code !== 'busy').length;

  const ATTEMPTS: Record<string, () => Promise<Answer<Heard>>> = {
    'at sign-in': () => firstFactor(app, person.email, WRONG),
    'at a change of the password': () =>
      app.http.post('/users/me/password', { currentPassword: WRONG, newPassword: NEW_PASSWORD }, { token }),
    'at a step-up': () => app.http.post('/auth/step-up', { password: WRONG }, { token }),
    'at a password reset': () =>
      app.http.post('/auth/password-reset/confirm', {
        identifier: person.email,
        code: '123456',
        newPassword: NEW_PASSWORD,
      }),
  };

  it.each(Object.keys(ATTEMPTS))('%s has not been counted, and everybody else has', async (way) => {
    const { behind, all } = await crowd(ATTEMPTS[way] as () => Promise<Answer<Heard>>);
    expect(looked(behind)).toBeLessThan(behind.length);
    const [row] = await app.sql('SELECT sum(failures)::int AS counted FROM failure_counters');
    expect(row).toEqual({ counted: looked(all) });
  });

  it('has as many guesses left as before', async () => {
    const { behind } = await crowd(() => firstFactor(app, person.email, WRONG));
    for (let guess = looked(behind); guess < FREE_FAILURES; guess += 1)
      expect((await firstFactor(app, person.email, WRONG)).status).toBe(401);
    expect((await firstFactor(app, person.email, WRONG)).status).toBe(429);
  });
});

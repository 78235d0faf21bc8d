import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { firstFactor, PASSWORD, personWithTotp, register, secondFactor } from '../support/people.js';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

/** Moves the database's clock and leaves the one of the process. */
const skewDatabase = (seconds: number) =>
  app.sql('UPDATE test_clock.shift SET by = make_interval(secs => $1)', [seconds]);

it.each([
  [90, 503],
  [-45, 503],
  [22, 503],
  [18, 200],
  [-18, 200],
  [0, 200],
])('a replica whose database is %i s ahead answers %i when asked whether it is ready', async (seconds, status) => {
  await skewDatabase(seconds);
  await new Promise((resolve) => setTimeout(resolve, 1_050));
  const answer = await app.app.inject({ method: 'GET', url: '/health/ready' });
  expect(answer.statusCode).toBe(status);
  if (status === 503) expect(answer.json()).toMatchObject({ detail: 'Not ready: clock.' });
  await skewDatabase(0);
});

it('a token of a replica that is ready is valid everywhere: it differs less than the leeway', async () => {
  const { leewaySeconds } = (await import('../../src/config/env.js')).readSettings({}).tokens;
  expect(leewaySeconds).toBeGreaterThan(20);
});

describe('F21: on a replica whose clock was set back by an hour', () => {
  const HOUR = 3600;
  /** Seconds that pass for the database; for the process it stays an hour earlier. */
  let passed = 0;
  const pass = (seconds: number) => skewDatabase(HOUR + (passed += seconds));
  beforeAll(() => pass(0));
  afterAll(() => skewDatabase(0));

  const problemOf = ({ status, body }: { status: number; body: unknown }) => [status, (body as { code?: string }).code];

  it('a mailed code lives no longer', async () => {
    const person = await register(app);
    const { body } = await firstFactor(app, person.email);
    const code = await app.mailbox.code(person.email);
    await pass(301);
    // The code token itself is a JWT, and this replica still takes it for timely.
    expect(problemOf(await secondFactor(app, body.codeToken, code))).toEqual([401, 'token_expired']);
  });

  it('a pause lasts no longer', async () => {
    const { email } = await register(app);
    const attempt = (password: string) => firstFactor<Record<string, unknown>>(app, email, password);
    for (let failure = 0; failure < 10; failure += 1) await attempt('not the password');
    const paused = await attempt(PASSWORD);
    expect(problemOf(paused)).toEqual([429, 'too_many_failures']);
    await pass(Number(paused.headers['retry-after']) + 1);
    expect((await attempt(PASSWORD)).status).toBe(200);
  });

  it('a code of an app is judged by the database’s time, and good once', async () => {
    await skewDatabase(0);
    const person = await personWithTotp(app);
    await pass(60);
    const stale = await firstFactor(app, person.email);
    // What the app shows by the replica's clock is an hour old.
    expect(problemOf(await secondFactor(app, stale.body.codeToken, totpCode(person.secret, app.clock)))).toEqual([
      401,
      'invalid_code',
    ]);
    await pass(3);
    // Enrolling moved the process's clock by a minute.
    const code = totpCode(person.secret, app.clock, (HOUR + passed - 60) / 30);
    expect((await secondFactor(app, stale.body.codeToken, code)).status).toBe(200);
    const again = await firstFactor(app, person.email);
    expect(problemOf(await secondFactor(app, again.body.codeToken, code))).toEqual([401, 'invalid_code']);
  });
});

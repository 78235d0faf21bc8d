import { afterAll, beforeAll, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';

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

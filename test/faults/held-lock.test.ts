import pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { firstFactor, register, secondFactor, type Person } from '../support/people.js';

// Real: somebody else holds the row of a person for longer than one wait for a lock lasts (1.5 s).

let app: TestApp;
let other: pg.Client;

beforeAll(async () => {
  app = await startApp({ CODE_TOKEN_RETRY_WAIT: '0s' });
});
afterAll(() => app.close());

beforeEach(async () => {
  other = new pg.Client({ connectionString: app.database.url });
  await other.connect();
});
afterEach(() => other.end());

async function hold({ id }: Person): Promise<void> {
  await other.query('BEGIN');
  await other.query('SELECT FROM users WHERE id = $1 FOR UPDATE', [id]);
}

describe('a person whose row somebody else holds', () => {
  it('for two seconds signs in, with one session', async () => {
    const person = await register(app);
    const { codeToken } = (await firstFactor(app, person.email)).body;
    const code = await app.mailbox.code(person.email);
    await hold(person);
    const signedIn = secondFactor(app, codeToken, code);
    await sleep(2_000);
    await other.query('COMMIT');
    expect((await signedIn).status).toBe(200);
    expect(await app.sql('SELECT FROM sessions WHERE user_id = $1', [person.id])).toHaveLength(1);
  });

  it('for longer is told to come back, after two waits, and then signs in with the same code', async () => {
    const person = await register(app);
    const { codeToken } = (await firstFactor(app, person.email)).body;
    const code = await app.mailbox.code(person.email);
    await hold(person);
    const began = performance.now();
    const refused = await secondFactor(app, codeToken, code);
    expect([refused.status, refused.body]).toMatchObject([503, { code: 'unavailable' }]);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(performance.now() - began).toBeLessThan(9_000);
    await other.query('COMMIT');
    expect((await secondFactor(app, codeToken, code)).status).toBe(200);
  });
});

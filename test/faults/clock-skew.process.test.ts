import { existsSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startApp, TEST_SECRET, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { PASSWORD, personWithTotp, register, signInByMail, type Person } from '../support/people.js';
import { endProcesses, newFolder, startProcess, type ServerProcess } from '../support/server-process.js';
import { shiftedUrl } from '../support/test-clock.js';
import { Ledger } from './ledger.js';

// Real: a process of the built service whose own clock is wrong (libfaketime), beside a replica whose clock is right.

const LIBRARY = ['x86_64-linux-gnu', 'aarch64-linux-gnu']
  .map((place) => `/usr/lib/${place}/faketime/libfaketime.so.1`)
  .find(existsSync);
if (!LIBRARY) console.warn('No process gets a wrong clock: libfaketime is not installed');

const PASSWORD_ONLY = { TWO_FACTOR_TRUSTED_METHODS: 'none', TWO_FACTOR_FALLBACK_METHOD: 'none' };

describe.runIf(LIBRARY)('a process whose clock is wrong', { timeout: 60_000 }, () => {
  let app: TestApp;
  const ledger = new Ledger();
  beforeAll(async () => {
    app = await startApp();
  });
  // A process of its own tells the real time, and so must the replica beside it.
  beforeEach(() => app.clock.advance((Date.now() - app.clock.now().getTime()) / 1_000));
  afterEach(endProcesses);
  afterAll(() => app.close());

  const startAt = (seconds: number, settings: Record<string, string> = {}): Promise<ServerProcess> =>
    startProcess({
      LD_PRELOAD: LIBRARY ?? '',
      FAKETIME: `${seconds < 0 ? '' : '+'}${seconds}s`,
      // A jump of the wall clock does not move timers.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NODE_ENV: 'test',
      SECRET_KEY: TEST_SECRET,
      PUBLIC_URL: 'https://id.example.test',
      DATA_DIR: newFolder(),
      DATABASE_URL: shiftedUrl(app.database.url),
      MIGRATE_ON_START: 'off',
      CODE_TOKEN_RETRY_WAIT: '0s',
      ...settings,
    });

  const signIn = (url: string, { email }: Person) =>
    ledger.post(url, '/auth/token', { identifier: email, password: PASSWORD });

  it.each([90, -45])('F20: by %i s is not ready', async (seconds) => {
    const { url } = await startAt(seconds);
    const answer = await fetch(`${url}/health/ready`);
    expect([answer.status, await answer.json()]).toMatchObject([503, { detail: 'Not ready: clock.' }]);
  });

  it.each([15, -15])('F20: by %i s is ready, and takes and gives tokens that are valid everywhere', async (seconds) => {
    const person = await register(app);
    const { accessToken } = await signInByMail(app, person);
    const { url } = await startAt(seconds, PASSWORD_ONLY);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    const me = await fetch(`${url}/api/v1/users/me`, { headers: { authorization: `Bearer ${accessToken}` } });
    expect(me.status).toBe(200);
    const { body } = await signIn(url, person);
    expect((await app.http.get('/users/me', { token: String(body['accessToken']) })).status).toBe(200);
  });

  it('F21: by an hour, set back: a code is judged by the database’s time, is good once, and lives no longer', async () => {
    const person = await personWithTotp(app);
    const { url } = await startAt(-3_600);
    const answer = async (code: string, late = 0) => {
      const asked = await signIn(url, person);
      await app.clock.advance(late);
      const body = { codeToken: asked.body['codeToken'], code };
      const { status, body: answered } = await ledger.post(url, '/auth/token/second-factor', body);
      return [status, answered['code']];
    };
    const hourAgo = totpCode(person.secret, app.clock, -120);
    expect(await answer(hourAgo)).toEqual([401, 'invalid_code']);
    const code = totpCode(person.secret, app.clock);
    expect(await answer(code)).toEqual([200, undefined]);
    expect(await answer(code)).toEqual([401, 'invalid_code']);
    // By its own clock the code token has an hour to live.
    expect(await answer(totpCode(person.secret, app.clock), 301)).toEqual([401, 'token_expired']);
  });
});

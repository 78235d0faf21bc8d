import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startApp, TEST_SECRET, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { inviteAndRead } from '../support/invitations.js';
import { resetLink, tokenOf } from '../support/links.js';
import {
  administrator,
  firstFactor,
  PASSWORD,
  personWithTotp,
  register,
  secondFactor,
  signInByMail,
} from '../support/people.js';
import { endProcesses, newFolder, startProcess, type ServerProcess } from '../support/server-process.js';
import { shiftedUrl } from '../support/test-clock.js';
import { Ledger, ROUNDS, type Entry } from './ledger.js';

// Real: a process of the built service that dies in the middle, and a second replica on the same database, which
// people go to afterwards.

let app: TestApp;
let dying: ServerProcess | null = null;
const ledger = new Ledger();
const NEW_PASSWORD = 'four other uncommon words';

beforeAll(async () => {
  app = await startApp({ CODE_TOKEN_RETRY_WAIT: '0s' });
});
// A process of its own tells the real time, and refuses tokens of the future.
const toThePresent = () => app.clock.advance((Date.now() - app.clock.now().getTime()) / 1_000);
beforeEach(toThePresent);
afterEach(async () => {
  await dying?.end('SIGKILL');
  dying = null;
});
afterAll(async () => {
  await endProcesses();
  await app.close();
});

async function startDying(point: string): Promise<ServerProcess> {
  dying = await startProcess({
    NODE_ENV: 'test',
    SECRET_KEY: TEST_SECRET,
    PUBLIC_URL: 'https://id.example.test',
    DATA_DIR: newFolder(),
    // The test's clock may have moved on, and this process must see what the replica sees.
    DATABASE_URL: shiftedUrl(app.database.url),
    // They would all be made once more, in the schema of that clock.
    MIGRATE_ON_START: 'off',
    CODE_TOKEN_RETRY_WAIT: '0s',
    CRASH_AT: point,
  });
  return dying;
}

/** What somebody gets who asks a replica that dies at this point: nothing. */
async function askDying(point: string, path: string, body: object, token?: string): Promise<Entry> {
  const { url } = await startDying(point);
  const entry = await ledger.post(url, path, body, token);
  expect(entry.status).toBeNull();
  return entry;
}

const count = async (query: string, parameters: unknown[]): Promise<number> =>
  (await app.sql<{ n: number }>(`SELECT count(*)::integer AS n FROM ${query}`, parameters))[0]?.n ?? NaN;
const events = (type: string, userId: string) => count('audit_events WHERE type = $1 AND user_id = $2', [type, userId]);

describe('a process that dies', { timeout: 60_000 }, () => {
  it('between the charge and the check of a guess: the attempt stays charged, and the right code is still good', async () => {
    const person = await register(app);
    const { codeToken } = (await firstFactor(app, person.email)).body;
    const code = await app.mailbox.code(person.email);
    const attempts = () => count('challenges, generate_series(1, attempts) WHERE user_id = $1', [person.id]);
    await askDying('charged-but-not-checked', '/auth/token/second-factor', { codeToken, code });

    expect([await attempts(), await count('sessions WHERE user_id = $1', [person.id])]).toEqual([1, 0]);
    expect((await secondFactor(app, codeToken, code)).status).toBe(200);
    expect([await attempts(), await count('sessions WHERE user_id = $1', [person.id])]).toEqual([2, 1]);
  });

  it('after a code was spent and before the answer: the code is spent, and a new sign-in works', async () => {
    const person = await register(app);
    const { codeToken } = (await firstFactor(app, person.email)).body;
    const code = await app.mailbox.code(person.email);
    await askDying('consumed-but-not-answered', '/auth/token/second-factor', { codeToken, code });

    const again = await secondFactor(app, codeToken, code);
    expect([again.status, (again.body as unknown as { code: string }).code]).toEqual([401, 'token_already_used']);
    // One at most, and nobody has its tokens.
    expect(await count('sessions WHERE user_id = $1', [person.id])).toBe(1);
    await app.clock.advance(61);
    expect((await signInByMail(app, person)).status).toBe('authenticated');
  });

  it.runIf(ROUNDS > 0)(
    'in the middle of the confirmation of a device: nothing of it happened, and it works the second time',
    async () => {
      const admin = await administrator(app);
      const person = await register(app);
      const demand = { required: true, methods: ['totp'] };
      await app.http.patch(`/admin/users/${person.id}/two-factor`, demand, { token: admin.token });
      await toThePresent();
      const { codeToken } = (await firstFactor(app, person.email)).body;
      const proved = await secondFactor<{ enrollmentToken: string }>(
        app,
        codeToken,
        await app.mailbox.code(person.email),
      );
      const token = proved.body.enrollmentToken;
      const device = (await app.http.post<{ id: string; secret: string }>('/otp-devices', { type: 'totp' }, { token }))
        .body;
      const code = totpCode(device.secret, app.clock);
      await askDying('confirming-device', `/otp-devices/${device.id}/confirm`, { code }, token);

      const done = async () => [
        await count('otp_devices WHERE id = $1 AND confirmed_at IS NOT NULL', [device.id]),
        await count('sessions WHERE user_id = $1', [person.id]),
        await events('recovery-codes.created', person.id),
        await events('device.confirmed', person.id),
      ];
      expect(await done()).toEqual([0, 0, 0, 0]);
      expect((await app.http.post(`/otp-devices/${device.id}/confirm`, { code }, { token })).status).toBe(200);
      expect(await done()).toEqual([1, 1, 1, 1]);
    },
  );

  it.runIf(ROUNDS > 0)('in the middle of a password reset: the old password and the link are still good', async () => {
    const person = await register(app);
    await signInByMail(app, person);
    const token = tokenOf(await resetLink(app, person.email));
    const body = { token, newPassword: NEW_PASSWORD };
    await askDying('resetting-password', '/auth/password-reset/confirm', body);

    const open = () => count('sessions WHERE user_id = $1 AND ended_at IS NULL', [person.id]);
    expect([await open(), await events('user.password-reset', person.id)]).toEqual([1, 0]);
    expect((await firstFactor(app, person.email, PASSWORD)).status).toBe(200);
    expect((await app.http.post('/auth/password-reset/confirm', body)).status).toBe(204);
    expect([await open(), await events('user.password-reset', person.id)]).toEqual([0, 1]);
    expect((await firstFactor(app, person.email, PASSWORD)).status).toBe(401);
  });

  it.runIf(ROUNDS > 0)(
    'in the middle of an acceptance: there is no account, and the invitation is still good',
    async () => {
      const admin = await administrator(app);
      const email = `guest-${Date.now()}@example.com`;
      const { token } = await inviteAndRead(app, admin.token, email);
      const body = { token, password: PASSWORD };
      await askDying('accepting-invitation', '/invitations/accept', body);

      expect(await count('users WHERE email_canonical = $1', [email])).toBe(0);
      expect((await app.http.post('/invitations/accept', body)).status).toBe(200);
      expect(await count('users WHERE email_canonical = $1', [email])).toBe(1);
      expect((await app.http.post('/invitations/accept', body)).status).toBeGreaterThanOrEqual(400);
      expect(await count('users WHERE email_canonical = $1', [email])).toBe(1);
    },
  );

  it.runIf(ROUNDS > 0)('between the old recovery codes and the new ones: the old sheet is whole', async () => {
    const person = await personWithTotp(app);
    const { accessToken: token } = person.session;
    const sheets = () =>
      app.sql<{ id: string; codes: number }>(
        `SELECT d.id, count(c.hash)::integer AS codes FROM otp_devices d JOIN recovery_codes c ON c.device_id = d.id
         WHERE d.user_id = $1 GROUP BY d.id`,
        [person.id],
      );
    const before = await sheets();
    expect(before).toHaveLength(1);
    await askDying('replacing-recovery-codes', '/otp-devices', { type: 'recovery_codes' }, token);
    expect(await sheets()).toEqual(before);
    expect((await app.http.post('/otp-devices', { type: 'recovery_codes' }, { token })).status).toBe(201);
    const [after, ...others] = await sheets();
    expect([after?.codes, others, after?.id === before[0]?.id]).toEqual([before[0]?.codes, [], false]);
  });

  it('after a refresh was stored and before the answer: who asks again gets the one successor', async () => {
    const person = await register(app);
    const { refreshToken } = await signInByMail(app, person);
    await askDying('refreshed-but-not-answered', '/auth/token/refresh', { refreshToken });

    const again = () => app.http.post<{ refreshToken: string }>('/auth/token/refresh', { refreshToken });
    const [first, second] = [await again(), await again()];
    expect([first.status, second.body.refreshToken]).toEqual([200, first.body.refreshToken]);
    const next = await app.http.post('/auth/token/refresh', { refreshToken: first.body.refreshToken });
    expect(next.status).toBe(200);
    expect(await count('sessions WHERE user_id = $1 AND refresh_counter = 2 AND ended_at IS NULL', [person.id])).toBe(
      1,
    );
  });
});

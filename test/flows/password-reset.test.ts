import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fireAtOnce, outcomes } from '../security/burst.js';
import { eventsOf, sessionsOf } from '../security/traces.js';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { magicLink, nextLink, resetLink, tokenOf } from '../support/links.js';
import {
  firstFactor,
  PASSWORD,
  personWithTotp,
  register,
  secondFactor,
  signInByMail,
  type Asked,
} from '../support/people.js';

const NEW_PASSWORD = 'four other uncommon words';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const confirm = (token: string, newPassword = NEW_PASSWORD) =>
  app.http.post<{ code?: string; errors?: { field: string }[] }>('/auth/password-reset/confirm', {
    token,
    newPassword,
  });

describe('a password reset', () => {
  it('changes the password, signs nobody in, and the next sign-in asks the second factor', async () => {
    const person = await personWithTotp(app);
    const link = await resetLink(app, person.email);
    expect(`${link.origin}${link.pathname}`).toBe('https://id.example.test/reset-password');
    const done = await confirm(tokenOf(link));
    expect([done.status, done.text]).toEqual([204, '']);
    expect(done.headers['set-cookie']).toBeUndefined();
    expect(await sessionsOf(app, person.id)).toBe(0);

    expect((await firstFactor(app, person.email, PASSWORD)).status).toBe(401);
    const asked = await firstFactor(app, person.email, NEW_PASSWORD);
    expect(asked.body).toMatchObject({ status: 'second_factor_required', device: { id: person.deviceId } });
    const signedIn = await secondFactor(app, asked.body.codeToken, totpCode(person.secret, app.clock));
    expect(signedIn.status).toBe(200);
  });

  it('ends every session and its access tokens before it answers (T11)', async () => {
    const person = await register(app);
    const sessions = [await signInByMail(app, person), await signInByMail(app, person)];
    const { status } = await confirm(tokenOf(await resetLink(app, person.email)));
    expect(status).toBe(204);
    for (const { accessToken, refreshToken } of sessions) {
      expect((await app.http.get('/users/me', { token: accessToken })).status).toBe(401);
      expect((await app.http.post('/auth/token/refresh', { refreshToken })).status).toBe(401);
      const { body } = await app.http.post('/auth/token/verify', { token: accessToken });
      expect(body).toEqual({ active: false });
    }
  });

  it('voids code tokens, codes and links that were open', async () => {
    const person = await personWithTotp(app);
    const open = await firstFactor(app, person.email);
    const magic = await magicLink(app, person.email);
    await app.clock.advance(61);
    expect((await app.http.post('/auth/otp', { identifier: person.email })).status).toBe(202);
    const code = await app.mailbox.code(person.email);
    await app.clock.advance(61);
    expect((await confirm(tokenOf(await resetLink(app, person.email)))).status).toBe(204);

    const late = await secondFactor<{ code: string }>(app, open.body.codeToken, totpCode(person.secret, app.clock));
    expect([late.status, late.body.code]).toEqual([401, 'token_expired']);
    expect((await app.http.post('/auth/magic-link/redeem', { token: tokenOf(magic) })).status).toBe(400);
    const byCode = await app.http.post('/auth/token', { identifier: person.email, code });
    expect([byCode.status, byCode.body['code']]).toEqual([401, 'invalid_credentials']);
  });

  it('voids an enrollment under way', async () => {
    const person = await register(app);
    const link = await magicLink(app, person.email);
    const { body } = await app.http.post<{ enrollmentToken: string }>('/auth/magic-link/redeem', {
      token: tokenOf(link),
    });
    await app.clock.advance(61);
    expect((await confirm(tokenOf(await resetLink(app, person.email)))).status).toBe(204);
    const late = await app.http.post('/otp-devices', { type: 'totp' }, { token: body.enrollmentToken });
    expect(late.status).toBe(401);
  });

  it('leaves devices and recovery codes alone', async () => {
    const person = await personWithTotp(app);
    const devices = () =>
      app.sql(
        `SELECT id, type, confirmed_at, (SELECT count(*)::int FROM recovery_codes r WHERE r.device_id = d.id) AS codes
         FROM otp_devices d WHERE user_id = $1 ORDER BY id`,
        [person.id],
      );
    const before = await devices();
    await confirm(tokenOf(await resetLink(app, person.email)));
    expect(await devices()).toEqual(before);
    expect(before.length).toBeGreaterThan(1);
  });

  it('tells the owner and the audit log', async () => {
    const person = await register(app);
    await confirm(tokenOf(await resetLink(app, person.email)));
    await app.mailbox.next(person.email, /Your password was changed/);
    expect(await eventsOf(app, person.id, 'user.password-reset')).toBe(1);
  });

  it.each(['short', 'password1', 'x'.repeat(129)])('refuses %j and keeps the link for a better one', async (weak) => {
    const person = await register(app);
    const token = tokenOf(await resetLink(app, person.email));
    const refused = await confirm(token, weak);
    expect([refused.status, refused.body.code, refused.body.errors?.[0]?.field]).toEqual([
      400,
      'validation_failed',
      'newPassword',
    ]);
    expect((await firstFactor(app, person.email, PASSWORD)).status).toBe(200);
    expect((await confirm(token)).status).toBe(204);
  });

  it('refuses the user’s own address as a password', async () => {
    const person = await register(app);
    expect((await confirm(tokenOf(await resetLink(app, person.email)), person.email)).status).toBe(400);
  });

  it('works once, for thirty minutes, and only with the newest link', async () => {
    const person = await register(app);
    const older = await resetLink(app, person.email);
    await app.clock.advance(61);
    const newer = await resetLink(app, person.email);
    expect((await confirm(tokenOf(older))).body.code).toBe('invalid_link');
    await app.clock.advance(1_790);
    expect((await confirm(tokenOf(newer))).status).toBe(204);
    expect((await confirm(tokenOf(newer), 'five quite different uncommon words')).body.code).toBe('invalid_link');

    const late = await resetLink(app, person.email);
    await app.clock.advance(1_801);
    expect((await confirm(tokenOf(late))).body.code).toBe('invalid_link');
  });

  it('gives a password to somebody who had none, and proves the address', async () => {
    const person = await register(app, { password: undefined });
    await confirm(tokenOf(await resetLink(app, person.email)));
    const signedIn = await firstFactor<Asked>(app, person.email, NEW_PASSWORD);
    expect(signedIn.body.status).toBe('second_factor_required');
    const [user] = await app.sql('SELECT email_verified_at IS NOT NULL AS verified FROM users WHERE id = $1', [
      person.id,
    ]);
    expect(user).toEqual({ verified: true });
  });

  it('works while wrong passwords make the owner wait (R10)', async () => {
    const person = await register(app);
    for (let guess = 0; guess < 10; guess += 1) await firstFactor(app, person.email, 'not the password');
    expect((await firstFactor(app, person.email)).status).toBe(429);
    expect((await confirm(tokenOf(await resetLink(app, person.email)))).status).toBe(204);
  });

  it('H04: leads to PUBLIC_URL, whatever Host the request names', async () => {
    const person = await register(app);
    const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example' };
    await app.http.post('/auth/password-reset', { identifier: person.email }, { headers });
    expect((await nextLink(app, person.email, /Choose a new password/)).origin).toBe('https://id.example.test');
  });
});

describe('R23: a reset link used ten times at once', () => {
  it('sets one password', async () => {
    const origin = await app.listen();
    const passwords = Array.from({ length: 10 }, (_, index) => `uncommon words number ${index} of many`);
    for (let round = 0; round < 3; round += 1) {
      const person = await register(app);
      const token = tokenOf(await resetLink(app, person.email));
      const shots = passwords.map((newPassword) => ({
        path: '/auth/password-reset/confirm',
        body: { token, newPassword },
      }));
      const hits = await fireAtOnce([origin], shots);
      expect(outcomes(hits)).toEqual({ '204': 1, '400 invalid_link': 9 });
      const winner = passwords[hits.findIndex(({ status }) => status === 204)] ?? '';
      expect((await firstFactor(app, person.email, winner)).status).toBe(200);
      expect(await eventsOf(app, person.id, 'user.password-reset')).toBe(1);
    }
  });
});

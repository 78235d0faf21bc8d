import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import {
  enrollTotp,
  firstFactor,
  PASSWORD,
  personWithTotp,
  register,
  secondFactor,
  signInByMail,
} from '../support/people.js';
import { sessionsOf } from './traces.js';

/** Whoever was in the middle of a sign-in when the account's security changed must begin again. */
describe('a sign-in under way', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ CODE_RESEND_COOLDOWN: 'off', SEND_PER_DESTINATION: 'off' });
  });
  afterAll(() => app.close());

  type Owner = Awaited<ReturnType<typeof personWithTotp>>;

  async function underWay() {
    const owner = await personWithTotp(app);
    const { body } = await firstFactor(app, owner.email);
    return { owner, token: owner.session.accessToken, codeToken: body.codeToken, devices: body.devices };
  }

  const changes: Record<string, (owner: Owner, token: string, mailbox: string) => Promise<number>> = {
    'another method is preferred': async (_owner, token) =>
      (await app.http.patch('/users/me/two-factor', { preferredMethod: 'email' }, { token })).status,
    'another device is preferred': async (_owner, token, mailbox) =>
      (await app.http.patch(`/otp-devices/${mailbox}`, { preferred: true }, { token })).status,
    'the user demands a second factor himself': async (_owner, token) =>
      (await app.http.patch('/users/me/two-factor', { required: true }, { token })).status,
    'a device is removed': async (_owner, token, mailbox) =>
      (await app.http.delete(`/otp-devices/${mailbox}`, { token })).status,
    'another app is enrolled': async (_owner, token) => {
      await enrollTotp(app, token);
      return 200;
    },
    'the password is changed': async (_owner, token) =>
      (
        await app.http.post(
          '/users/me/password',
          { currentPassword: PASSWORD, newPassword: `${PASSWORD} and more` },
          { token },
        )
      ).status,
  };

  it.each(Object.keys(changes))('is void once %s: right code, resend and switch are refused alike', async (change) => {
    const { owner, token, codeToken, devices } = await underWay();
    const mailbox = devices.find(({ type }) => type === 'email')?.id as string;
    expect(await (changes[change] as (typeof changes)[string])(owner, token, mailbox)).toBeLessThan(300);
    const before = await sessionsOf(app, owner.id);

    const answered = await secondFactor(app, codeToken, totpCode(owner.secret, app.clock));
    expect([answered.status, answered.body]).toMatchObject([401, { code: 'token_expired' }]);
    const resent = await app.http.post('/auth/otp', { codeToken });
    expect([resent.status, resent.body]).toMatchObject([401, { code: 'token_expired' }]);
    expect(await sessionsOf(app, owner.id)).toBe(before);

    const password = change === 'the password is changed' ? `${PASSWORD} and more` : PASSWORD;
    const { body: fresh } = await firstFactor(app, owner.email, password);
    const again = await secondFactor(app, fresh.codeToken, totpCode(owner.secret, app.clock), {
      deviceId: owner.deviceId,
    });
    expect(again.status).toBe(200);
  });

  it('by mail is void once an app is enrolled: the mailed code is worth nothing any more', async () => {
    const person = await register(app);
    const session = await signInByMail(app, person);
    const { body } = await firstFactor(app, person.email);
    const code = await app.mailbox.code(person.email);
    await enrollTotp(app, session.accessToken);
    const answered = await secondFactor(app, body.codeToken, code);
    expect([answered.status, answered.body]).toMatchObject([401, { code: 'token_expired' }]);
  });

  it('is void once the account is deactivated', async () => {
    const { owner, codeToken } = await underWay();
    await app.sql('UPDATE users SET active = false WHERE id = $1', [owner.id]);
    const answered = await secondFactor(app, codeToken, totpCode(owner.secret, app.clock));
    expect([answered.status, answered.body]).toMatchObject([401, { code: 'token_expired' }]);
  });

  it('survives what changes nothing about security, and what was refused', async () => {
    const { owner, token, codeToken } = await underWay();
    expect((await app.http.patch('/users/me', { firstName: 'Ada' }, { token })).status).toBe(200);
    expect((await app.http.patch(`/otp-devices/${owner.deviceId}`, { name: 'Phone' }, { token })).status).toBe(200);
    expect((await app.http.post('/otp-devices', { type: 'totp' }, { token })).status).toBe(201);
    expect((await app.http.patch('/users/me/two-factor', { preferredMethod: 'none' }, { token })).status).toBe(403);
    const wrongPassword = { currentPassword: 'not this one', newPassword: `${PASSWORD} and more` };
    expect((await app.http.post('/users/me/password', wrongPassword, { token })).status).toBe(401);
    expect((await secondFactor(app, codeToken, totpCode(owner.secret, app.clock))).status).toBe(200);
  });

  it('of somebody else goes on', async () => {
    const { token } = await underWay();
    const other = await underWay();
    expect((await app.http.patch('/users/me/two-factor', { preferredMethod: 'email' }, { token })).status).toBe(200);
    expect((await secondFactor(app, other.codeToken, totpCode(other.owner.secret, app.clock))).status).toBe(200);
  });
});

describe('an enrollment under way', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'totp', CODE_RESEND_COOLDOWN: 'off' });
  });
  afterAll(() => app.close());

  it('is void once another one was finished', async () => {
    const person = await register(app);
    const tokens: string[] = [];
    for (let time = 0; time < 2; time += 1) {
      const { body } = await firstFactor(app, person.email);
      const { body: opened } = await secondFactor<{ enrollmentToken: string }>(
        app,
        body.codeToken,
        await app.mailbox.code(person.email),
      );
      tokens.push(opened.enrollmentToken);
    }
    const [first, second] = tokens as [string, string];
    await enrollTotp(app, second);
    for (const token of [first, second]) {
      const created = await app.http.post('/otp-devices', { type: 'totp' }, { token });
      expect([created.status, created.body]).toMatchObject([401, { code: 'invalid_token' }]);
    }
  });
});

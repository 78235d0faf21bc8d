import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { magicLink, tokenOf } from '../support/links.js';
import {
  enrollTotp,
  firstFactor,
  PASSWORD,
  personWithTotp,
  register,
  secondFactor,
  type Asked,
} from '../support/people.js';
import { beginStep, eventsOf, failuresOf, sessionsOf, wrongTotp } from './traces.js';

const NOTICE = /^Wrong codes were entered/;

describe('failures of one authenticator app', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ CODE_TOKEN_RETRY_WAIT: '0s', CODE_TOKEN_MAX_ACTIVE: 'off' });
  });
  afterAll(() => app.close());

  type Owner = Awaited<ReturnType<typeof personWithTotp>>;

  /** Password, then one code: the way of somebody who knows the password. */
  async function tryWith({ email }: Owner, code: string) {
    const { body } = await firstFactor(app, email);
    return secondFactor(app, body.codeToken, code);
  }

  async function failTimes(owner: Owner, times: number): Promise<void> {
    for (let failure = 0; failure < times; failure += 1) {
      expect((await tryWith(owner, wrongTotp(owner.secret, app))).status).toBe(401);
    }
  }

  const noticesTo = (address: string) => app.mailbox.all(address).filter(({ subject }) => NOTICE.test(subject));

  it('go on with the next code token: the right password starts nothing anew', async () => {
    const owner = await personWithTotp(app);
    const { body: first } = await firstFactor(app, owner.email);
    for (let failure = 0; failure < 4; failure += 1)
      await secondFactor(app, first.codeToken, wrongTotp(owner.secret, app));
    expect(await failuresOf(app, owner.deviceId)).toBe(4);

    await failTimes(owner, 1);

    expect(await failuresOf(app, owner.deviceId)).toBe(5);
    const paused = await tryWith(owner, totpCode(owner.secret, app.clock));
    expect([paused.status, paused.body]).toMatchObject([429, { code: 'too_many_failures' }]);
  });

  it('tell the owner once, at the fifth', async () => {
    const owner = await personWithTotp(app);
    await failTimes(owner, 4);
    expect(noticesTo(owner.email)).toHaveLength(0);
    await failTimes(owner, 1);
    await app.mailbox.next(owner.email, NOTICE);
    for (let failure = 6; failure <= 8; failure += 1) {
      await app.clock.advance(900);
      await failTimes(owner, 1);
    }
    expect(await eventsOf(app, owner.id, 'second-factor.failed')).toBe(8);
    expect(noticesTo(owner.email)).toHaveLength(1);
  });

  it('tell nobody that his password is known who was signed in to by a link', async () => {
    const owner = await personWithTotp(app);
    const link = await magicLink(app, owner.email);
    const { body } = await app.http.post<Asked>('/auth/magic-link/redeem', { token: tokenOf(link) });
    for (let failure = 0; failure < 5; failure += 1)
      await secondFactor(app, body.codeToken, wrongTotp(owner.secret, app));
    const { text } = await app.mailbox.next(owner.email, NOTICE);
    expect(text).not.toMatch(/password was right|knows your password/);
    expect(text).toContain('look after your mailbox');
  });

  it('pause it from the fifth on: 30 s, doubling to 15 min, and refused attempts are not counted', async () => {
    const owner = await personWithTotp(app);
    await failTimes(owner, 4);
    const pauses: number[] = [];
    for (let failure = 5; failure <= 11; failure += 1) {
      const { body } = await firstFactor(app, owner.email);
      expect((await secondFactor(app, body.codeToken, wrongTotp(owner.secret, app))).status).toBe(401);
      const refused = await secondFactor(app, body.codeToken, totpCode(owner.secret, app.clock));
      expect([refused.status, refused.body]).toMatchObject([429, { code: 'too_many_failures' }]);
      expect(await failuresOf(app, owner.deviceId)).toBe(failure);
      const pause = Number(refused.headers['retry-after']);
      pauses.push(pause);
      await app.clock.advance(pause);
    }
    expect(pauses.map((pause) => Math.round(pause / 10) * 10)).toEqual([30, 60, 120, 240, 480, 900, 900]);
    expect((await tryWith(owner, totpCode(owner.secret, app.clock))).status).toBe(200);
  });

  it('end with a completed proof, and with nothing less', async () => {
    const owner = await personWithTotp(app);
    await failTimes(owner, 4);

    const { body: other } = await firstFactor(app, owner.email);
    const mailbox = other.devices.find(({ type }) => type === 'email')?.id;
    expect((await app.http.post('/auth/otp', { codeToken: other.codeToken, deviceId: mailbox })).status).toBe(202);
    expect((await secondFactor(app, other.codeToken, await app.mailbox.code(owner.email))).status).toBe(200);
    expect(await failuresOf(app, owner.deviceId)).toBe(4);

    expect((await tryWith(owner, totpCode(owner.secret, app.clock))).status).toBe(200);
    expect(await failuresOf(app, owner.deviceId)).toBe(0);
    await failTimes(owner, 4);
    await app.clock.advance(30);
    expect((await tryWith(owner, totpCode(owner.secret, app.clock))).status).toBe(200);
  });

  it('are the same at step-up as at sign-in', async () => {
    const owner = await personWithTotp(app);
    await failTimes(owner, 3);
    const stepUp = () =>
      app.http.post('/auth/step-up', { code: wrongTotp(owner.secret, app) }, { token: owner.session.accessToken });
    expect([(await stepUp()).status, (await stepUp()).status, (await stepUp()).status]).toEqual([401, 401, 429]);
    expect(await failuresOf(app, owner.deviceId)).toBe(5);
    expect((await tryWith(owner, totpCode(owner.secret, app.clock))).status).toBe(429);
  });

  it('close it at the hundredth, until it is enrolled anew; the owner is told once', async () => {
    const owner = await personWithTotp(app);
    const { body: sheet } = await app.http.post<{ codes: string[] }>(
      '/otp-devices',
      { type: 'recovery_codes' },
      { token: owner.session.accessToken },
    );
    await app.sql('UPDATE otp_devices SET failures = 98 WHERE id = $1', [owner.deviceId]);
    const closed = () => app.mailbox.all(owner.email).filter(({ subject }) => /was closed$/.test(subject));
    // Asked before it is closed: later sign-ins ask another device.
    const { body: question } = await firstFactor(app, owner.email);
    const right = () => totpCode(owner.secret, app.clock);
    for (const code of [wrongTotp(owner.secret, app), wrongTotp(owner.secret, app), right(), right()]) {
      expect(await eventsOf(app, owner.id, 'device.disabled')).toBe(
        (await failuresOf(app, owner.deviceId)) >= 100 ? 1 : 0,
      );
      await app.sql('UPDATE otp_devices SET blocked_until = NULL WHERE id = $1', [owner.deviceId]);
      const { status, body } = await secondFactor(app, question.codeToken, code);
      expect([status, body]).toMatchObject([401, { code: 'invalid_code' }]);
    }
    expect(await failuresOf(app, owner.deviceId)).toBe(102);
    await app.mailbox.next(owner.email, /was closed$/);
    expect(await eventsOf(app, owner.id, 'device.disabled')).toBe(1);
    expect(closed()).toHaveLength(1);

    const { body: asked } = await firstFactor(app, owner.email);
    const sheetId = asked.devices.find(({ type }) => type === 'recovery_codes')?.id;
    const { body: session } = await secondFactor(app, asked.codeToken, sheet.codes[0] ?? '', { deviceId: sheetId });
    const token = session.accessToken;
    const rebound = await enrollTotp(app, token);
    expect((await app.http.delete(`/otp-devices/${owner.deviceId}`, { token })).status).toBe(204);
    expect((await tryWith(owner, totpCode(rebound.secret, app.clock))).status).toBe(200);
    expect(closed()).toHaveLength(1);
  });

  it('are not those of his password, and neither forgives the other', async () => {
    const owner = await personWithTotp(app);
    await failTimes(owner, 3);
    for (let failure = 0; failure < 9; failure += 1)
      expect((await firstFactor(app, owner.email, 'wrong')).status).toBe(401);
    // the right password ends its own failures, and no others
    expect((await firstFactor(app, owner.email)).status).toBe(200);
    expect(await failuresOf(app, owner.deviceId)).toBe(3);
    for (let failure = 0; failure < 10; failure += 1)
      expect((await firstFactor(app, owner.email, 'wrong')).status).toBe(401);
    // a code that is right does not open the password step again
    const { status, body } = await app.http.post<{ accessToken: string }>(
      '/auth/step-up',
      { code: totpCode(owner.secret, app.clock) },
      { token: owner.session.accessToken },
    );
    expect(status).toBe(200);
    expect(await failuresOf(app, owner.deviceId)).toBe(0);
    expect((await firstFactor(app, owner.email)).status).toBe(429);

    // meanwhile he is signed in where he is, and can choose a new password; the pause ends by itself
    expect((await app.http.get('/users/me', { token: body.accessToken })).status).toBe(200);
    const { refreshToken } = owner.session;
    expect((await app.http.post('/auth/token/refresh', { refreshToken })).status).toBe(200);
    expect((await app.http.post('/auth/password-reset', { identifier: owner.email })).status).toBe(202);
    await app.clock.advance(900);
    expect((await firstFactor(app, owner.email)).status).toBe(200);
  });

  it('of what only a signed-in user types cannot be made by strangers, who know his id', async () => {
    const owner = await register(app);
    for (const word of ['user', 'code', 'reset']) {
      for (let failure = 0; failure < 12; failure += 1)
        await firstFactor(app, `${word} ${owner.id}`, 'not his password');
    }
    const { body } = await firstFactor(app, owner.email);
    const { body: session } = await secondFactor(app, body.codeToken, await app.mailbox.code(owner.email));
    const passwords = { currentPassword: PASSWORD, newPassword: 'four other uncommon words' };
    const changed = await app.http.post('/users/me/password', passwords, { token: session.accessToken });
    expect(changed.status).toBe(204);
  });

  it('of one person are nobody else’s', async () => {
    const [owner, other] = [await personWithTotp(app), await personWithTotp(app)];
    await failTimes(owner, 5);
    expect((await tryWith(other, totpCode(other.secret, app.clock))).status).toBe(200);
    expect(await failuresOf(app, owner.deviceId)).toBe(5);
  });
});

describe('somebody who makes no mistakes', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ CODE_RESEND_COOLDOWN: 'off' });
  });
  afterAll(() => app.close());

  it('signs in six times in two minutes with an authenticator app', async () => {
    const { id, email, secret } = await personWithTotp(app);
    await beginStep(app);
    const firstStep = Math.floor(app.clock.seconds() / 30) - 1;
    for (let time = 0; time < 6; time += 1) {
      const { status, body } = await firstFactor(app, email);
      expect(status).toBe(200);
      const steps = firstStep + time - Math.floor(app.clock.seconds() / 30);
      expect((await secondFactor(app, body.codeToken, totpCode(secret, app.clock, steps))).status).toBe(200);
      await app.clock.advance(24);
    }
    expect(await sessionsOf(app, id)).toBe(7);
  });

  it('signs in six times in two minutes by mail, where codes may be sent so quickly', async () => {
    const { id, email } = await register(app);
    for (let time = 0; time < 6; time += 1) {
      const { status, body } = await firstFactor(app, email);
      expect([status, body.codeSent]).toEqual([200, true]);
      expect((await secondFactor(app, body.codeToken, await app.mailbox.code(email))).status).toBe(200);
      await app.clock.advance(24);
    }
    expect(await sessionsOf(app, id)).toBe(6);
  });
});

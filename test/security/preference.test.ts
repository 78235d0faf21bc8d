import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { firstFactor, personWithTotp, register, secondFactor, signInByMail, type SignedIn } from '../support/people.js';

interface Settings {
  preferredMethod: string | null;
  required: boolean;
  requiredBy: string | null;
  methods: string[];
}

describe('where only an authenticator app is trusted', () => {
  let app: TestApp;
  let token: string;
  let email: string;
  let mailbox: string;
  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'totp' });
    ({ token, email, mailbox } = await enrolled());
  });
  afterAll(() => app.close());

  /** The way of a newcomer: password, mailed code, enrollment, and so a session. */
  async function enrolled() {
    const person = await register(app);
    const { body: asked } = await firstFactor(app, person.email);
    const code = await app.mailbox.code(person.email);
    const { body: opened } = await secondFactor<{ enrollmentToken: string }>(app, asked.codeToken, code);
    const enrollment = { token: opened.enrollmentToken };
    const { body: device } = await app.http.post<{ id: string; secret: string }>(
      '/otp-devices',
      { type: 'totp' },
      enrollment,
    );
    const confirmation = { code: totpCode(device.secret, app.clock) };
    const { body } = await app.http.post<SignedIn>(`/otp-devices/${device.id}/confirm`, confirmation, enrollment);
    return { token: body.accessToken, email: person.email, mailbox: asked.device.id };
  }

  const settings = async () => (await app.http.get<Settings>('/users/me/two-factor', { token })).body;

  it.each([
    { wanted: 'email', status: 403, code: 'method_not_allowed' },
    { wanted: 'sms', status: 403, code: 'method_not_allowed' },
    { wanted: 'none', status: 403, code: 'method_not_allowed' },
    { wanted: 'recovery_codes', status: 400, code: 'validation_failed' },
    { wanted: '', status: 400, code: 'validation_failed' },
    { wanted: 'TOTP', status: 400, code: 'validation_failed' },
    { wanted: ' totp', status: 400, code: 'validation_failed' },
    { wanted: ['totp'], status: 400, code: 'validation_failed' },
    { wanted: ['email'], status: 400, code: 'validation_failed' },
    { wanted: { type: 'email' }, status: 400, code: 'validation_failed' },
    { wanted: true, status: 400, code: 'validation_failed' },
    { wanted: 0, status: 400, code: 'validation_failed' },
  ])('nobody can prefer $wanted', async ({ wanted, status, code }) => {
    const before = await settings();
    const answer = await app.http.patch('/users/me/two-factor', { preferredMethod: wanted }, { token });
    expect([answer.status, answer.body]).toMatchObject([status, { code }]);
    expect(await settings()).toEqual(before);
    expect(before).toMatchObject({ preferredMethod: 'totp', required: true, requiredBy: 'policy', methods: ['totp'] });
  });

  it('nobody can prefer the mailbox that the fallback asked once', async () => {
    const before = await settings();
    const answer = await app.http.patch(`/otp-devices/${mailbox}`, { preferred: true }, { token });
    expect([answer.status, answer.body]).toMatchObject([403, { code: 'method_not_allowed' }]);
    expect(await settings()).toEqual(before);
  });

  it('nobody can lower the requirement, and an allowed wish beside a forbidden one is not granted either', async () => {
    const before = await settings();
    const lowered = await app.http.patch('/users/me/two-factor', { required: false }, { token });
    expect([lowered.status, lowered.body]).toMatchObject([403, { code: 'two_factor_required_by_policy' }]);
    const both = await app.http.patch('/users/me/two-factor', { preferredMethod: null, required: false }, { token });
    expect(both.status).toBe(403);
    const mixed = await app.http.patch('/users/me/two-factor', { preferredMethod: 'email', required: true }, { token });
    expect(mixed.status).toBe(403);
    expect(await settings()).toEqual(before);
  });

  it('everybody is asked for the app, and the mailbox cannot be asked instead', async () => {
    const { body: asked } = await firstFactor(app, email);
    expect(asked.device.type).toBe('totp');
    expect(asked.devices.map(({ type }) => type)).toEqual(['totp', 'recovery_codes']);
    const mails = app.mailbox.all(email).length;
    for (const path of ['/auth/otp', '/auth/token/second-factor']) {
      const code = path === '/auth/otp' ? {} : { code: '1234567' };
      const answer = await app.http.post(path, { codeToken: asked.codeToken, deviceId: mailbox, ...code });
      expect([answer.status, answer.body]).toMatchObject([403, { code: 'method_not_allowed' }]);
    }
    const stepUp = await app.http.post('/auth/step-up', { deviceId: mailbox }, { token });
    expect([stepUp.status, stepUp.body]).toMatchObject([403, { code: 'method_not_allowed' }]);
    expect(app.mailbox.all(email)).toHaveLength(mails);
  });
});

describe('where e-mail and app are trusted', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  it('a user can prefer what he has, and go back to what the policy says', async () => {
    const { email, session } = await personWithTotp(app);
    const token = session.accessToken;
    for (const [preferredMethod, asked] of [
      ['email', 'email'],
      ['totp', 'totp'],
      [null, 'totp'],
    ] as const) {
      const changed = await app.http.patch<Settings>('/users/me/two-factor', { preferredMethod }, { token });
      expect([changed.status, changed.body.preferredMethod]).toEqual([200, preferredMethod]);
      expect((await firstFactor(app, email)).body.device.type).toBe(asked);
    }
  });

  it('a user cannot prefer an app that he does not have', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    await app.http.post('/otp-devices', { type: 'totp' }, { token });
    const answer = await app.http.patch('/users/me/two-factor', { preferredMethod: 'totp' }, { token });
    expect([answer.status, answer.body]).toMatchObject([403, { code: 'method_not_allowed' }]);
    expect((await firstFactor(app, person.email)).body.device.type).toBe('email');
  });
});

describe('whoever changes what is asked', () => {
  const NOTICE = /zweiten Faktors/;
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp' });
  });
  afterAll(() => app.close());

  it('is told by mail, in his language, once a change and not for none', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    await app.http.patch('/users/me', { locale: 'de' }, { token });
    const prefer = (preferredMethod: string | null) =>
      app.http.patch('/users/me/two-factor', { preferredMethod }, { token });
    await prefer(null);
    await prefer('email');
    await prefer('none');
    // Jobs run beside each other, so the mails may arrive in either order.
    const mails = [await app.mailbox.next(person.email, NOTICE), await app.mailbox.next(person.email, NOTICE)];
    const texts = mails.map(({ text }) => text).join();
    expect(texts).toContain('E-Mail-Adresse wird zuerst verlangt.');
    expect(texts).toContain('Es wird keiner mehr verlangt.');
    expect(app.mailbox.all(person.email).filter(({ subject }) => NOTICE.test(subject))).toHaveLength(2);
  });
});

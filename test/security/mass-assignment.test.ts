import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { firstFactor, PASSWORD, personWithTotp, register, signInByMail } from '../support/people.js';

const OTHER_ID = '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11';

describe('what a body may not decide', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  const row = async (id: string) => (await app.sql('SELECT * FROM users WHERE id = $1', [id]))[0];

  const aboutUsers: Record<string, unknown>[] = [
    { isAdmin: true },
    { roles: ['admin'] },
    { role: 'admin' },
    { active: false },
    { emailVerified: true },
    { emailVerifiedAt: '2020-01-01T00:00:00Z' },
    { email_verified_at: '2020-01-01T00:00:00Z' },
    { phoneVerified: true },
    { twoFactor: false },
    { twoFactorRequired: false },
    { preferredMethod: 'none' },
    { passwordHash: '$argon2id$v=19$m=19456,t=2,p=1$YWFhYWFhYWE$YWFhYWFhYWE' },
    { id: OTHER_ID },
    { tenantId: OTHER_ID },
    { epoch: 0 },
    { createdAt: '2020-01-01T00:00:00Z' },
  ];

  it.each(aboutUsers)('a registration with %j', async (extra) => {
    const email = 'assigned@example.com';
    const { status, body } = await app.http.post('/users', { email, password: PASSWORD, ...extra });
    const [field] = Object.keys(extra);
    expect([status, body]).toMatchObject([400, { code: 'validation_failed', errors: [{ field }] }]);
    expect(await app.sql('SELECT 1 FROM users WHERE email_canonical = $1', [email])).toEqual([]);
  });

  describe('about the signed-in user', () => {
    let id: string;
    let token: string;
    beforeAll(async () => {
      const person = await register(app, { firstName: 'Ada' });
      id = person.id;
      token = (await signInByMail(app, person)).accessToken;
    });

    it.each([...aboutUsers, { password: 'another uncommon thing' }, { registeringUntil: null }])(
      'a profile with %j, not even the allowed part of it',
      async (extra) => {
        const before = await row(id);
        const { status, body } = await app.http.patch('/users/me', { firstName: 'Eve', ...extra }, { token });
        expect([status, body]).toMatchObject([400, { errors: [{ field: Object.keys(extra)[0] }] }]);
        expect(await row(id)).toEqual(before);
      },
    );

    it('an address of somebody else, not even with an allowed part beside it', async () => {
      const before = await row(id);
      for (const address of [{ email: 'else@example.com' }, { phoneNumber: '+4915112345636' }]) {
        const { status, body } = await app.http.patch('/users/me', { firstName: 'Eve', ...address }, { token });
        expect([status, body['code']]).toEqual([409, 'address_not_confirmed']);
      }
      expect(await row(id)).toEqual(before);
    });

    it.each([
      { confirmed: true },
      { confirmedAt: '2020-01-01T00:00:00Z' },
      { userId: OTHER_ID },
      { id: OTHER_ID },
      { secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP' },
      { sealedSecret: 'x' },
      { lastStep: 0 },
      { counter: 0 },
      { failures: -1000 },
      { expiresAt: '2099-01-01T00:00:00Z' },
      { digits: 1 },
      { preferred: true },
    ])('a new device with %j', async (extra) => {
      const { status, body } = await app.http.post('/otp-devices', { type: 'totp', ...extra }, { token });
      expect([status, body]).toMatchObject([400, { errors: [{ field: Object.keys(extra)[0] }] }]);
      expect(await app.sql("SELECT 1 FROM otp_devices WHERE user_id = $1 AND type = 'totp'", [id])).toEqual([]);
    });

    it.each([{ confirmed: true }, { type: 'email' }, { failures: 0 }, { secret: 'x' }, { address: 'e@example.com' }])(
      'a changed device with %j',
      async (extra) => {
        const [before] = await app.sql<{ id: string }>('SELECT * FROM otp_devices WHERE user_id = $1', [id]);
        const path = `/otp-devices/${before?.id ?? ''}`;
        const { status, body } = await app.http.patch(path, { name: 'Mine', ...extra }, { token });
        expect([status, body]).toMatchObject([400, { errors: [{ field: Object.keys(extra)[0] }] }]);
        expect(await app.sql('SELECT * FROM otp_devices WHERE user_id = $1', [id])).toEqual([before]);
      },
    );

    it.each([
      { requiredBy: null },
      { methods: ['email'] },
      { devices: [] },
      { trusted: ['none'] },
      { userId: OTHER_ID },
    ])('a preference with %j', async (extra) => {
      const before = await row(id);
      const { status } = await app.http.patch('/users/me/two-factor', { preferredMethod: null, ...extra }, { token });
      expect(status).toBe(400);
      expect(await row(id)).toEqual(before);
    });

    it.each([{ userId: OTHER_ID }, { sessionId: OTHER_ID }, { acr: 'aal2' }, { amr: ['otp'] }, { auth_time: 9e9 }])(
      'a step-up with %j',
      async (extra) => {
        expect((await app.http.post('/auth/step-up', extra, { token })).status).toBe(400);
      },
    );
  });

  it.each([
    { trusted: true },
    { mfaRequired: false },
    { skip: true },
    { skipSecondFactor: true },
    { amr: ['pwd', 'otp', 'mfa'] },
    { acr: 'aal2' },
    { step: 'authenticated' },
    { userId: OTHER_ID },
    { preferredMethod: 'none' },
  ])('a sign-in with %j: neither the first step nor the second gives anything for it', async (extra) => {
    const person = await register(app);
    const first = await app.http.post('/auth/token', { identifier: person.email, password: PASSWORD, ...extra });
    expect([first.status, first.body['accessToken']]).toEqual([400, undefined]);

    const { body: asked } = await firstFactor(app, person.email);
    const code = await app.mailbox.code(person.email);
    const second = await app.http.post('/auth/token/second-factor', { codeToken: asked.codeToken, code, ...extra });
    expect([second.status, second.body['accessToken']]).toEqual([400, undefined]);
    expect(await app.sql('SELECT attempts FROM challenges WHERE user_id = $1', [person.id])).toEqual([{ attempts: 0 }]);
  });

  it('how strong a sign-in was: that is computed from what was proved', async () => {
    const { session } = await personWithTotp(app);
    const { body } = await app.http.post('/auth/token/verify', { token: session.accessToken });
    expect(body).toMatchObject({ acr: 'aal1', amr: ['pwd', 'email'] });
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import type { Answer } from '../support/http.js';
import { enrollTotp, firstFactor, register, secondFactor, type Person, type SignedIn } from '../support/people.js';

interface EnrollmentRequired {
  status: 'enrollment_required';
  enrollmentToken: string;
  expiresIn: number;
  methods: string[];
  deadline: string | null;
}

/** The second configuration: an authenticator app is required, and the e-mailed code only opens its enrollment. */
describe('TOTP required', () => {
  let app: TestApp;
  beforeAll(async () => {
    // Shorter than the enrollment token lives, so that a pending device can expire under a token that has not.
    app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'totp', PENDING_DEVICE_TTL: '10m' });
  });
  afterAll(() => app.close());

  /** Password and e-mailed code, as far as they lead somebody without an app. */
  async function openEnrollment({ email }: Person): Promise<Answer<EnrollmentRequired>> {
    const { body } = await firstFactor(app, email);
    return secondFactor<EnrollmentRequired>(app, body.codeToken, await app.mailbox.code(email));
  }

  const createTotp = (token: string) =>
    app.http.post<{ id: string; secret: string; code?: string }>('/otp-devices', { type: 'totp' }, { token });

  const confirm = (deviceId: string, code: string, token: string) =>
    app.http.post<SignedIn & { code: string }>(`/otp-devices/${deviceId}/confirm`, { code }, { token });

  it('an e-mailed code opens the enrollment, and the confirmed app completes the sign-in', async () => {
    const person = await register(app);
    const asked = await firstFactor(app, person.email);
    expect(asked.body).toMatchObject({ status: 'second_factor_required', codeSent: true, device: { type: 'email' } });
    expect(asked.body.devices.map(({ type }) => type)).toEqual(['email']);

    const answer = await secondFactor<EnrollmentRequired>(
      app,
      asked.body.codeToken,
      await app.mailbox.code(person.email),
    );
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      status: 'enrollment_required',
      enrollmentToken: expect.any(String) as string,
      expiresIn: 900,
      methods: ['totp'],
      deadline: null,
    });
    const token = answer.body.enrollmentToken;

    const created = await createTotp(token);
    expect(created.status).toBe(201);
    const signedIn = await confirm(created.body.id, totpCode(created.body.secret, app.clock), token);
    expect(signedIn.status).toBe(200);
    expect(signedIn.body).toMatchObject({
      status: 'authenticated',
      tokenType: 'Bearer',
      expiresIn: 300,
      refreshExpiresIn: 604_800,
      user: { id: person.id, emailVerified: true },
    });

    const { body: claims } = await app.http.post('/auth/token/verify', { token: signedIn.body.accessToken });
    expect(claims).toMatchObject({
      active: true,
      sub: person.id,
      amr: ['pwd', 'email', 'otp', 'mfa'],
      acr: 'aal2',
    });
    const refreshed = await app.http.post('/auth/token/refresh', { refreshToken: signedIn.body.refreshToken });
    expect(refreshed.status).toBe(200);
    const sessions = await app.sql('SELECT 1 FROM sessions WHERE user_id = $1', [person.id]);
    expect(sessions).toHaveLength(1);
  });

  it('from then on the app is asked, and the mailbox is never offered again', async () => {
    const person = await register(app);
    const { body } = await openEnrollment(person);
    const { deviceId, secret } = await enrollTotp(app, body.enrollmentToken);
    // A code that is sent leaves its hash in the challenge.
    const codesSent = () =>
      app.sql('SELECT 1 FROM challenges WHERE user_id = $1 AND code_hash IS NOT NULL', [person.id]);
    expect(await codesSent()).toHaveLength(1);

    const asked = await firstFactor(app, person.email);
    expect(asked.body).toMatchObject({ codeSent: false, resendIn: 0, device: { id: deviceId, type: 'totp' } });
    expect(asked.body.devices.map(({ type }) => type)).toEqual(['totp', 'recovery_codes']);

    const [mailDevice] = await app.sql<{ id: string }>(
      `SELECT id FROM otp_devices WHERE user_id = $1 AND type = 'email' AND confirmed_at IS NOT NULL`,
      [person.id],
    );
    const { codeToken } = asked.body;
    const switched = await app.http.post('/auth/otp', { codeToken, deviceId: mailDevice?.id });
    expect([switched.status, switched.body['code']]).toEqual([403, 'method_not_allowed']);
    const answered = await secondFactor<{ code: string }>(app, codeToken, '1234567', { deviceId: mailDevice?.id });
    expect([answered.status, answered.body.code]).toEqual([403, 'method_not_allowed']);

    const signedIn = await secondFactor(app, codeToken, totpCode(secret, app.clock));
    expect(signedIn.status).toBe(200);
    const { body: claims } = await app.http.post('/auth/token/verify', { token: signedIn.body.accessToken });
    expect(claims).toMatchObject({ amr: ['pwd', 'otp', 'mfa'], acr: 'aal2' });
    expect(await codesSent()).toHaveLength(1);
  });

  it('P12: until the app is confirmed nothing else opens', async () => {
    const person = await register(app);
    const { body } = await openEnrollment(person);
    const token = body.enrollmentToken;
    const created = await createTotp(token);

    const refused = [
      await app.http.get('/users/me', { token }),
      await app.http.patch('/users/me', { firstName: 'Ada' }, { token }),
      await app.http.post('/users/me/password', { currentPassword: 'x', newPassword: 'y' }, { token }),
      await app.http.get('/users/me/two-factor', { token }),
      await app.http.patch('/users/me/two-factor', { preferredMethod: 'none' }, { token }),
      await app.http.get('/otp-devices', { token }),
      await app.http.get(`/otp-devices/${created.body.id}`, { token }),
      await app.http.patch(`/otp-devices/${created.body.id}`, { name: 'x' }, { token }),
      await app.http.delete(`/otp-devices/${created.body.id}`, { token }),
      await app.http.post('/auth/step-up', {}, { token }),
    ];
    expect(refused.map(({ status, body: { code } }) => `${status} ${String(code)}`)).toEqual(
      refused.map(() => '403 enrollment_required'),
    );

    const verified = await app.http.post('/auth/token/verify', { token });
    expect(verified.body).toEqual({ active: false });
    const refreshed = await app.http.post('/auth/token/refresh', { refreshToken: token.slice(0, 200) });
    expect([refreshed.status, refreshed.body['code']]).toEqual([401, 'invalid_refresh_token']);
    const mailDevice = await app.http.post('/otp-devices', { type: 'email', email: 'eve@example.com' }, { token });
    expect([mailDevice.status, mailDevice.body['code']]).toEqual([403, 'method_not_allowed']);
    expect(await app.sql('SELECT 1 FROM sessions WHERE user_id = $1', [person.id])).toHaveLength(0);
  });

  it('T15: the enrollment token is dead after the confirmation, and replaces nothing', async () => {
    const person = await register(app);
    const { body } = await openEnrollment(person);
    const token = body.enrollmentToken;
    const { deviceId, secret } = await enrollTotp(app, token);

    const again = await createTotp(token);
    expect([again.status, again.body.code]).toEqual([401, 'invalid_token']);
    const confirmedAgain = await confirm(deviceId, totpCode(secret, app.clock), token);
    expect([confirmedAgain.status, confirmedAgain.body.code]).toEqual([401, 'invalid_token']);

    // Spent by itself, and not only because the new device made it void.
    const unspent = 'SELECT 1 FROM enrollments WHERE user_id = $1 AND consumed_at IS NULL';
    expect(await app.sql(unspent, [person.id])).toHaveLength(0);
    const devices = await app.sql(`SELECT id FROM otp_devices WHERE user_id = $1 AND type = 'totp'`, [person.id]);
    expect(devices).toEqual([{ id: deviceId }]);
  });

  it('T15: another enrollment that was open is void after the confirmation, and so is an open e-mail code', async () => {
    const person = await register(app);
    const mine = (await openEnrollment(person)).body.enrollmentToken;
    const thiefs = (await openEnrollment(person)).body.enrollmentToken;
    const open = await firstFactor(app, person.email);
    const openCode = await app.mailbox.code(person.email);
    const { deviceId } = await enrollTotp(app, mine);

    const created = await createTotp(thiefs);
    expect([created.status, created.body.code]).toEqual([401, 'invalid_token']);
    const mailed = await secondFactor<{ code: string }>(app, open.body.codeToken, openCode);
    expect([mailed.status, mailed.body.code]).toEqual([401, 'token_expired']);
    const devices = await app.sql(`SELECT id FROM otp_devices WHERE user_id = $1 AND type = 'totp'`, [person.id]);
    expect(devices).toEqual([{ id: deviceId }]);
  });

  it('of two open enrollments the later one takes over the pending app, and one app is confirmed', async () => {
    const person = await register(app);
    const first = (await openEnrollment(person)).body.enrollmentToken;
    const second = (await openEnrollment(person)).body.enrollmentToken;
    const replaced = await createTotp(first);
    const kept = await createTotp(second);

    const lost = await confirm(replaced.body.id, totpCode(replaced.body.secret, app.clock), first);
    expect([lost.status, lost.body.code]).toEqual([404, 'not_found']);
    const won = await confirm(kept.body.id, totpCode(kept.body.secret, app.clock), second);
    expect(won.status).toBe(200);
    const dead = await createTotp(first);
    expect(dead.status).toBe(401);
  });

  it('T15: the enrollment token lives for 15 minutes', async () => {
    const person = await register(app);
    const { body } = await openEnrollment(person);
    await app.clock.advance(890);
    const created = await createTotp(body.enrollmentToken);
    expect(created.status).toBe(201);

    await app.clock.advance(11);
    const tooLate = await confirm(created.body.id, totpCode(created.body.secret, app.clock), body.enrollmentToken);
    expect([tooLate.status, tooLate.body.code]).toEqual([401, 'invalid_token']);
    const again = await createTotp(body.enrollmentToken);
    expect([again.status, again.body.code]).toEqual([401, 'invalid_token']);
    expect(await app.sql('SELECT 1 FROM sessions WHERE user_id = $1', [person.id])).toHaveLength(0);
  });

  it('wrong confirmation codes are capped: five, and then not even the right one', async () => {
    const person = await register(app);
    const { body } = await openEnrollment(person);
    const created = await createTotp(body.enrollmentToken);
    const { id, secret } = created.body;

    for (let attempt = 1; attempt <= 5; attempt += 1) {
      const wrong = await confirm(id, wrongCode(secret), body.enrollmentToken);
      expect([attempt, wrong.status, wrong.body.code]).toEqual([attempt, 401, 'invalid_code']);
      await app.clock.advance(3);
    }
    await app.clock.advance(60);
    const right = await confirm(id, totpCode(secret, app.clock), body.enrollmentToken);
    expect([right.status, right.body.code]).toEqual([403, 'too_many_attempts']);
    const charged = await app.sql(
      `SELECT attempts FROM challenges WHERE user_id = $1 AND purpose = 'confirm' ORDER BY created_at`,
      [person.id],
    );
    expect(charged).toEqual([{ attempts: 5 }]);

    // Starting again is another secret, so it is no second chance.
    const another = await enrollTotp(app, body.enrollmentToken);
    expect(another.secret).not.toBe(secret);
  });

  it('a pending app expires', async () => {
    const person = await register(app);
    const { body } = await openEnrollment(person);
    const created = await createTotp(body.enrollmentToken);
    await app.clock.advance(601);

    const late = await confirm(created.body.id, totpCode(created.body.secret, app.clock), body.enrollmentToken);
    expect([late.status, late.body.code]).toEqual([410, 'device_expired']);
    await enrollTotp(app, body.enrollmentToken);
  });

  it('P08: a pending app is not asked, and its code signs nobody in', async () => {
    const person = await register(app);
    const { body } = await openEnrollment(person);
    const created = await createTotp(body.enrollmentToken);

    const asked = await firstFactor(app, person.email);
    expect(asked.body.devices.map(({ type }) => type)).toEqual(['email']);
    const refused = await secondFactor<{ code: string }>(
      app,
      asked.body.codeToken,
      totpCode(created.body.secret, app.clock),
      { deviceId: created.body.id },
    );
    expect([refused.status, refused.body.code]).toEqual([403, 'method_not_allowed']);
  });

  it('P01: no preference of the user leads around the policy', async () => {
    const person = await register(app);
    const { body } = await openEnrollment(person);
    const created = await createTotp(body.enrollmentToken);
    const { body: session } = await confirm(
      created.body.id,
      totpCode(created.body.secret, app.clock),
      body.enrollmentToken,
    );
    const prefer = async (preferredMethod: unknown) => {
      const answer = await app.http.patch('/users/me/two-factor', { preferredMethod }, { token: session.accessToken });
      return `${answer.status} ${String(answer.body['code'])}`;
    };

    expect(await prefer('none')).toBe('403 method_not_allowed');
    expect(await prefer('email')).toBe('403 method_not_allowed');
    expect(await prefer('')).toBe('400 validation_failed');
    expect(await prefer('TOTP')).toBe('400 validation_failed');
    expect(await prefer(['totp'])).toBe('400 validation_failed');
    const lowered = await app.http.patch('/users/me/two-factor', { required: false }, { token: session.accessToken });
    expect([lowered.status, lowered.body['code']]).toEqual([403, 'two_factor_required_by_policy']);
    const after = await app.http.get('/users/me/two-factor', { token: session.accessToken });
    expect(after.body).toMatchObject({
      required: true,
      requiredBy: 'policy',
      preferredMethod: 'totp',
      methods: ['totp'],
    });
  });

  /** Six digits that the app shows neither now nor in the steps around. */
  function wrongCode(secret: string): string {
    const shown = [-2, -1, 0, 1, 2].map((steps) => totpCode(secret, app.clock, steps));
    return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !shown.includes(code)) ?? '';
  }
});

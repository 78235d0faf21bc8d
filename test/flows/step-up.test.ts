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
  type Authenticator,
  type SignedIn,
} from '../support/people.js';

interface StepUpBody {
  accessToken: string;
  expiresIn: number;
  code: string;
  resendIn: number;
  retryAfter: number;
  device: { id: string; type: string; label: string };
}

interface Claims {
  sid: string;
  amr: string[];
  acr: string;
  auth_time: number;
}

describe('step-up: proving a factor again within a session (RFC 9470)', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  const stepUp = ({ accessToken: token }: { accessToken: string }, body: Record<string, unknown> = {}) =>
    app.http.post<StepUpBody>('/auth/step-up', body, { token });

  const claimsOf = async ({ accessToken }: { accessToken: string }) =>
    (await app.http.post<Claims>('/auth/token/verify', { token: accessToken })).body;

  /** Something that only a recent proof opens. */
  const renameFirstDevice = async ({ accessToken: token }: { accessToken: string }) => {
    const { body } = await app.http.get<{ items: { id: string }[] }>('/otp-devices', { token });
    return app.http.patch<{ code?: string }>(`/otp-devices/${body.items[0]?.id}`, { name: 'x' }, { token });
  };

  /** The session six minutes later: alive, with the auth_time of the sign-in. */
  async function staleTokens(session: SignedIn): Promise<SignedIn> {
    await app.clock.advance(301);
    return (await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken: session.refreshToken })).body;
  }

  const challengesOf = (userId: string) =>
    app.sql<{ attempts: number }>(
      `SELECT attempts FROM challenges WHERE user_id = $1 AND purpose = 'step_up' ORDER BY created_at`,
      [userId],
    );

  function wrongCode({ secret }: Authenticator): string {
    const shown = [-2, -1, 0, 1, 2].map((steps) => totpCode(secret, app.clock, steps));
    return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !shown.includes(code)) ?? '';
  }

  describe('with an app', () => {
    it('opens what a stale session does not, with the same session and a new auth_time', async () => {
      const person = await personWithTotp(app);
      const stale = await staleTokens(person.session);
      const refused = await renameFirstDevice(stale);
      expect([refused.status, refused.body.code]).toEqual([401, 'insufficient_user_authentication']);

      const asked = await stepUp(stale);
      expect([asked.status, asked.body.resendIn]).toEqual([202, 0]);
      expect(asked.body.device).toMatchObject({ id: person.deviceId, type: 'totp', label: 'Authenticator app' });
      const before = await claimsOf(stale);
      const renewed = await stepUp(stale, { code: totpCode(person.secret, app.clock) });
      expect([renewed.status, renewed.headers['cache-control']]).toEqual([200, 'no-store']);
      expect(renewed.body).toEqual({
        tokenType: 'Bearer',
        accessToken: expect.any(String) as string,
        expiresIn: 300,
      });

      const after = await claimsOf(renewed.body);
      expect(after.sid).toBe(before.sid);
      expect(after.auth_time - before.auth_time).toBeGreaterThan(300);
      expect((await renameFirstDevice(renewed.body)).status).toBe(200);
      const sessions = await app.sql('SELECT 1 FROM sessions WHERE user_id = $1', [person.id]);
      expect(sessions).toHaveLength(1);
    });

    it('T18: the access token of before is worth nothing afterwards, and the refresh token goes on', async () => {
      const person = await personWithTotp(app);
      const { session } = person;
      const stepped = await app.http.post<{ accessToken: string }>(
        '/auth/step-up',
        { code: totpCode(person.secret, app.clock) },
        { token: session.accessToken },
      );
      expect(stepped.status).toBe(200);
      const me = (token: string) => app.http.get('/users/me', { token });
      const old = await me(session.accessToken);
      expect([old.status, old.body['code']]).toEqual([401, 'invalid_token']);
      expect((await app.http.post('/auth/token/verify', { token: session.accessToken })).body).toEqual({
        active: false,
      });
      expect((await me(stepped.body.accessToken)).status).toBe(200);
      const refreshed = await app.http.post<{ accessToken: string }>('/auth/token/refresh', {
        refreshToken: session.refreshToken,
      });
      expect((await me(refreshed.body.accessToken)).status).toBe(200);
    });

    it('needs no asking before', async () => {
      const person = await personWithTotp(app);
      const stale = await staleTokens(person.session);
      const renewed = await stepUp(stale, { code: totpCode(person.secret, app.clock) });
      expect(renewed.status).toBe(200);
      expect(await challengesOf(person.id)).toEqual([{ attempts: 1 }]);
    });

    it('lifts a session that began with an e-mailed code to aal2, and refreshes keep that', async () => {
      const person = await register(app);
      const session = await signInByMail(app, person);
      const authenticator = await enrollTotp(app, session.accessToken);
      expect(await claimsOf(session)).toMatchObject({ amr: ['pwd', 'email'], acr: 'aal1' });
      const { body } = await stepUp(session, { code: totpCode(authenticator.secret, app.clock) });
      expect(await claimsOf(body)).toMatchObject({ amr: ['pwd', 'email', 'otp', 'mfa'], acr: 'aal2' });

      const { refreshToken } = session;
      const refreshed = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken });
      const { auth_time } = await claimsOf(body);
      expect(await claimsOf(refreshed.body)).toMatchObject({ amr: ['pwd', 'email', 'otp', 'mfa'], auth_time });
      expect((await renameFirstDevice(refreshed.body)).status).toBe(200);
    });

    it('R11: a code that signed in does not step up, and one that stepped up does not sign in', async () => {
      const person = await personWithTotp(app);
      const signIn = await firstFactor(app, person.email);
      const used = totpCode(person.secret, app.clock);
      const session = await secondFactor(app, signIn.body.codeToken, used);
      const replayed = await stepUp(session.body, { code: used });
      expect([replayed.status, replayed.body.code]).toEqual([401, 'invalid_code']);

      await app.clock.advance(60);
      const fresh = totpCode(person.secret, app.clock);
      expect((await stepUp(session.body, { code: fresh })).status).toBe(200);
      const again = await firstFactor(app, person.email);
      const refused = await secondFactor<{ code: string }>(app, again.body.codeToken, fresh);
      expect([refused.status, refused.body.code]).toEqual([401, 'invalid_code']);
    });

    it('a proof is good for one renewal', async () => {
      const person = await personWithTotp(app);
      const code = totpCode(person.secret, app.clock);
      const answers = await Promise.all(Array.from({ length: 5 }, () => stepUp(person.session, { code })));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    });

    it('two guesses within two seconds are one attempt', async () => {
      const person = await personWithTotp(app);
      await stepUp(person.session);
      expect((await stepUp(person.session, { code: wrongCode(person) })).status).toBe(401);
      const tooSoon = await stepUp(person.session, { code: totpCode(person.secret, app.clock) });
      expect([tooSoon.status, tooSoon.body.code]).toEqual([429, 'retry_too_soon']);
      expect(Number(tooSoon.headers['retry-after'])).toBe(tooSoon.body.retryAfter);
      expect(await challengesOf(person.id)).toEqual([{ attempts: 1 }]);
    });

    it('R26: five wrong codes pause the app here and at the sign-in, and the owner is told', async () => {
      const person = await personWithTotp(app);
      const open = await firstFactor(app, person.email);
      for (let attempt = 1; attempt <= 5; attempt += 1) {
        const wrong = await stepUp(person.session, { code: wrongCode(person) });
        expect([attempt, wrong.status, wrong.body.code]).toEqual([attempt, 401, 'invalid_code']);
        await app.clock.advance(3);
      }
      const right = await stepUp(person.session, { code: totpCode(person.secret, app.clock) });
      expect([right.status, right.body.code]).toEqual([429, 'too_many_failures']);
      const signIn = await secondFactor<{ code: string }>(app, open.body.codeToken, totpCode(person.secret, app.clock));
      expect([signIn.status, signIn.body.code]).toEqual([429, 'too_many_failures']);
      await app.mailbox.next(person.email, /Wrong codes/);

      await app.clock.advance(31);
      expect((await stepUp(person.session, { code: totpCode(person.secret, app.clock) })).status).toBe(200);
      const [device] = await app.sql('SELECT failures FROM otp_devices WHERE id = $1', [person.deviceId]);
      expect(device).toEqual({ failures: 0 });
    });
  });

  describe('with a mailbox', () => {
    it('a code is sent when it is asked for, and renews', async () => {
      const person = await register(app);
      const stale = await staleTokens(await signInByMail(app, person));
      const asked = await stepUp(stale);
      expect([asked.status, asked.body.resendIn]).toEqual([202, 60]);
      expect(asked.body.device).toMatchObject({ type: 'email', label: 'p•••@example.com' });
      const renewed = await stepUp(stale, { code: await app.mailbox.code(person.email) });
      expect(renewed.status).toBe(200);
      expect(await claimsOf(renewed.body)).toMatchObject({ amr: ['pwd', 'email'], acr: 'aal1' });
      expect((await renameFirstDevice(renewed.body)).status).toBe(200);
    });

    it('asking again within a minute sends nothing, and the first code stays good', async () => {
      const person = await register(app);
      const session = await signInByMail(app, person);
      await stepUp(session);
      const tooSoon = await stepUp(session);
      expect([tooSoon.status, tooSoon.body.code]).toEqual([429, 'code_recently_sent']);
      expect(Number(tooSoon.headers['retry-after'])).toBe(tooSoon.body.retryAfter);
      expect(tooSoon.body.retryAfter).toBeLessThanOrEqual(60);
      expect((await stepUp(session, { code: await app.mailbox.code(person.email) })).status).toBe(200);
    });

    it('a newer code makes the older one worthless (R14)', async () => {
      const person = await register(app);
      const session = await signInByMail(app, person);
      await stepUp(session);
      const older = await app.mailbox.code(person.email);
      await app.clock.advance(61);
      await stepUp(session);
      const newer = await app.mailbox.code(person.email);
      const superseded = await stepUp(session, { code: older });
      expect([superseded.status, superseded.body.code]).toEqual([401, 'invalid_code']);
      await app.clock.advance(3);
      expect((await stepUp(session, { code: newer })).status).toBe(200);
    });

    it('T13: the code of a sign-in does not step up, and that of a step-up does not sign in', async () => {
      const person = await register(app);
      const session = await signInByMail(app, person);
      const signIn = await firstFactor(app, person.email);
      const signInCode = await app.mailbox.code(person.email);
      const guessed = await stepUp(session, { code: signInCode });
      expect([guessed.status, guessed.body.code]).toEqual([401, 'invalid_code']);

      await app.clock.advance(61);
      expect((await stepUp(session)).status).toBe(202);
      const stepUpCode = await app.mailbox.code(person.email);
      const crossed = await secondFactor<{ code: string }>(app, signIn.body.codeToken, stepUpCode);
      expect([crossed.status, crossed.body.code]).toEqual([401, 'invalid_code']);
      await app.clock.advance(3);
      expect((await secondFactor(app, signIn.body.codeToken, signInCode)).status).toBe(200);
      expect((await stepUp(session, { code: stepUpCode })).status).toBe(200);
    });

    it('may be named where there is also an app', async () => {
      const person = await personWithTotp(app);
      const { body } = await app.http.get<{ items: { id: string; type: string }[] }>('/otp-devices', {
        token: person.session.accessToken,
      });
      const deviceId = body.items.find(({ type }) => type === 'email')?.id;
      const asked = await stepUp(person.session, { deviceId });
      expect(asked.body.device).toMatchObject({ id: deviceId, type: 'email' });
      const code = await app.mailbox.code(person.email);
      expect((await stepUp(person.session, { deviceId, code })).status).toBe(200);
    });
  });

  it('the password is not enough where there is a device', async () => {
    const person = await personWithTotp(app);
    for (const body of [{ password: PASSWORD }, { password: PASSWORD, code: totpCode(person.secret, app.clock) }]) {
      const refused = await stepUp(person.session, body);
      expect([refused.status, refused.body.code]).toEqual([403, 'method_not_allowed']);
    }
  });

  it('M03: somebody else’s device proves nothing', async () => {
    const [person, other] = [await personWithTotp(app), await personWithTotp(app)];
    const refused = await stepUp(person.session, {
      deviceId: other.deviceId,
      code: totpCode(other.secret, app.clock),
    });
    expect([refused.status, refused.body.code]).toEqual([403, 'method_not_allowed']);
    const crossed = await stepUp(person.session, { code: totpCode(other.secret, app.clock) });
    expect([crossed.status, crossed.body.code]).toEqual([401, 'invalid_code']);
  });

  it('a session that has ended is not renewed', async () => {
    const person = await personWithTotp(app);
    await app.http.post('/auth/token/revoke', { refreshToken: person.session.refreshToken });
    const refused = await stepUp(person.session, { code: totpCode(person.secret, app.clock) });
    expect([refused.status, refused.body.code]).toEqual([401, 'invalid_token']);
    expect(await challengesOf(person.id)).toEqual([]);
  });

  it('P15: nothing in the body says what was proved', async () => {
    const person = await personWithTotp(app);
    for (const property of [{ acr: 'aal2' }, { amr: ['otp'] }, { trusted: true }, { skip: true }]) {
      expect((await stepUp(person.session, property)).status).toBe(400);
    }
  });
});

describe('step-up where nobody needs a second factor', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp', TWO_FACTOR_FALLBACK_METHOD: 'none' });
  });
  afterAll(() => app.close());

  it('the password renews, a wrong one does not and is counted, and a device ends that', async () => {
    const person = await register(app);
    const { body: session } = await firstFactor<SignedIn>(app, person.email);
    await app.clock.advance(301);
    const { refreshToken } = session;
    const { body: stale } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken });
    const prove = (password: string) =>
      app.http.post<StepUpBody>('/auth/step-up', { password }, { token: stale.accessToken });

    const nothingToAsk = await app.http.post('/auth/step-up', {}, { token: stale.accessToken });
    expect([nothingToAsk.status, nothingToAsk.body['code']]).toEqual([403, 'two_factor_not_configured']);
    for (let attempt = 1; attempt <= 10; attempt += 1) {
      const wrong = await prove('not the password');
      expect([attempt, wrong.status, wrong.body.code]).toEqual([attempt, 401, 'invalid_credentials']);
    }
    const paused = await prove(PASSWORD);
    expect([paused.status, paused.body.code]).toEqual([429, 'too_many_failures']);
    await app.clock.advance(31);
    const renewed = await prove(PASSWORD);
    expect(renewed.status).toBe(200);
    const { body: claims } = await app.http.post('/auth/token/verify', { token: renewed.body.accessToken });
    expect(claims).toMatchObject({ amr: ['pwd'], acr: 'aal1' });

    await enrollTotp(app, renewed.body.accessToken);
    const refused = await app.http.post('/auth/step-up', { password: PASSWORD }, { token: renewed.body.accessToken });
    expect([refused.status, refused.body['code']]).toEqual([403, 'method_not_allowed']);
  });
});

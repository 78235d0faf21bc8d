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
  type SignedIn,
} from '../support/people.js';

const NEW_PASSWORD = 'four other uncommon words';

interface Refusal {
  code: string;
  detail: string;
  retryAfter?: number;
  errors?: { field: string; messages: string[] }[];
}

describe('changing the password', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  const change = ({ accessToken }: Pick<SignedIn, 'accessToken'>, body: Record<string, unknown> = {}) =>
    app.http.post<Refusal>(
      '/users/me/password',
      { currentPassword: PASSWORD, newPassword: NEW_PASSWORD, ...body },
      { token: accessToken },
    );

  const refresh = ({ refreshToken }: Pick<SignedIn, 'refreshToken'>) =>
    app.http.post<SignedIn & { code: string }>('/auth/token/refresh', { refreshToken });

  const me = ({ accessToken }: Pick<SignedIn, 'accessToken'>) => app.http.get('/users/me', { token: accessToken });

  it('T11: ends every other session at once, with its access tokens, and keeps the own one', async () => {
    const person = await register(app);
    const own = await signInByMail(app, person);
    const others = [await signInByMail(app, person), await signInByMail(app, person)];

    const changed = await change(own);
    expect([changed.status, changed.text]).toEqual([204, '']);

    for (const other of others) {
      expect((await me(other)).status).toBe(401);
      const verified = await app.http.post('/auth/token/verify', { token: other.accessToken });
      expect(verified.body).toEqual({ active: false });
      const refused = await refresh(other);
      expect([refused.status, refused.body.code]).toEqual([401, 'invalid_refresh_token']);
    }
    expect((await me(own)).status).toBe(200);
    const kept = await refresh(own);
    expect(kept.status).toBe(200);
    expect((await me(kept.body)).status).toBe(200);
    const live = await app.sql('SELECT end_reason FROM sessions WHERE user_id = $1 ORDER BY created_at', [person.id]);
    expect(live).toEqual([
      { end_reason: null },
      { end_reason: 'password_changed' },
      { end_reason: 'password_changed' },
    ]);
  });

  it('from then on the new password signs in, the old one does not, and the owner is told by mail', async () => {
    const person = await register(app);
    await change(await signInByMail(app, person));

    const old = await firstFactor<Refusal>(app, person.email);
    expect([old.status, old.body.code]).toEqual([401, 'invalid_credentials']);
    expect((await firstFactor(app, person.email, NEW_PASSWORD)).status).toBe(200);
    const notice = await app.mailbox.next(person.email, /password was changed/);
    expect(`${notice.subject} ${notice.text} ${notice.html}`).not.toContain(NEW_PASSWORD);
    const events = await app.sql(`SELECT details FROM audit_events WHERE user_id = $1 AND type = $2`, [
      person.id,
      'user.password-changed',
    ]);
    expect(events).toEqual([{ details: {} }]);
  });

  it('T11, T16: a sign-in that was open is void, even with the right code', async () => {
    const person = await register(app);
    const session = await signInByMail(app, person);
    const open = await firstFactor(app, person.email);
    const code = await app.mailbox.code(person.email);
    await change(session);

    const late = await secondFactor<Refusal>(app, open.body.codeToken, code);
    expect([late.status, late.body.code]).toEqual([401, 'token_expired']);
    await app.clock.advance(61);
    const resent = await app.http.post('/auth/otp', { codeToken: open.body.codeToken });
    expect([resent.status, resent.body['code']]).toEqual([401, 'token_expired']);
    expect(await app.sql('SELECT 1 FROM sessions WHERE user_id = $1', [person.id])).toHaveLength(1);
  });

  it('devices stay: the app is asked as before', async () => {
    const person = await personWithTotp(app);
    await change(person.session);
    const asked = await firstFactor(app, person.email, NEW_PASSWORD);
    expect(asked.body.device).toMatchObject({ id: person.deviceId, type: 'totp' });
    expect((await secondFactor(app, asked.body.codeToken, totpCode(person.secret, app.clock))).status).toBe(200);
  });

  it('a wrong current password changes nothing and is recorded', async () => {
    const person = await register(app);
    const own = await signInByMail(app, person);
    const other = await signInByMail(app, person);

    const refused = await change(own, { currentPassword: NEW_PASSWORD });
    expect([refused.status, refused.body.code]).toEqual([401, 'invalid_credentials']);
    expect(refused.body.detail).toBe('The current password is wrong.');
    expect([(await me(own)).status, (await me(other)).status]).toEqual([200, 200]);
    expect((await firstFactor(app, person.email)).status).toBe(200);
    const events = await app.sql(`SELECT 1 FROM audit_events WHERE user_id = $1 AND type = 'user.password-refused'`, [
      person.id,
    ]);
    expect(events).toHaveLength(1);
  });

  it('a stolen access token is no way to guess the password: ten wrong ones, then a pause', async () => {
    const person = await register(app);
    const own = await signInByMail(app, person);
    const wrong = () => change(own, { currentPassword: 'not the password' });
    for (let attempt = 1; attempt <= 10; attempt += 1)
      expect([attempt, (await wrong()).status]).toEqual([attempt, 401]);

    const paused = await change(own);
    expect([paused.status, paused.body.code]).toEqual([429, 'too_many_failures']);
    expect(Number(paused.headers['retry-after'])).toBe(paused.body.retryAfter);
    expect(paused.body.retryAfter).toBeGreaterThan(25);
    expect(paused.body.retryAfter).toBeLessThanOrEqual(30);
    // Apart from signing in, so that nobody can keep the owner out this way.
    expect((await firstFactor(app, person.email)).status).toBe(200);
    await app.clock.advance(31);
    expect((await change(own)).status).toBe(204);
  });

  it('the new password is held to the rules', async () => {
    const person = await register(app);
    const own = await signInByMail(app, person);
    const told = async (newPassword: string) => {
      const { status, body } = await change(own, { newPassword });
      return [status, body.errors];
    };
    const because = (message: string) => [400, [{ field: 'newPassword', messages: [message] }]];
    expect(await told('qzv7-tl')).toEqual(because('must have at least 8 characters'));
    expect(await told('iloveyou')).toEqual(because('is one of the most common passwords; choose another'));
    expect(await told(person.email)).toEqual(because('is your own address or name; choose another'));
    expect((await firstFactor(app, person.email)).status).toBe(200);
  });

  it('P02: needs a recent proof, and says which and how recent (RFC 9470)', async () => {
    const person = await register(app);
    const session = await signInByMail(app, person);
    const { secret } = await enrollTotp(app, session.accessToken);
    await app.clock.advance(300);
    // A refresh proves nothing: auth_time stays.
    const { body: stale } = await refresh(session);

    const refused = await change(stale);
    expect([refused.status, refused.body.code]).toEqual([401, 'insufficient_user_authentication']);
    const challenge = String(refused.headers['www-authenticate']);
    expect(challenge).toMatch(/^Bearer /);
    expect(challenge).toContain('error="insufficient_user_authentication"');
    expect(challenge).toContain('acr_values="aal2"');
    expect(challenge).toContain('max_age="300"');
    expect((await firstFactor(app, person.email)).status).toBe(200);

    const steppedUp = await app.http.post<SignedIn>(
      '/auth/step-up',
      { code: totpCode(secret, app.clock) },
      { token: stale.accessToken },
    );
    expect(steppedUp.status).toBe(200);
    expect((await change(steppedUp.body)).status).toBe(204);
  });

  it('of two changes at once one wins, and the sessions of the other are ended', async () => {
    const person = await register(app);
    const [one, two] = [await signInByMail(app, person), await signInByMail(app, person)];
    const answers = await Promise.all([
      change(one, { newPassword: 'the first of two phrases' }),
      change(two, { newPassword: 'the second of two phrases' }),
    ]);
    expect(answers.map(({ status }) => status).toSorted()).toEqual([204, 401]);
    const won = answers[0].status === 204 ? 'the first of two phrases' : 'the second of two phrases';
    expect((await firstFactor(app, person.email, won)).status).toBe(200);
    const live = await app.sql('SELECT 1 FROM sessions WHERE user_id = $1 AND ended_at IS NULL', [person.id]);
    expect(live).toHaveLength(1);
  });
});

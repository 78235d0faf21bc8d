import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import {
  enrollTotp,
  firstFactor,
  PASSWORD,
  register,
  secondFactor,
  type Person,
  type SignedIn,
} from '../support/people.js';

/** The third configuration: no second factor unless the user wants one. */
describe('no second factor by default', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp', TWO_FACTOR_FALLBACK_METHOD: 'none' });
  });
  afterAll(() => app.close());

  async function signIn({ email }: Person): Promise<SignedIn> {
    const { status, body } = await firstFactor<SignedIn>(app, email);
    expect([status, body.status]).toEqual([200, 'authenticated']);
    return body;
  }

  const change = (session: SignedIn, body: Record<string, unknown>) =>
    app.http.patch('/users/me/two-factor', body, { token: session.accessToken });

  const statusOf = async (person: Person) => (await firstFactor<{ status: string }>(app, person.email)).body.status;

  it('the password alone signs in, and the tokens say so', async () => {
    const person = await register(app);
    const { body } = await firstFactor<SignedIn>(app, person.email);
    expect(body).toMatchObject({
      status: 'authenticated',
      tokenType: 'Bearer',
      expiresIn: 300,
      refreshExpiresIn: 604_800,
      user: { id: person.id, emailVerified: false },
    });
    const { body: claims } = await app.http.post('/auth/token/verify', { token: body.accessToken });
    expect(claims).toMatchObject({ active: true, sub: person.id, amr: ['pwd'], acr: 'aal1' });
    expect(await app.sql('SELECT 1 FROM challenges WHERE user_id = $1', [person.id])).toHaveLength(0);

    const { body: settings } = await app.http.get('/users/me/two-factor', { token: body.accessToken });
    expect(settings).toMatchObject({ required: false, requiredBy: null, preferredMethod: null, devices: [] });
  });

  it('a username without an address signs in too', async () => {
    const username = `ada-${randomBytes(5).toString('hex')}`;
    await app.http.post('/users', { username, password: PASSWORD });
    const { body } = await firstFactor<SignedIn>(app, username.toUpperCase());
    expect(body).toMatchObject({ status: 'authenticated', user: { username, email: null } });
  });

  it('an app is asked from the moment it is enrolled', async () => {
    const person = await register(app);
    const { deviceId, secret } = await enrollTotp(app, (await signIn(person)).accessToken);

    const asked = await firstFactor(app, person.email);
    expect(asked.body).toMatchObject({ status: 'second_factor_required', device: { id: deviceId, type: 'totp' } });
    const signedIn = await secondFactor(app, asked.body.codeToken, totpCode(secret, app.clock));
    const { body: claims } = await app.http.post('/auth/token/verify', { token: signedIn.body.accessToken });
    expect(claims).toMatchObject({ amr: ['pwd', 'otp', 'mfa'], acr: 'aal2' });
  });

  it('a user opts out and in again by preference', async () => {
    const person = await register(app);
    const session = await signIn(person);
    await enrollTotp(app, session.accessToken);
    expect(await statusOf(person)).toBe('second_factor_required');

    const optedOut = await change(session, { preferredMethod: 'none' });
    expect([optedOut.status, optedOut.body['preferredMethod']]).toEqual([200, 'none']);
    expect(await statusOf(person)).toBe('authenticated');

    const optedIn = await change(session, { preferredMethod: 'totp' });
    expect([optedIn.status, optedIn.body['preferredMethod']]).toEqual([200, 'totp']);
    expect(await statusOf(person)).toBe('second_factor_required');

    const asThePolicySays = await change(session, { preferredMethod: null });
    expect([asThePolicySays.status, asThePolicySays.body['preferredMethod']]).toEqual([200, null]);
    expect(await statusOf(person)).toBe('authenticated');
  });

  it('a user demands a second factor of himself, and lowers that again', async () => {
    const person = await register(app);
    const session = await signIn(person);
    const tooEarly = await change(session, { required: true });
    expect([tooEarly.status, tooEarly.body['code']]).toEqual([403, 'two_factor_not_configured']);

    const { deviceId } = await enrollTotp(app, session.accessToken);
    const raised = await change(session, { required: true });
    expect(raised.body).toMatchObject({ required: true, requiredBy: 'user' });
    expect(await statusOf(person)).toBe('second_factor_required');
    const around = await change(session, { preferredMethod: 'none' });
    expect([around.status, around.body['code']]).toEqual([403, 'method_not_allowed']);
    const last = await app.http.delete(`/otp-devices/${deviceId}`, { token: session.accessToken });
    expect([last.status, last.body['code']]).toEqual([409, 'last_device']);

    const lowered = await change(session, { required: false });
    expect(lowered.body).toMatchObject({ required: false, requiredBy: null });
    const removed = await app.http.delete(`/otp-devices/${deviceId}`, { token: session.accessToken });
    expect(removed.status).toBe(204);
    expect(await statusOf(person)).toBe('authenticated');
  });

  it('both wishes in one request are decided together, and all or nothing is stored', async () => {
    const person = await register(app);
    const session = await signIn(person);
    await enrollTotp(app, session.accessToken);

    const contradicting = await change(session, { required: true, preferredMethod: 'none' });
    expect([contradicting.status, contradicting.body['code']]).toEqual([403, 'method_not_allowed']);
    const { body } = await app.http.get('/users/me/two-factor', { token: session.accessToken });
    expect(body).toMatchObject({ required: false, preferredMethod: 'totp' });

    await change(session, { required: true });
    const both = await change(session, { required: false, preferredMethod: 'none' });
    expect(both.body).toMatchObject({ required: false, preferredMethod: 'none' });
  });

  it('T16: a change of these settings makes open sign-ins void', async () => {
    const person = await register(app);
    const session = await signIn(person);
    const { secret } = await enrollTotp(app, session.accessToken);
    const open = await firstFactor(app, person.email);
    await change(session, { required: true });

    const late = await secondFactor<{ code: string }>(app, open.body.codeToken, totpCode(secret, app.clock));
    expect([late.status, late.body.code]).toEqual([401, 'token_expired']);
    const [challenge] = await app.sql('SELECT attempts FROM challenges WHERE user_id = $1 AND purpose = $2', [
      person.id,
      'sign_in',
    ]);
    expect(challenge).toEqual({ attempts: 0 });
  });

  it('P02: opting out needs a recent sign-in', async () => {
    const person = await register(app);
    const session = await signIn(person);
    await enrollTotp(app, session.accessToken);
    await app.clock.advance(300);
    const { body } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken: session.refreshToken });

    const stale = await change(body, { preferredMethod: 'none' });
    expect([stale.status, stale.body['code']]).toEqual([401, 'insufficient_user_authentication']);
    expect(await statusOf(person)).toBe('second_factor_required');
  });
});

describe('a second factor is required, and this user has none', () => {
  it('a username without an address is refused by the default policy, after the password and not before', async () => {
    const app = await startApp();
    try {
      const username = `ada-${randomBytes(5).toString('hex')}`;
      await app.http.post('/users', { username, password: PASSWORD });

      const right = await firstFactor<{ code: string }>(app, username);
      expect([right.status, right.body.code]).toEqual([403, 'two_factor_not_configured']);
      const wrong = await firstFactor<{ code: string }>(app, username, 'not the password');
      expect([wrong.status, wrong.body.code]).toEqual([401, 'invalid_credentials']);
      const events = await app.sql(`SELECT details FROM audit_events WHERE type = 'sign-in.failed' ORDER BY id`);
      expect(events).toEqual([
        { details: { reason: 'two_factor_not_configured' } },
        { details: { reason: 'wrong_password' } },
      ]);
      expect(await app.sql('SELECT 1 FROM sessions')).toHaveLength(0);
    } finally {
      await app.close();
    }
  });

  it('without a fallback an address does not help', async () => {
    const app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'totp', TWO_FACTOR_FALLBACK_METHOD: 'none' });
    try {
      const person = await register(app);
      const { status, body } = await firstFactor<{ code: string }>(app, person.email);
      expect([status, body.code]).toEqual([403, 'two_factor_not_configured']);
    } finally {
      await app.close();
    }
  });
});

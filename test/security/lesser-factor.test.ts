import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import type { Answer } from '../support/http.js';
import {
  enrollTotp,
  firstFactor,
  PASSWORD,
  personWithTotp,
  register,
  secondFactor,
  signInByMail,
  signInByTotp,
  type Authenticator,
  type Person,
  type SignedIn,
} from '../support/people.js';
import { wrongTotp } from './traces.js';

// Who reads somebody's mail can choose a new password by it, and sign in with it and a mailed code. That is `aal1`, and must
// not become more by what such a session may change.

type Owner = Person & Authenticator;

const CHANGES: Record<string, (app: TestApp, token: string, owner: Owner) => Promise<Answer<Record<string, unknown>>>> =
  {
    'make recovery codes': (app, token) => app.http.post('/otp-devices', { type: 'recovery_codes' }, { token }),
    'create an app of his own': (app, token) => app.http.post('/otp-devices', { type: 'totp' }, { token }),
    'remove the app': (app, token, { deviceId }) => app.http.delete(`/otp-devices/${deviceId}`, { token }),
    'prefer the mailbox': (app, token) =>
      app.http.patch('/users/me/two-factor', { preferredMethod: 'email' }, { token }),
    'take another name': (app, token, { id }) => app.http.patch('/users/me', { username: `not-${id}` }, { token }),
    'change the password': (app, token) =>
      app.http.post(
        '/users/me/password',
        { currentPassword: PASSWORD, newPassword: 'four other uncommon words' },
        { token },
      ),
    'remove the account': (app, token) => app.http.delete('/users/me', { token }),
  };

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ IDENTITY_FIELDS: 'email,username', TRUSTED_BROWSER_TTL: '30d', CODE_TOKEN_RETRY_WAIT: '0s' });
});
afterAll(() => app.close());

/** Password and a code that was mailed on demand, as the app is what is asked otherwise. */
async function signInByLesserFactor({ email }: Person): Promise<SignedIn> {
  const { body: asked } = await firstFactor(app, email);
  await app.clock.advance(61);
  const mailbox = asked.devices.find(({ type }) => type === 'email');
  await app.http.post('/auth/otp', { codeToken: asked.codeToken, deviceId: mailbox?.id });
  const signedIn = await secondFactor(app, asked.codeToken, await app.mailbox.code(email));
  expect(claimsOf(signedIn.body)).toMatchObject({ amr: ['pwd', 'email'], acr: 'aal1' });
  return signedIn.body;
}

function claimsOf({ accessToken }: SignedIn): unknown {
  return JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString());
}

function refusalOf({ status, body, headers }: Answer<Record<string, unknown>>): unknown[] {
  const wanted = /acr_values="(\w+)"/.exec(String(headers['www-authenticate']))?.[1];
  return [status, body['code'], wanted];
}

describe('a fresh session by password and mailbox, of somebody who has an app', () => {
  it.each(Object.entries(CHANGES))('is not enough to %s; the app is', async (_what, change) => {
    const owner = await personWithTotp(app);
    const { accessToken: token } = await signInByLesserFactor(owner);
    expect(refusalOf(await change(app, token, owner))).toEqual([401, 'insufficient_user_authentication', 'aal2']);

    const code = totpCode(owner.secret, app.clock);
    const proved = await app.http.post<SignedIn>('/auth/step-up', { code }, { token });
    expect(claimsOf(proved.body)).toMatchObject({ acr: 'aal2' });
    expect((await change(app, proved.body.accessToken, owner)).status).toBeLessThan(300);
  });

  it('is not enough either where a hundred wrong codes have disabled the app', async () => {
    const owner = await personWithTotp(app);
    await app.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [owner.id]);
    const { accessToken: token } = await signInByLesserFactor(owner);
    await app.sql('UPDATE otp_devices SET failures = 99, blocked_until = NULL WHERE id = $1', [owner.deviceId]);
    await app.http.post('/auth/step-up', { code: wrongTotp(owner.secret, app) }, { token });
    const [device] = await app.sql<{ disabled: boolean }>(
      'SELECT disabled_at IS NOT NULL AS disabled FROM otp_devices WHERE id = $1',
      [owner.deviceId],
    );
    expect(device).toEqual({ disabled: true });
    expect(refusalOf(await app.http.get('/admin/users', { token }))).toEqual([
      401,
      'insufficient_user_authentication',
      'aal2',
    ]);
    const codes = await app.http.post<Record<string, unknown>>('/otp-devices', { type: 'recovery_codes' }, { token });
    expect(refusalOf(codes)).toEqual([401, 'insufficient_user_authentication', 'aal2']);
  });
});

describe('who has nothing better', () => {
  it('enrolls an app from it, and recovery codes in the same minutes', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    await enrollTotp(app, token);
    expect((await app.http.post('/otp-devices', { type: 'recovery_codes' }, { token })).status).toBe(201);
  });

  it('spends no recovery code for a change, unless he is an administrator', async () => {
    const person = await register(app);
    const { accessToken: first } = await signInByMail(app, person);
    expect((await app.http.post('/otp-devices', { type: 'recovery_codes' }, { token: first })).status).toBe(201);
    await app.clock.advance(61);
    const { accessToken: token } = await signInByMail(app, person);
    const prefer = () => app.http.patch('/users/me/two-factor', { preferredMethod: 'email' }, { token });
    expect((await prefer()).status).toBe(200);
    await app.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [person.id]);
    expect(refusalOf(await prefer())).toEqual([401, 'insufficient_user_authentication', 'aal2']);
  });
});

it('a trusted browser stands in for the second factor at the sign-in, and not where factors change', async () => {
  const person = await register(app);
  const { body: asked } = await firstFactor(app, person.email);
  const trusted = await secondFactor<SignedIn & { trustedBrowserToken: string }>(
    app,
    asked.codeToken,
    await app.mailbox.code(person.email),
    { trustBrowser: true },
  );
  const { trustedBrowserToken } = trusted.body;
  const known = await app.http.post<SignedIn>('/auth/token', {
    identifier: person.email,
    password: PASSWORD,
    trustedBrowserToken,
  });
  expect(claimsOf(known.body)).toMatchObject({ amr: ['pwd'], acr: 'aal1' });
  const create = (token: string) => app.http.post<Record<string, unknown>>('/otp-devices', { type: 'totp' }, { token });
  expect(refusalOf(await create(known.body.accessToken))).toEqual([401, 'insufficient_user_authentication', 'aal1']);

  await app.clock.advance(61);
  const stepUp = (body: Record<string, unknown>) =>
    app.http.post<SignedIn>('/auth/step-up', body, { token: known.body.accessToken });
  expect((await stepUp({})).status).toBe(202);
  const proved = await stepUp({ code: await app.mailbox.code(person.email) });
  expect(proved.status).toBe(200);
  expect((await create(proved.body.accessToken)).status).toBe(201);
});

it('who signed in with the app itself changes what he likes', async () => {
  const owner = await personWithTotp(app);
  const { accessToken: token } = await signInByTotp(app, owner);
  expect((await app.http.post('/otp-devices', { type: 'recovery_codes' }, { token })).status).toBe(201);
});

describe('a stale session of password and app', () => {
  /** With the access token, or the refresh token, that somebody has stolen. */
  async function stale(owner: Owner): Promise<string> {
    const { refreshToken } = await signInByTotp(app, owner);
    await app.clock.advance(301);
    const { body } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken });
    expect(claimsOf(body)).toMatchObject({ amr: ['pwd', 'otp', 'mfa'], acr: 'aal2' });
    return body.accessToken;
  }

  async function stepUpByMail(token: string, owner: Owner): Promise<Answer<SignedIn>> {
    const { body } = await app.http.get<{ items: { id: string; type: string }[] }>('/otp-devices', { token });
    const deviceId = body.items.find(({ type }) => type === 'email')?.id;
    await app.http.post('/auth/step-up', { deviceId }, { token });
    return app.http.post<SignedIn>('/auth/step-up', { deviceId, code: await app.mailbox.code(owner.email) }, { token });
  }

  it.each(Object.entries(CHANGES))(
    'is not enough with a mailed code to %s; with the app it is',
    async (_what, change) => {
      const owner = await personWithTotp(app);
      const { body: lesser } = await stepUpByMail(await stale(owner), owner);
      expect(claimsOf(lesser)).toMatchObject({ amr: ['pwd', 'email'], acr: 'aal1' });
      expect(refusalOf(await change(app, lesser.accessToken, owner))).toEqual([
        401,
        'insufficient_user_authentication',
        'aal2',
      ]);
      const code = totpCode(owner.secret, app.clock);
      const { body: proved } = await app.http.post<SignedIn>('/auth/step-up', { code }, { token: lesser.accessToken });
      expect(claimsOf(proved)).toMatchObject({ acr: 'aal2' });
      expect((await change(app, proved.accessToken, owner)).status).toBeLessThan(300);
    },
  );

  it('does not become a recent one of aal2 at a gateway by a mailed code, nor by a refresh after it', async () => {
    const owner = await personWithTotp(app);
    const { refreshToken } = await signInByTotp(app, owner);
    await app.clock.advance(301);
    const { body: stolen } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken });
    const { body: lesser } = await stepUpByMail(stolen.accessToken, owner);
    const { body: next } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken: stolen.refreshToken });
    for (const { accessToken: token } of [lesser, next]) {
      const answer = await app.http.get<Record<string, unknown>>('/auth/forward?acr=aal2&maxAge=300', { token });
      expect(refusalOf(answer)).toEqual([401, 'insufficient_user_authentication', 'aal2']);
    }
  });
});

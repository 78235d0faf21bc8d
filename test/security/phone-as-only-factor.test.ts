import { afterAll, beforeAll, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { enrollTotp, type SignedIn } from '../support/people.js';

const NUMBER = '+4915112345671';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({
    IDENTITY_FIELDS: 'email,phoneNumber',
    OTP_AUTO_CREATE_ACCOUNT: 'on',
    TWO_FACTOR_TRUSTED_METHODS: 'none,sms,totp',
    TWO_FACTOR_FALLBACK_METHOD: 'none',
  });
});
afterAll(() => app.close());

async function ask(): Promise<void> {
  await app.clock.advance(61);
  expect((await app.http.post('/auth/otp', { identifier: NUMBER })).status).toBe(202);
}

async function signIn(): Promise<SignedIn> {
  await ask();
  const code = await app.mailbox.smsCode(NUMBER);
  return (await app.http.post<SignedIn>('/auth/token', { identifier: NUMBER, code })).body;
}

function claimsOf({ accessToken }: SignedIn): unknown {
  return JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString());
}

it('whoever signs in with a phone alone may enroll an app, and needs it from then on', async () => {
  await signIn();
  const session = await signIn();
  expect(claimsOf(session)).toMatchObject({ amr: ['sms'], acr: 'aal1' });
  const { deviceId, secret } = await enrollTotp(app, session.accessToken);

  await app.clock.advance(301);
  const { refreshToken } = session;
  const { body: stale } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken });
  const remove = (token: string) => app.http.delete<{ acr_values?: string }>(`/otp-devices/${deviceId}`, { token });
  const refused = await remove(stale.accessToken);
  expect(refused.status).toBe(401);
  expect(refused.headers['www-authenticate']).toContain('acr_values="aal2"');
  const proof = { deviceId, code: totpCode(secret, app.clock) };
  const { body: proved } = await app.http.post<SignedIn>('/auth/step-up', proof, { token: stale.accessToken });
  expect((await remove(proved.accessToken)).status).toBe(204);
});

it('a stale session of his proves the phone again, and may remove the account', async () => {
  const { refreshToken } = await signIn();
  await app.clock.advance(301);
  const { body: stale } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken });
  const token = stale.accessToken;
  expect((await app.http.delete('/users/me', { token })).status).toBe(401);
  expect((await app.http.post('/auth/step-up', {}, { token })).status).toBe(202);
  const code = await app.mailbox.smsCode(NUMBER);
  const { body: proved } = await app.http.post<SignedIn>('/auth/step-up', { code }, { token });
  expect((await app.http.delete('/users/me', { token: proved.accessToken })).status).toBe(204);
});

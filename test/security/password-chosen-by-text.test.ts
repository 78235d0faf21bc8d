import { afterAll, beforeAll, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { enrollTotp, firstFactor, PASSWORD, secondFactor, type Asked, type SignedIn } from '../support/people.js';

// A SIM that was swapped, or a phone on a table: it reads the code that lets somebody choose a password, and the code that is
// asked beside the password. That is one factor, whatever it is called.

const CHOSEN = 'four other uncommon words';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({
    IDENTITY_FIELDS: 'phoneNumber',
    TWO_FACTOR_FALLBACK_METHOD: 'sms',
    CODE_TOKEN_RETRY_WAIT: '0s',
  });
});
afterAll(() => app.close());

let people = 0;
async function personWithPhone(): Promise<{ number: string; session: SignedIn }> {
  people += 1;
  const number = `+49151123456${70 + people}`;
  const { status } = await app.http.post('/users', { phoneNumber: number, password: PASSWORD });
  expect(status).toBe(201);
  return { number, session: await signInByText(number, PASSWORD) };
}

/** With the password, and a text also where an app is what is asked. */
async function signInByText(number: string, password: string): Promise<SignedIn> {
  await app.clock.advance(61);
  const { body } = await firstFactor<Asked>(app, number, password);
  if (body.device.type !== 'sms') {
    const deviceId = body.devices.find(({ type }) => type === 'sms')?.id;
    expect((await app.http.post('/auth/otp', { codeToken: body.codeToken, deviceId })).status).toBe(202);
  }
  return (await secondFactor(app, body.codeToken, await app.mailbox.smsCode(number))).body;
}

async function choosePasswordByText(number: string): Promise<void> {
  await app.clock.advance(61);
  expect((await app.http.post('/auth/password-reset', { identifier: number })).status).toBe(202);
  const code = await app.mailbox.smsCode(number);
  const chosen = { identifier: number, code, newPassword: CHOSEN };
  expect((await app.http.post('/auth/password-reset/confirm', chosen)).status).toBe(204);
}

function claimsOf({ accessToken }: SignedIn): unknown {
  return JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString());
}

const create = (token: string, type: string) => app.http.post('/otp-devices', { type }, { token });

it('is no second factor beside a text, and does not remove the app', async () => {
  const { number, session } = await personWithPhone();
  expect(claimsOf(session)).toMatchObject({ amr: ['pwd', 'sms', 'mfa'], acr: 'aal2' });
  const { deviceId, secret } = await enrollTotp(app, session.accessToken);

  await choosePasswordByText(number);
  const thief = await signInByText(number, CHOSEN);
  expect(claimsOf(thief)).toMatchObject({ amr: ['pwd', 'sms'], acr: 'aal1' });
  const remove = (token: string) => app.http.delete(`/otp-devices/${deviceId}`, { token });
  const refused = await remove(thief.accessToken);
  expect(refused.status).toBe(401);
  expect(refused.headers['www-authenticate']).toContain('acr_values="aal2"');
  expect((await create(thief.accessToken, 'recovery_codes')).status).toBe(401);

  const stepUp = { deviceId, code: totpCode(secret, app.clock) };
  const { body: owner } = await app.http.post<SignedIn>('/auth/step-up', stepUp, { token: thief.accessToken });
  expect(claimsOf(owner)).toMatchObject({ acr: 'aal2' });
  expect((await remove(owner.accessToken)).status).toBe(204);
});

it('keeps nobody out who has but the phone: he signs in, and enrolls an app', async () => {
  const { number } = await personWithPhone();
  await choosePasswordByText(number);
  const { accessToken } = await signInByText(number, CHOSEN);
  const { secret } = await enrollTotp(app, accessToken);
  await app.clock.advance(61);
  const { body } = await firstFactor<Asked>(app, number, CHOSEN);
  const { body: both } = await secondFactor(app, body.codeToken, totpCode(secret, app.clock));
  expect(claimsOf(both)).toMatchObject({ amr: ['pwd', 'otp', 'mfa'], acr: 'aal2' });
});

it('is a factor of its own once its owner has changed it', async () => {
  const { number } = await personWithPhone();
  await choosePasswordByText(number);
  const { accessToken: token } = await signInByText(number, CHOSEN);
  const change = { currentPassword: CHOSEN, newPassword: PASSWORD };
  expect((await app.http.post('/users/me/password', change, { token })).status).toBe(204);
  expect(claimsOf(await signInByText(number, PASSWORD))).toMatchObject({ acr: 'aal2' });
});

it('keeps no administrator out who has but the phone, and demands the app of one who has it', async () => {
  const { number } = await personWithPhone();
  await app.sql(`UPDATE users SET roles = '{admin}' WHERE phone_number = $1`, [number]);
  await choosePasswordByText(number);
  const { accessToken: token } = await signInByText(number, CHOSEN);
  const listUsers = () => app.http.get('/admin/users', { token });
  expect((await listUsers()).status).toBe(200);

  await enrollTotp(app, token);
  const refused = await listUsers();
  expect(refused.status).toBe(401);
  expect(refused.headers['www-authenticate']).toContain('acr_values="aal2"');
});

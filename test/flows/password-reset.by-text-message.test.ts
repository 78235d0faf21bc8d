import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { firstFactor, PASSWORD } from '../support/people.js';

const NEW_PASSWORD = 'four other uncommon words';

/** Where an account has a phone and no mailbox, a code takes the place of the link. */
describe('a password reset by text message', () => {
  let app: TestApp;
  let number = 4_915_112_340_000;
  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_FALLBACK_METHOD: 'sms' });
  });
  afterAll(() => app.close());

  const registerPhone = async (): Promise<string> => {
    number += 1;
    const phoneNumber = `+${number}`;
    const { status, text } = await app.http.post('/users', { phoneNumber, password: PASSWORD });
    expect(status, text).toBe(201);
    return phoneNumber;
  };
  const confirm = (body: Record<string, unknown>) => app.http.post('/auth/password-reset/confirm', body);

  it('changes the password once, and signs nobody in', async () => {
    const phone = await registerPhone();
    expect((await app.http.post('/auth/password-reset', { identifier: phone })).status).toBe(202);
    const code = await app.mailbox.smsCode(phone);
    const body = { identifier: phone, code, newPassword: NEW_PASSWORD };
    expect(await confirm(body)).toMatchObject({ status: 204, text: '' });
    expect(await confirm(body)).toMatchObject({ status: 400, body: { code: 'invalid_link' } });
    expect((await firstFactor(app, phone, PASSWORD)).status).toBe(401);
    expect((await firstFactor(app, phone, NEW_PASSWORD)).body.status).toBe('second_factor_required');
  });

  it('refuses a wrong code, and an unknown number, in the same words', async () => {
    const phone = await registerPhone();
    await app.http.post('/auth/password-reset', { identifier: phone });
    await app.mailbox.smsCode(phone);
    const wrong = await confirm({ identifier: phone, code: '0000000', newPassword: NEW_PASSWORD });
    const unknown = await confirm({ identifier: '+4915112349999', code: '0000000', newPassword: NEW_PASSWORD });
    expect([wrong.status, unknown.status]).toEqual([400, 400]);
    expect({ ...wrong.body, requestId: '' }).toEqual({ ...unknown.body, requestId: '' });
    expect((await firstFactor(app, phone, PASSWORD)).status).toBe(200);
  });

  it('takes neither a code that signs in, nor lets its own code sign in', async () => {
    const phone = await registerPhone();
    await app.http.post('/auth/password-reset', { identifier: phone });
    const code = await app.mailbox.smsCode(phone);
    expect((await app.http.post('/auth/token', { identifier: phone, code })).status).toBe(401);
    await app.clock.advance(61);
    await app.http.post('/auth/otp', { identifier: phone });
    const signInCode = await app.mailbox.smsCode(phone);
    const refused = await confirm({ identifier: phone, code: signInCode, newPassword: NEW_PASSWORD });
    expect(refused.status).toBe(400);
  });

  it('wants one of the two: a link’s token, or an identifier and a code', async () => {
    for (const body of [
      {},
      { identifier: '+4915112340000' },
      { code: '123456' },
      { token: 'x', code: '1', identifier: 'y' },
    ]) {
      const { status, body: problem } = await confirm({ ...body, newPassword: NEW_PASSWORD });
      expect([status, problem['code']]).toEqual([400, 'validation_failed']);
    }
  });
});

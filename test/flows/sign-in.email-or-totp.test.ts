import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { enrollTotp, firstFactor, register, secondFactor, signInByMail } from '../support/people.js';

/** drf-jwt-2fa's first configuration, and the default: an e-mailed code, or an authenticator app once there is one. */
describe('e-mail code with optional TOTP', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  it('signs a new user in with a password and an e-mailed code', async () => {
    const person = await register(app);

    const asked = await firstFactor(app, person.email);
    expect(asked.status).toBe(200);
    expect(asked.body).toMatchObject({
      status: 'second_factor_required',
      codeSent: true,
      resendIn: 60,
      expiresIn: 300,
    });
    expect(asked.body.device).toMatchObject({ type: 'email', label: 'p•••@example.com' });

    const code = await app.mailbox.code(person.email);
    expect(code).toMatch(/^\d{7}$/);
    const signedIn = await secondFactor(app, asked.body.codeToken, code);
    expect(signedIn.status).toBe(200);
    expect(signedIn.body).toMatchObject({
      status: 'authenticated',
      tokenType: 'Bearer',
      expiresIn: 300,
      refreshExpiresIn: 604800,
    });
    expect(signedIn.body.user).toMatchObject({ id: person.id, emailVerified: true });

    const me = await app.http.get('/users/me', { token: signedIn.body.accessToken });
    expect(me.body).toMatchObject({ id: person.id, email: person.email, emailVerified: true });
  });

  it('asks for the authenticator app once one is enrolled, and for nothing by mail', async () => {
    const person = await register(app);
    const session = await signInByMail(app, person);
    const { secret, deviceId } = await enrollTotp(app, session.accessToken);
    const codes = () => app.mailbox.all(person.email).filter(({ subject }) => /code$/.test(subject));
    expect(codes()).toHaveLength(1);

    const asked = await firstFactor(app, person.email);
    expect(asked.body).toMatchObject({ codeSent: false, resendIn: 0, device: { id: deviceId, type: 'totp' } });
    expect(asked.body.devices.map(({ type }) => type)).toEqual(['totp', 'email', 'recovery_codes']);

    const signedIn = await secondFactor(app, asked.body.codeToken, totpCode(secret, app.clock));
    expect(signedIn.status).toBe(200);
    const { body: claims } = await app.http.post('/auth/token/verify', { token: signedIn.body.accessToken });
    expect(claims).toMatchObject({ active: true, sub: person.id, amr: ['pwd', 'otp', 'mfa'], acr: 'aal2' });
    expect(codes()).toHaveLength(1);
  });
});

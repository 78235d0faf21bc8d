import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { firstFactor, register, secondFactor, signInByMail } from '../support/people.js';

describe('a device that was never confirmed', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ CODE_RESEND_COOLDOWN: 'off', CODE_TOKEN_RETRY_WAIT: '0s' });
  });
  afterAll(() => app.close());

  async function withPendingApp() {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    const { body: device } = await app.http.post<{ id: string; secret: string }>(
      '/otp-devices',
      { type: 'totp' },
      { token },
    );
    return { ...person, token, device };
  }

  const deviceIds = async (token: string) =>
    (await app.http.get<{ items: { id: string; confirmed: boolean }[] }>('/otp-devices', { token })).body.items;

  it('is not asked, not listed, and its code signs nobody in', async () => {
    const { email, device } = await withPendingApp();
    const { body: asked } = await firstFactor(app, email);
    expect(asked.device.type).toBe('email');
    expect(asked.devices.map(({ type }) => type)).toEqual(['email']);

    const code = totpCode(device.secret, app.clock);
    const answered = await secondFactor(app, asked.codeToken, code);
    expect([answered.status, answered.body]).toMatchObject([401, { code: 'invalid_code' }]);
    const named = await secondFactor(app, asked.codeToken, code, { deviceId: device.id });
    expect([named.status, named.body]).toMatchObject([403, { code: 'method_not_allowed' }]);
    const switched = await app.http.post('/auth/otp', { codeToken: asked.codeToken, deviceId: device.id });
    expect([switched.status, switched.body]).toMatchObject([403, { code: 'method_not_allowed' }]);
  });

  it('does not step up', async () => {
    const { token, device } = await withPendingApp();
    const stepUp = { deviceId: device.id, code: totpCode(device.secret, app.clock) };
    const answer = await app.http.post('/auth/step-up', stepUp, { token });
    expect([answer.status, answer.body]).toMatchObject([403, { code: 'method_not_allowed' }]);
    const unnamed = await app.http.post('/auth/step-up', { code: stepUp.code }, { token });
    expect([unnamed.status, unnamed.body]).toMatchObject([401, { code: 'invalid_code' }]);
  });

  it('does not sign in by a mailbox, although a code was sent there to confirm it', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    const address = `pending-${randomBytes(5).toString('hex')}@example.com`;
    const { body: device } = await app.http.post<{ id: string }>(
      '/otp-devices',
      { type: 'email', email: address },
      { token },
    );
    const code = await app.mailbox.code(address);

    const { body: asked } = await firstFactor(app, person.email);
    expect((await secondFactor(app, asked.codeToken, code)).status).toBe(401);
    const switched = await app.http.post('/auth/otp', { codeToken: asked.codeToken, deviceId: device.id });
    expect([switched.status, switched.body]).toMatchObject([403, { code: 'method_not_allowed' }]);
    expect(app.mailbox.all(address)).toHaveLength(1);
    expect((await app.http.post(`/otp-devices/${device.id}/confirm`, { code }, { token })).status).toBe(200);
  });

  it('is gone after fifteen minutes, and its code confirms nothing then', async () => {
    const { email, token, device } = await withPendingApp();
    expect((await deviceIds(token)).find(({ id }) => id === device.id)).toMatchObject({ confirmed: false });
    await app.clock.advance(901);

    const fresh = await signInByMail(app, { id: '', email });
    expect(await deviceIds(fresh.accessToken)).toMatchObject([{ confirmed: true }]);
    const code = totpCode(device.secret, app.clock);
    const confirmed = await app.http.post(`/otp-devices/${device.id}/confirm`, { code }, { token: fresh.accessToken });
    expect([confirmed.status, confirmed.body]).toMatchObject([410, { code: 'device_expired' }]);
  });

  it('is replaced by the next of its kind: its code confirms nothing any more', async () => {
    const { token, device: first } = await withPendingApp();
    const { body: second } = await app.http.post<{ id: string; secret: string }>(
      '/otp-devices',
      { type: 'totp' },
      { token },
    );
    const pending = (await deviceIds(token)).filter(({ confirmed }) => !confirmed);
    expect(pending.map(({ id }) => id)).toEqual([second.id]);
    const confirm = (id: string, secret: string) =>
      app.http.post(`/otp-devices/${id}/confirm`, { code: totpCode(secret, app.clock) }, { token });
    expect((await confirm(first.id, first.secret)).status).toBe(404);
    expect((await confirm(second.id, first.secret)).status).toBe(401);
    expect((await confirm(second.id, second.secret)).status).toBe(200);
  });

  it('leaves the confirmed one alone: it goes on working while the next one is tried', async () => {
    const { email, token, device } = await withPendingApp();
    const code = totpCode(device.secret, app.clock);
    expect((await app.http.post(`/otp-devices/${device.id}/confirm`, { code }, { token })).status).toBe(200);
    const { body: next } = await app.http.post<{ id: string }>('/otp-devices', { type: 'totp' }, { token });
    expect((await app.http.post(`/otp-devices/${next.id}/confirm`, { code: '000000x' }, { token })).status).toBe(401);
    await app.clock.advance(30);
    const { body: asked } = await firstFactor(app, email);
    expect(asked.device.id).toBe(device.id);
    expect((await secondFactor(app, asked.codeToken, totpCode(device.secret, app.clock))).status).toBe(200);
  });
});

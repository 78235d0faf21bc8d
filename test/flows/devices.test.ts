import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import type { Answer } from '../support/http.js';
import {
  enrollTotp,
  firstFactor,
  personWithTotp,
  register,
  secondFactor,
  signInByMail,
  type Person,
  type SignedIn,
} from '../support/people.js';

interface Device {
  id: string;
  type: string;
  name: string;
  label: string;
  confirmed: boolean;
  preferred: boolean;
  createdAt: string;
  lastUsedAt: string | null;
}

interface Refusal {
  code: string;
  retryAfter: number;
}

const address = () => `other-${randomBytes(5).toString('hex')}@example.org`;

describe('OTP devices', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  const list = async ({ accessToken: token }: SignedIn) =>
    (await app.http.get<{ items: Device[] }>('/otp-devices', { token })).body.items;

  const createMailDevice = <Body = Device & { resendIn: number }>({ accessToken: token }: SignedIn, email: string) =>
    app.http.post<Body>('/otp-devices', { type: 'email', email }, { token });

  const confirm = <Body = { device: Device }>({ accessToken: token }: SignedIn, id: string, code: string) =>
    app.http.post<Body>(`/otp-devices/${id}/confirm`, { code }, { token });

  const amrOf = async ({ accessToken }: SignedIn) =>
    (await app.http.post('/auth/token/verify', { token: accessToken })).body['amr'];

  async function mailDeviceOf(session: SignedIn): Promise<string> {
    const device = (await list(session)).find(({ type }) => type === 'email');
    return device?.id ?? '';
  }

  function expectCooldown({ status, headers, body }: Answer<Refusal>): void {
    expect([status, body.code]).toEqual([429, 'code_recently_sent']);
    expect(Number(headers['retry-after'])).toBe(body.retryAfter);
    expect(body.retryAfter).toBeGreaterThan(50);
    expect(body.retryAfter).toBeLessThanOrEqual(60);
  }

  describe('of a user', () => {
    it('are listed: the mailbox that the first sign-in confirmed, the app, and the recovery codes that came with it', async () => {
      const person = await personWithTotp(app);
      expect(await list(person.session)).toEqual([
        {
          id: expect.any(String) as string,
          type: 'email',
          name: '',
          label: 'p•••@example.com',
          confirmed: true,
          preferred: false,
          createdAt: expect.any(String) as string,
          lastUsedAt: expect.any(String) as string,
        },
        {
          id: person.deviceId,
          type: 'totp',
          name: '',
          label: 'Authenticator app',
          confirmed: true,
          preferred: true,
          createdAt: expect.any(String) as string,
          lastUsedAt: expect.any(String) as string,
        },
        {
          id: expect.any(String) as string,
          type: 'recovery_codes',
          name: '',
          label: 'Recovery codes',
          confirmed: true,
          preferred: false,
          createdAt: expect.any(String) as string,
          lastUsedAt: null,
        },
      ]);
    });

    it('M06: tell their secret once, at creation, and never again', async () => {
      const person = await register(app);
      const session = await signInByMail(app, person);
      const token = session.accessToken;
      const created = await app.http.post<{ id: string; secret: string; otpauthUrl: string; qrCode: string }>(
        '/otp-devices',
        { type: 'totp', name: 'My phone' },
        { token },
      );
      const { id, secret, otpauthUrl, qrCode } = created.body;
      expect(secret).toMatch(/^[A-Z2-7]{32}$/);
      const uri = new URL(otpauthUrl);
      expect([uri.protocol, uri.host, uri.searchParams.get('secret')]).toEqual(['otpauth:', 'totp', secret]);
      expect(decodeURIComponent(uri.pathname)).toBe(`/Countersign:${person.email}`);
      expect(qrCode).toMatch(/^data:image\/svg\+xml;base64,/);

      const confirmed = await confirm<unknown>(session, id, totpCode(secret, app.clock));
      const shown = [
        confirmed.text,
        (await app.http.get('/otp-devices', { token })).text,
        (await app.http.get(`/otp-devices/${id}`, { token })).text,
        (await app.http.get('/users/me/two-factor', { token })).text,
      ];
      for (const text of shown) expect(text).not.toMatch(new RegExp(`${secret}|otpauth|qrCode|secret`, 'i'));
      const [row] = await app.sql('SELECT sealed_secret FROM otp_devices WHERE id = $1', [id]);
      expect(JSON.stringify(row)).not.toContain(secret);
    });

    it('are renamed', async () => {
      const { deviceId, session } = await personWithTotp(app);
      const token = session.accessToken;
      const { status, body } = await app.http.patch(`/otp-devices/${deviceId}`, { name: ' Old phone ' }, { token });
      expect([status, body['name']]).toEqual([200, 'Old phone']);
      const { body: shown } = await app.http.get(`/otp-devices/${deviceId}`, { token });
      expect(shown).toEqual(body);
    });

    it('the preferred one is asked first', async () => {
      const person = await personWithTotp(app);
      const token = person.session.accessToken;
      const mailbox = await mailDeviceOf(person.session);
      expect((await firstFactor(app, person.email)).body.device.type).toBe('totp');

      const { body } = await app.http.patch(`/otp-devices/${mailbox}`, { preferred: true }, { token });
      expect(body).toMatchObject({ id: mailbox, preferred: true });
      const asked = await firstFactor(app, person.email);
      expect(asked.body.device).toMatchObject({ id: mailbox, type: 'email' });
      expect(asked.body.devices.map(({ type }) => type)).toEqual(['email', 'totp', 'recovery_codes']);
      expect((await list(person.session)).map(({ preferred }) => preferred)).toEqual([true, false, false]);
    });

    it('M02: take no property of a device that is not for its user to set', async () => {
      const { deviceId, session } = await personWithTotp(app);
      const token = session.accessToken;
      const before = await app.sql('SELECT * FROM otp_devices WHERE id = $1', [deviceId]);
      for (const property of [{ confirmed: true }, { userId: deviceId }, { secret: 'A' }, { lastStep: 0 }]) {
        const created = await app.http.post('/otp-devices', { type: 'totp', ...property }, { token });
        const changed = await app.http.patch(`/otp-devices/${deviceId}`, property, { token });
        expect([property, created.status, changed.status]).toEqual([property, 400, 400]);
      }
      const dropped = await app.http.patch(`/otp-devices/${deviceId}`, { preferred: false }, { token });
      expect(dropped.status).toBe(400);
      expect(await app.sql('SELECT * FROM otp_devices WHERE id = $1', [deviceId])).toEqual(before);
    });
  });

  describe('the removal', () => {
    it('of an app leaves the mailbox and the recovery codes, and the user is told', async () => {
      const person = await personWithTotp(app);
      const token = person.session.accessToken;
      expect((await app.http.delete(`/otp-devices/${person.deviceId}`, { token })).status).toBe(204);
      expect((await app.http.get(`/otp-devices/${person.deviceId}`, { token })).status).toBe(404);
      expect((await list(person.session)).map(({ type }) => type)).toEqual(['email', 'recovery_codes']);
      await app.mailbox.next(person.email, /was removed/);
      expect((await firstFactor(app, person.email)).body.device.type).toBe('email');
    });

    it('P06: of the last one is refused, since a second factor is required', async () => {
      const person = await personWithTotp(app);
      const token = person.session.accessToken;
      await app.http.delete(`/otp-devices/${person.deviceId}`, { token });
      const last = await app.http.delete(`/otp-devices/${await mailDeviceOf(person.session)}`, { token });
      expect([last.status, last.body['code']]).toEqual([409, 'last_device']);
      expect((await list(person.session)).map(({ type }) => type)).toEqual(['email', 'recovery_codes']);
    });

    it('R22: of both at once leaves one', async () => {
      const person = await personWithTotp(app);
      const others = async () => (await list(person.session)).filter(({ type }) => type !== 'recovery_codes');
      const ids = (await others()).map(({ id }) => id);
      const url = (path: string) => `/otp-devices/${path}`;
      const answers = await Promise.all(
        ids.map((id) => app.http.delete(url(id), { token: person.session.accessToken })),
      );
      expect(answers.map(({ status }) => status).toSorted()).toEqual([204, 409]);
      expect(await others()).toHaveLength(1);
    });

    it('T16: makes open sign-ins void', async () => {
      const person = await personWithTotp(app);
      const open = await firstFactor(app, person.email);
      await app.http.delete(`/otp-devices/${await mailDeviceOf(person.session)}`, {
        token: person.session.accessToken,
      });
      const late = await secondFactor<Refusal>(app, open.body.codeToken, totpCode(person.secret, app.clock));
      expect([late.status, late.body.code]).toEqual([401, 'token_expired']);
    });

    it('P02: needs a recent proof, like every change', async () => {
      const { deviceId, session } = await personWithTotp(app);
      await app.clock.advance(300);
      const { body } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken: session.refreshToken });
      const token = body.accessToken;
      const answers = [
        await app.http.delete(`/otp-devices/${deviceId}`, { token }),
        await app.http.patch(`/otp-devices/${deviceId}`, { name: 'x' }, { token }),
        await app.http.post('/otp-devices', { type: 'totp' }, { token }),
        await app.http.post(`/otp-devices/${deviceId}/challenge`, undefined, { token }),
        await app.http.post(`/otp-devices/${deviceId}/confirm`, { code: '123456' }, { token }),
        await app.http.patch('/users/me/two-factor', { preferredMethod: null }, { token }),
      ];
      expect(answers.map(({ status, body: { code } }) => `${status} ${String(code)}`)).toEqual(
        answers.map(() => '401 insufficient_user_authentication'),
      );
      expect((await app.http.get('/otp-devices', { token })).status).toBe(200);
    });
  });

  it('M03: somebody else’s device is not found, whatever is asked of it', async () => {
    const owner = await personWithTotp(app);
    const { accessToken: token } = await signInByMail(app, await register(app));
    const path = `/otp-devices/${owner.deviceId}`;
    const before = await app.sql('SELECT * FROM otp_devices WHERE id = $1', [owner.deviceId]);
    const answers = [
      await app.http.get(path, { token }),
      await app.http.patch(path, { name: 'mine' }, { token }),
      await app.http.patch(path, { preferred: true }, { token }),
      await app.http.delete(path, { token }),
      await app.http.post(`${path}/challenge`, undefined, { token }),
      await app.http.post(`${path}/confirm`, { code: totpCode(owner.secret, app.clock) }, { token }),
      await app.http.get(`/otp-devices/${'0'.repeat(8)}-0000-7000-8000-${'0'.repeat(12)}`, { token }),
    ];
    expect(answers.map(({ status, body: { code } }) => `${status} ${String(code)}`)).toEqual(
      answers.map(() => '404 not_found'),
    );
    expect(await app.sql('SELECT * FROM otp_devices WHERE id = $1', [owner.deviceId])).toEqual(before);
  });

  describe('several apps', () => {
    it('each signs in, the one used last is asked, another by its id', async () => {
      const person = await personWithTotp(app);
      const second = await enrollTotp(app, person.session.accessToken);
      expect(second.deviceId).not.toBe(person.deviceId);

      const asked = await firstFactor(app, person.email);
      expect(asked.body.device.id).toBe(second.deviceId);
      expect(asked.body.devices.map(({ id }) => id).slice(0, 2)).toEqual([second.deviceId, person.deviceId]);
      const crossed = await secondFactor<Refusal>(app, asked.body.codeToken, totpCode(person.secret, app.clock));
      expect([crossed.status, crossed.body.code]).toEqual([401, 'invalid_code']);
      await app.clock.advance(3);
      const named = await secondFactor(app, asked.body.codeToken, totpCode(person.secret, app.clock), {
        deviceId: person.deviceId,
      });
      expect(named.status).toBe(200);

      await app.clock.advance(60);
      const next = await firstFactor(app, person.email);
      expect(next.body.device.id).toBe(person.deviceId);
      const other = await secondFactor(app, next.body.codeToken, totpCode(second.secret, app.clock), {
        deviceId: second.deviceId,
      });
      expect(other.status).toBe(200);
    });

    it('P04: a new one replaces none: abandoned or wrong, the old one keeps working', async () => {
      const person = await personWithTotp(app);
      const token = person.session.accessToken;
      const created = await app.http.post<{ id: string }>('/otp-devices', { type: 'totp' }, { token });
      const wrong = await confirm<Refusal>(person.session, created.body.id, totpCode(person.secret, app.clock));
      expect([wrong.status, wrong.body.code]).toEqual([401, 'invalid_code']);

      const asked = await firstFactor(app, person.email);
      expect(asked.body.devices.map(({ type }) => type)).toEqual(['totp', 'email', 'recovery_codes']);
      expect((await secondFactor(app, asked.body.codeToken, totpCode(person.secret, app.clock))).status).toBe(200);
    });

    it('only one is pending at a time, and it is gone after 15 minutes', async () => {
      const person = await personWithTotp(app);
      const create = () =>
        app.http.post<{ id: string }>('/otp-devices', { type: 'totp' }, { token: person.session.accessToken });
      const { body: abandoned } = await create();
      const { body: pending } = await create();
      expect((await list(person.session)).filter(({ confirmed }) => !confirmed).map(({ id }) => id)).toEqual([
        pending.id,
      ]);
      const gone = await confirm<Refusal>(person.session, abandoned.id, '123456');
      expect(gone.status).toBe(404);

      await app.clock.advance(901);
      const later = await firstFactor(app, person.email);
      const { body: session } = await secondFactor(app, later.body.codeToken, totpCode(person.secret, app.clock));
      expect((await list(session)).map(({ type }) => type)).toEqual(['email', 'totp', 'recovery_codes']);
      const late = await confirm<Refusal>(session, pending.id, '123456');
      expect([late.status, late.body.code]).toEqual([410, 'device_expired']);
    });

    it('a confirmed one is not confirmed again, and burnt its code (R15)', async () => {
      const person = await register(app);
      const session = await signInByMail(app, person);
      const created = await app.http.post<{ id: string; secret: string }>(
        '/otp-devices',
        { type: 'totp' },
        { token: session.accessToken },
      );
      const code = totpCode(created.body.secret, app.clock);
      expect((await confirm(session, created.body.id, code)).status).toBe(200);
      const again = await confirm<Refusal>(session, created.body.id, code);
      expect([again.status, again.body.code]).toEqual([409, 'device_already_confirmed']);
      const asked = await firstFactor(app, person.email);
      const replayed = await secondFactor<Refusal>(app, asked.body.codeToken, code);
      expect([replayed.status, replayed.body.code]).toEqual([401, 'invalid_code']);
      await app.mailbox.next(person.email, /second factor was added/);
    });
  });

  describe('a mailbox at another address', () => {
    it('is confirmed by the code that is sent there, and signs in then', async () => {
      const person = await register(app);
      const session = await signInByMail(app, person);
      const other = address();
      const created = await createMailDevice(session, other);
      expect([created.status, created.body.resendIn, created.body.confirmed]).toEqual([201, 60, false]);
      expect(created.body.label).toBe('o•••@example.org');
      expect(created.text).not.toContain(other);

      const confirmed = await confirm(session, created.body.id, await app.mailbox.code(other));
      expect(confirmed.body.device).toMatchObject({ id: created.body.id, confirmed: true });
      await app.mailbox.next(person.email, /second factor was added/);

      const asked = await firstFactor(app, person.email);
      expect(asked.body.devices.map(({ label }) => label).toSorted()).toEqual([
        'Recovery codes',
        'o•••@example.org',
        'p•••@example.com',
      ]);
      // The one used last is asked first.
      expect(asked.body.device.id).toBe(created.body.id);
      const signedIn = await secondFactor(app, asked.body.codeToken, await app.mailbox.code(other));
      expect(signedIn.status).toBe(200);
      const me = await app.http.get('/users/me', { token: signedIn.body.accessToken });
      expect(me.body['email']).toBe(person.email);
    });

    it('another code goes out after a minute, and makes the earlier one worthless (R14)', async () => {
      const session = await signInByMail(app, await register(app));
      const other = address();
      const { body: device } = await createMailDevice(session, other);
      const resend = () =>
        app.http.post<Refusal & { resendIn: number }>(`/otp-devices/${device.id}/challenge`, undefined, {
          token: session.accessToken,
        });
      expectCooldown(await resend());
      const first = await app.mailbox.code(other);

      await app.clock.advance(61);
      const resent = await resend();
      expect([resent.status, resent.body.resendIn]).toEqual([202, 60]);
      const second = await app.mailbox.code(other);
      expect(app.mailbox.all(other)).toHaveLength(2);

      const superseded = await confirm<Refusal>(session, device.id, first);
      expect([superseded.status, superseded.body.code]).toEqual([401, 'invalid_code']);
      await app.clock.advance(3);
      expect((await confirm(session, device.id, second)).status).toBe(200);
    });

    it('a code older than five minutes does not confirm; another one does', async () => {
      const person = await personWithTotp(app);
      const other = address();
      const { body: device } = await createMailDevice(person.session, other);
      const code = await app.mailbox.code(other);
      await app.clock.advance(301);
      const { refreshToken } = person.session;
      const refreshed = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken });
      const renewed = await app.http.post<SignedIn>(
        '/auth/step-up',
        { code: totpCode(person.secret, app.clock) },
        { token: refreshed.body.accessToken },
      );
      const session = { ...person.session, accessToken: renewed.body.accessToken };
      const late = await confirm<Refusal>(session, device.id, code);
      expect([late.status, late.body.code]).toEqual([401, 'invalid_code']);
      await app.http.post(`/otp-devices/${device.id}/challenge`, undefined, { token: session.accessToken });
      expect((await confirm(session, device.id, await app.mailbox.code(other))).status).toBe(200);
    });

    it('U01: creating it again sends no second message within the minute', async () => {
      const session = await signInByMail(app, await register(app));
      const other = address();
      expect((await createMailDevice(session, other)).status).toBe(201);
      expectCooldown(await createMailDevice<Refusal>(session, other.toUpperCase()));
      // The refused one was undone: the first code still confirms.
      const pending = (await list(session)).filter(({ confirmed }) => !confirmed);
      expect(pending).toHaveLength(1);
      expect((await confirm(session, pending[0]?.id ?? '', await app.mailbox.code(other))).status).toBe(200);
    });

    it('that is confirmed already is answered as it is, and nothing is sent', async () => {
      const person = await register(app);
      const session = await signInByMail(app, person);
      const again = await createMailDevice(session, person.email);
      expect([again.status, again.body.confirmed, again.body.id]).toEqual([201, true, await mailDeviceOf(session)]);
      const challenge = await app.http.post(`/otp-devices/${again.body.id}/challenge`, undefined, {
        token: session.accessToken,
      });
      expect([challenge.status, challenge.body['code']]).toEqual([403, 'method_not_allowed']);
      expect(app.mailbox.all(person.email)).toHaveLength(1);
    });

    it('I11: an address that is none is refused, and belongs to no app', async () => {
      const session = await signInByMail(app, await register(app));
      const bad = await createMailDevice<{ errors: unknown }>(session, 'nobody');
      expect([bad.status, bad.body.errors]).toEqual([
        400,
        [{ field: 'email', messages: ['must be an e-mail address'] }],
      ]);
      const app2 = await app.http.post(
        '/otp-devices',
        { type: 'totp', email: address() },
        { token: session.accessToken },
      );
      expect(app2.status).toBe(400);
      const sms = await app.http.post('/otp-devices', { type: 'sms' }, { token: session.accessToken });
      expect(sms.status).toBe(400);
    });
  });

  describe('during a sign-in', () => {
    const askAgain = (codeToken: string, deviceId?: string) =>
      app.http.post<Refusal & { resendIn: number; device: { id: string; type: string } }>('/auth/otp', {
        codeToken,
        ...(deviceId === undefined ? {} : { deviceId }),
      });

    async function asked(person: Person): Promise<string> {
      return (await firstFactor(app, person.email)).body.codeToken;
    }

    it('another code goes out after a minute, and makes the earlier one worthless (R14)', async () => {
      const person = await register(app);
      const codeToken = await asked(person);
      expectCooldown(await askAgain(codeToken));
      const first = await app.mailbox.code(person.email);

      await app.clock.advance(61);
      const resent = await askAgain(codeToken);
      expect([resent.status, resent.body.resendIn, resent.body.device.type]).toEqual([202, 60, 'email']);
      const second = await app.mailbox.code(person.email);
      const superseded = await secondFactor<Refusal>(app, codeToken, first);
      expect([superseded.status, superseded.body.code]).toEqual([401, 'invalid_code']);
      await app.clock.advance(3);
      expect((await secondFactor(app, codeToken, second)).status).toBe(200);
    });

    it('a second sign-in within the minute sends nothing, says so, and has no code of its own', async () => {
      const person = await register(app);
      const first = await asked(person);
      const second = await firstFactor(app, person.email);
      expect(second.body).toMatchObject({ status: 'second_factor_required', codeSent: false });
      expect(second.body.resendIn).toBeGreaterThan(50);
      expect(second.body.resendIn).toBeLessThanOrEqual(60);
      const code = await app.mailbox.code(person.email);
      const crossed = await secondFactor<Refusal>(app, second.body.codeToken, code);
      expect([crossed.status, crossed.body.code]).toEqual([401, 'invalid_code']);
      expect((await secondFactor(app, first, code)).status).toBe(200);
    });

    it('attempts and expiry of the code token survive another code', async () => {
      const person = await register(app);
      const codeToken = await asked(person);
      for (let attempt = 1; attempt <= 4; attempt += 1) {
        expect((await secondFactor(app, codeToken, 'wrong')).status).toBe(401);
        await app.clock.advance(20);
      }
      await app.mailbox.code(person.email);
      expect((await askAgain(codeToken)).status).toBe(202);
      expect((await secondFactor(app, codeToken, 'wrong')).status).toBe(401);
      await app.clock.advance(61);
      const sixth = await secondFactor<Refusal>(app, codeToken, await app.mailbox.code(person.email));
      expect([sixth.status, sixth.body.code]).toEqual([403, 'too_many_attempts']);
      const resend = await askAgain(codeToken);
      expect([resend.status, resend.body.code]).toEqual([403, 'too_many_attempts']);
    });

    it('the mailbox may be asked instead of the app, and the tokens say which it was', async () => {
      const person = await personWithTotp(app);
      const mailbox = await mailDeviceOf(person.session);
      const codeToken = await asked(person);

      const switched = await askAgain(codeToken, mailbox);
      expect([switched.status, switched.body.resendIn]).toEqual([202, 60]);
      expect(switched.body.device).toMatchObject({ id: mailbox, type: 'email' });
      const signedIn = await secondFactor(app, codeToken, await app.mailbox.code(person.email));
      expect(signedIn.status).toBe(200);
      expect(await amrOf(signedIn.body)).toEqual(['pwd', 'email']);
    });

    it('the app may answer instead of the mailbox, by its id or after asking it', async () => {
      const person = await personWithTotp(app);
      await app.http.patch('/users/me/two-factor', { preferredMethod: 'email' }, { token: person.session.accessToken });
      const first = await asked(person);
      const mailed = await app.mailbox.code(person.email);
      const byId = await secondFactor(app, first, totpCode(person.secret, app.clock), { deviceId: person.deviceId });
      expect(byId.status).toBe(200);
      expect(await amrOf(byId.body)).toEqual(['pwd', 'otp', 'mfa']);

      await app.clock.advance(61);
      const second = await asked(person);
      const switched = await askAgain(second, person.deviceId);
      expect([switched.status, switched.body.resendIn, switched.body.device.type]).toEqual([202, 0, 'totp']);
      const late = await secondFactor<Refusal>(app, second, mailed);
      expect([late.status, late.body.code]).toEqual([401, 'invalid_code']);
      await app.clock.advance(3);
      expect((await secondFactor(app, second, totpCode(person.secret, app.clock))).status).toBe(200);
    });

    it('naming a mailbox that was not asked is a wrong code that costs no attempt', async () => {
      const person = await personWithTotp(app);
      const mailbox = await mailDeviceOf(person.session);
      const codeToken = await asked(person);
      const guess = await secondFactor<Refusal>(app, codeToken, '1234567', { deviceId: mailbox });
      expect([guess.status, guess.body.code]).toEqual([401, 'invalid_code']);
      const [challenge] = await app.sql(
        `SELECT attempts, device_id FROM challenges WHERE user_id = $1 AND purpose = 'sign_in' AND consumed_at IS NULL`,
        [person.id],
      );
      expect(challenge).toEqual({ attempts: 0, device_id: person.deviceId });
      expect((await secondFactor(app, codeToken, totpCode(person.secret, app.clock))).status).toBe(200);
    });

    it('M03: somebody else’s device cannot be asked', async () => {
      const [person, other] = [await personWithTotp(app), await personWithTotp(app)];
      const codeToken = await asked(person);
      const switched = await askAgain(codeToken, other.deviceId);
      expect([switched.status, switched.body.code]).toEqual([403, 'method_not_allowed']);
      const answered = await secondFactor<Refusal>(app, codeToken, totpCode(other.secret, app.clock), {
        deviceId: other.deviceId,
      });
      expect([answered.status, answered.body.code]).toEqual([403, 'method_not_allowed']);
      expect((await secondFactor(app, codeToken, totpCode(person.secret, app.clock))).status).toBe(200);
    });

    it('a code token that has been used or has expired asks nobody', async () => {
      const person = await personWithTotp(app);
      const used = await asked(person);
      await secondFactor(app, used, totpCode(person.secret, app.clock));
      const after = await askAgain(used);
      expect([after.status, after.body.code]).toEqual([401, 'token_already_used']);
      const expired = await asked(person);
      await app.clock.advance(301);
      const late = await askAgain(expired);
      expect([late.status, late.body.code]).toEqual([401, 'token_expired']);
      const garbage = await askAgain('garbage');
      expect([garbage.status, garbage.body.code]).toEqual([401, 'invalid_token']);
    });
  });
});

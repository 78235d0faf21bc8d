import { randomBytes, randomInt } from 'node:crypto';
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
  type Authenticator,
  type Person,
  type SignedIn,
} from '../support/people.js';
import { failuresOf, wrongTotp } from './traces.js';

type Owner = Person & Authenticator & { session: SignedIn };

/** What changes how somebody proves who he is; each with what it answers once that was proved a moment ago. */
interface Change {
  /** What must be there before, made while the proof is fresh. */
  prepare?: 'totp' | 'email';
  status: number;
  send: (request: { app: TestApp; token: string; owner: Owner; device: Pending }) => Promise<Answer<{ code?: string }>>;
}

interface Pending {
  id: string;
  secret: string;
  email: string;
}

const someEmail = () => `other-${randomBytes(5).toString('hex')}@example.com`;

const CHANGES: Record<string, Change> = {
  'prefer another method': {
    status: 200,
    send: ({ app, token }) => app.http.patch('/users/me/two-factor', { preferredMethod: 'email' }, { token }),
  },
  'demand a second factor': {
    status: 200,
    send: ({ app, token }) => app.http.patch('/users/me/two-factor', { required: true }, { token }),
  },
  'create an app': {
    status: 201,
    send: ({ app, token }) => app.http.post('/otp-devices', { type: 'totp' }, { token }),
  },
  'create a mailbox': {
    status: 201,
    send: ({ app, token }) => app.http.post('/otp-devices', { type: 'email', email: someEmail() }, { token }),
  },
  'create a phone': {
    status: 201,
    send: ({ app, token }) =>
      app.http.post(
        '/otp-devices',
        { type: 'sms', phoneNumber: `+49151${randomInt(10_000_000, 99_999_999)}` },
        { token },
      ),
  },
  'make new recovery codes': {
    status: 201,
    send: ({ app, token }) => app.http.post('/otp-devices', { type: 'recovery_codes' }, { token }),
  },
  'rename a device': {
    status: 200,
    send: ({ app, token, owner }) => app.http.patch(`/otp-devices/${owner.deviceId}`, { name: 'Mine' }, { token }),
  },
  'remove a device': {
    status: 204,
    send: ({ app, token, owner }) => app.http.delete(`/otp-devices/${owner.deviceId}`, { token }),
  },
  'ask a mailbox to confirm': {
    prepare: 'email',
    status: 202,
    send: ({ app, token, device }) => app.http.post(`/otp-devices/${device.id}/challenge`, undefined, { token }),
  },
  'confirm a device': {
    prepare: 'totp',
    status: 200,
    send: ({ app, token, device }) =>
      app.http.post(`/otp-devices/${device.id}/confirm`, { code: totpCode(device.secret, app.clock) }, { token }),
  },
  'change the password': {
    status: 204,
    send: ({ app, token }) =>
      app.http.post(
        '/users/me/password',
        { currentPassword: PASSWORD, newPassword: 'four words nobody knows' },
        { token },
      ),
  },
};

describe('with a proof older than five minutes (P02)', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ PENDING_DEVICE_TTL: '1h' });
  });
  afterAll(() => app.close());

  /** The user's rows, as far as they decide how he signs in. */
  const stateOf = async ({ id }: Person) => {
    const users = await app.sql(
      'SELECT password_hash, preferred_method, two_factor_required, epoch FROM users WHERE id = $1',
      [id],
    );
    const devices = await app.sql('SELECT id, name, confirmed_at FROM otp_devices WHERE user_id = $1 ORDER BY id', [
      id,
    ]);
    const challenges = await app.sql('SELECT id, attempts FROM challenges WHERE user_id = $1 ORDER BY id', [id]);
    const codes = await app.sql('SELECT c::text FROM recovery_codes c WHERE device_id = ANY($1::uuid[]) ORDER BY 1', [
      devices.map(({ id: deviceId }) => deviceId),
    ]);
    return { users, devices, challenges, codes };
  };

  async function prepare(owner: Owner, type: Change['prepare']): Promise<Pending> {
    const email = someEmail();
    if (type === undefined) return { id: '', secret: '', email };
    const body = type === 'email' ? { type, email } : { type };
    const created = await app.http.post<Pending>('/otp-devices', body, { token: owner.session.accessToken });
    expect(created.status).toBe(201);
    return { ...created.body, email };
  }

  it.each(Object.entries(CHANGES))('it takes a step-up to %s', async (_what, { prepare: type, status, send }) => {
    const owner = await personWithTotp(app);
    const device = await prepare(owner, type);
    await app.clock.advance(301);
    const { refreshToken } = owner.session;
    const { body: stale } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken });
    const before = await stateOf(owner);

    const refused = await send({ app, token: stale.accessToken, owner, device });
    expect([refused.status, refused.body.code]).toEqual([401, 'insufficient_user_authentication']);
    // RFC 9470 §3: what would be enough.
    const challenge = String(refused.headers['www-authenticate']);
    expect(challenge).toMatch(/^Bearer .*error="insufficient_user_authentication"/);
    expect(challenge).toMatch(/acr_values="aal2"/);
    expect(challenge).toMatch(/max_age="?300"?/);
    expect(await stateOf(owner)).toEqual(before);

    const code = totpCode(owner.secret, app.clock);
    const renewed = await app.http.post<SignedIn>('/auth/step-up', { code }, { token: stale.accessToken });
    expect(renewed.status).toBe(200);
    expect((await send({ app, token: renewed.body.accessToken, owner, device })).status).toBe(status);
  });

  it('what changes nothing needs none', async () => {
    const owner = await personWithTotp(app);
    await app.clock.advance(301);
    const { refreshToken } = owner.session;
    const { body } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken });
    for (const path of ['/otp-devices', '/users/me', '/users/me/two-factor', '/users/me/trusted-browsers']) {
      expect([path, (await app.http.get(path, { token: body.accessToken })).status]).toEqual([path, 200]);
    }
  });

  it('a proof is as old as the session, not as its latest access token', async () => {
    const owner = await personWithTotp(app);
    const session = { ...owner.session };
    for (let minute = 0; minute < 4; minute += 1) {
      await app.clock.advance(80);
      const { body } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken: session.refreshToken });
      Object.assign(session, body);
    }
    const refused = await app.http.post('/otp-devices', { type: 'totp' }, { token: session.accessToken });
    expect([refused.status, refused.body['code']]).toEqual([401, 'insufficient_user_authentication']);
  });
});

describe('R26: the failures of a device are its own, wherever the wrong code is typed', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ CODE_TOKEN_RETRY_WAIT: '0s', CODE_RESEND_COOLDOWN: 'off' });
  });
  afterAll(() => app.close());

  const stepUp = (owner: Owner, code: string) =>
    app.http.post<{ code?: string }>('/auth/step-up', { code }, { token: owner.session.accessToken });

  it('at the sign-in and at a step-up together they pause it, for both', async () => {
    const owner = await personWithTotp(app);
    const signIns = [await firstFactor(app, owner.email), await firstFactor(app, owner.email)];
    const atSignIn = (index: number, code: string) =>
      secondFactor<{ code?: string }>(app, signIns[index]?.body.codeToken ?? '', code);

    for (const attempt of [
      (code: string) => atSignIn(0, code),
      (code: string) => stepUp(owner, code),
      (code: string) => atSignIn(1, code),
      (code: string) => stepUp(owner, code),
      (code: string) => atSignIn(0, code),
    ]) {
      const wrong = await attempt(wrongTotp(owner.secret, app));
      expect([wrong.status, wrong.body.code]).toEqual([401, 'invalid_code']);
    }
    expect(await failuresOf(app, owner.deviceId)).toBe(5);

    const right = totpCode(owner.secret, app.clock);
    for (const paused of [await atSignIn(0, right), await atSignIn(1, right), await stepUp(owner, right)]) {
      expect([paused.status, paused.body.code]).toEqual([429, 'too_many_failures']);
      expect(Number(paused.headers['retry-after'])).toBeLessThanOrEqual(30);
    }
    await app.clock.advance(31);
    expect((await stepUp(owner, totpCode(owner.secret, app.clock))).status).toBe(200);
    expect(await failuresOf(app, owner.deviceId)).toBe(0);
  });

  it('at a confirmation they pause the device that is being confirmed, and no other', async () => {
    const owner = await personWithTotp(app);
    const { accessToken: token } = owner.session;
    const { body: device } = await app.http.post<Pending>('/otp-devices', { type: 'totp' }, { token });
    const confirm = (code: string) =>
      app.http.post<{ code?: string }>(`/otp-devices/${device.id}/confirm`, { code }, { token });
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      const wrong = await confirm(wrongTotp(device.secret, app));
      expect([attempt, wrong.status, wrong.body.code]).toEqual([attempt, 401, 'invalid_code']);
    }
    expect([await failuresOf(app, device.id), await failuresOf(app, owner.deviceId)]).toEqual([5, 0]);
    const exhausted = await confirm(totpCode(device.secret, app.clock));
    expect([exhausted.status, exhausted.body.code]).toEqual([403, 'too_many_attempts']);
    expect((await stepUp(owner, totpCode(owner.secret, app.clock))).status).toBe(200);
  });

  it('where a mailed code stands for the password, strangers who guess it do not close the mailbox', async () => {
    const person = await register(app);
    const session = await signInByMail(app, person);
    const [mailbox] = await app.sql<{ id: string }>('SELECT id FROM otp_devices WHERE user_id = $1', [person.id]);
    await app.http.post('/auth/otp', { identifier: person.email });
    const sent = await app.mailbox.code(person.email);
    const guess = sent === '0000000' ? '1111111' : '0000000';
    for (let attempt = 1; attempt <= 6; attempt += 1) {
      const wrong = await app.http.post('/auth/token', { identifier: person.email, code: guess });
      expect([attempt, wrong.status, wrong.body['code']]).toEqual([attempt, 401, 'invalid_credentials']);
    }
    // The guesses were counted: the right code is worth nothing any more.
    expect((await app.http.post('/auth/token', { identifier: person.email, code: sent })).status).toBe(401);
    expect(await failuresOf(app, mailbox?.id ?? '')).toBe(0);
    expect((await app.http.post('/auth/step-up', {}, { token: session.accessToken })).status).toBe(202);
    const code = await app.mailbox.code(person.email);
    expect((await app.http.post('/auth/step-up', { code }, { token: session.accessToken })).status).toBe(200);
  });
});

describe('a factor that works is not lost by half a change (P04)', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ CODE_TOKEN_RETRY_WAIT: '0s' });
  });
  afterAll(() => app.close());

  const signInWith = async ({ email }: Person, { secret, deviceId }: Authenticator) => {
    const { body } = await firstFactor(app, email);
    return secondFactor(app, body.codeToken, totpCode(secret, app.clock), { deviceId });
  };

  it('a second app that is abandoned or confirmed wrongly changes nothing; the right code adds it and is told', async () => {
    const owner = await personWithTotp(app);
    const { accessToken: token } = owner.session;
    await app.mailbox.next(owner.email, /new second factor was added/);
    const { body: device } = await app.http.post<Pending>('/otp-devices', { type: 'totp' }, { token });
    expect((await signInWith(owner, owner)).status).toBe(200);

    await app.clock.advance(60);
    const wrong = await app.http.post(
      `/otp-devices/${device.id}/confirm`,
      { code: wrongTotp(device.secret, app) },
      { token },
    );
    expect(wrong.status).toBe(401);
    expect((await signInWith(owner, owner)).status).toBe(200);

    const second = await enrollTotp(app, token);
    await app.mailbox.next(owner.email, /new second factor was added/);
    expect((await signInWith(owner, second)).status).toBe(200);
    expect((await signInWith(owner, owner)).status).toBe(200);
  });
});

describe('the last device (P06)', () => {
  const remove = (app: TestApp, { accessToken: token }: SignedIn, deviceId: string) =>
    app.http.delete<{ code?: string }>(`/otp-devices/${deviceId}`, { token });

  it('stays where the policy demands one, also when another is only created or recovery codes are left', async () => {
    const app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'totp' });
    const person = await register(app);
    const { body } = await firstFactor(app, person.email);
    const code = await app.mailbox.code(person.email);
    const enrollment = await secondFactor<{ enrollmentToken: string }>(app, body.codeToken, code);
    const { enrollmentToken: token } = enrollment.body;
    const { body: device } = await app.http.post<Pending>('/otp-devices', { type: 'totp' }, { token });
    const confirmed = await app.http.post<SignedIn>(
      `/otp-devices/${device.id}/confirm`,
      { code: totpCode(device.secret, app.clock) },
      { token },
    );
    const session = confirmed.body;
    await app.http.post('/otp-devices', { type: 'totp' }, { token: session.accessToken });

    const refused = await remove(app, session, device.id);
    expect([refused.status, refused.body.code]).toEqual([409, 'last_device']);
    const unconfirmed = await app.http.patch(
      `/otp-devices/${device.id}`,
      { confirmed: false },
      { token: session.accessToken },
    );
    expect(unconfirmed.status).toBe(400);
    await app.close();
  });

  it('goes where nobody demands one, and its recovery codes with it', async () => {
    const app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,totp', TWO_FACTOR_FALLBACK_METHOD: 'none' });
    const person = await register(app);
    const { body: session } = await firstFactor<SignedIn>(app, person.email);
    const { deviceId, secret } = await enrollTotp(app, session.accessToken);
    await app.clock.advance(300);
    const { body: stale } = await app.http.post<SignedIn>('/auth/token/refresh', {
      refreshToken: session.refreshToken,
    });
    expect((await remove(app, stale, deviceId)).status).toBe(401);
    const device = { items: [{ type: 'totp' }, { type: 'recovery_codes' }] };
    expect((await app.http.get('/otp-devices', { token: stale.accessToken })).body).toMatchObject(device);

    const code = totpCode(secret, app.clock);
    const renewed = await app.http.post<SignedIn>('/auth/step-up', { code }, { token: stale.accessToken });
    expect((await remove(app, renewed.body, deviceId)).status).toBe(204);
    await app.mailbox.next(person.email, /second factor was removed/);
    expect((await app.http.get('/otp-devices', { token: renewed.body.accessToken })).body).toEqual({ items: [] });
    await app.close();
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import {
  firstFactor,
  register,
  secondFactor,
  signInByMail,
  type Asked,
  type Person,
  type SignedIn,
} from '../support/people.js';
import { countOf, fireAtOnce, outcomes } from '../security/burst.js';
import { eventsOf, sessionsOf } from '../security/traces.js';

interface Refusal {
  code: string;
}

interface Device {
  id: string;
  type: string;
}

interface Settings {
  devices: Device[];
  recoveryCodesLeft: number;
}

/** Somebody with an authenticator app, and the sheet that came with it. */
interface Owner extends Person {
  session: SignedIn;
  secret: string;
  deviceId: string;
  codes: string[];
}

/** Four groups of six characters: 24 of Crockford's alphabet are 120 bits. */
const SHEET = Array.from({ length: 10 }, () => expect.stringMatching(/^([0-9A-HJKMNP-TV-Z]{6}-?){4}$/) as string);

function createTotp(app: TestApp, token: string) {
  return app.http.post<{ id: string; secret: string }>('/otp-devices', { type: 'totp' }, { token });
}

async function ownerOf(app: TestApp): Promise<Owner> {
  const person = await register(app);
  const session = await signInByMail(app, person);
  const token = session.accessToken;
  const { id, secret } = (await createTotp(app, token)).body;
  const { body } = await app.http.post<{ recoveryCodes: string[] }>(
    `/otp-devices/${id}/confirm`,
    { code: totpCode(secret, app.clock) },
    { token },
  );
  await app.clock.advance(60);
  return { ...person, session, secret, deviceId: id, codes: body.recoveryCodes };
}

const settingsOf = async (app: TestApp, { accessToken: token }: { accessToken: string }) =>
  (await app.http.get<Settings>('/users/me/two-factor', { token })).body;

const sheetOf = ({ devices }: { devices: Device[] }) => devices.find(({ type }) => type === 'recovery_codes')?.id ?? '';

describe('recovery codes', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  const asked = async ({ email }: Person): Promise<Asked> => (await firstFactor(app, email)).body;

  /** The whole second step by a code of the sheet. */
  async function recover<Body = SignedIn>(person: Person, code: string) {
    const question = await asked(person);
    return secondFactor<Body>(app, question.codeToken, code, { deviceId: sheetOf(question) });
  }

  const regenerate = (token: string) =>
    app.http.post<{ id: string; type: string; codes: string[]; code: string }>(
      '/otp-devices',
      { type: 'recovery_codes' },
      { token },
    );

  describe('come with the first device that is confirmed', () => {
    it('ten of them, shown once, and the user is told', async () => {
      const owner = await ownerOf(app);
      expect(owner.codes).toEqual(SHEET);
      expect(new Set(owner.codes).size).toBe(10);
      expect((await settingsOf(app, owner.session)).recoveryCodesLeft).toBe(10);
      await app.mailbox.next(owner.email, /recovery codes were made/);

      const { accessToken: token } = owner.session;
      const shown = [
        await app.http.get('/otp-devices', { token }),
        await app.http.get('/users/me/two-factor', { token }),
        await app.http.get(`/otp-devices/${sheetOf(await settingsOf(app, owner.session))}`, { token }),
      ].map(({ text }) => text);
      const stored = JSON.stringify(await app.sql('SELECT * FROM recovery_codes'));
      const mails = app.mailbox.all(owner.email).map(({ text }) => text);
      for (const code of owner.codes) {
        for (const text of [...shown, ...mails, stored]) {
          expect(text).not.toContain(code);
          expect(text).not.toContain(code.replaceAll('-', ''));
        }
      }
    });

    it('not with the second one', async () => {
      const owner = await ownerOf(app);
      const { accessToken: token } = owner.session;
      const { id, secret } = (await createTotp(app, token)).body;
      const code = totpCode(secret, app.clock);
      const confirmed = await app.http.post(`/otp-devices/${id}/confirm`, { code }, { token });
      expect([confirmed.status, Object.keys(confirmed.body)]).toEqual([200, ['device']]);
      expect((await settingsOf(app, owner.session)).recoveryCodesLeft).toBe(10);
      expect((await recover(owner, owner.codes[0] as string)).status).toBe(200);
    });

    it('R22: of parallel confirmations one shows them', async () => {
      const session = await signInByMail(app, await register(app));
      const { accessToken: token } = session;
      const { id, secret } = (await createTotp(app, token)).body;
      const body = { code: totpCode(secret, app.clock) };
      const answers = await Promise.all(
        Array.from({ length: 10 }, () =>
          app.http.post<{ recoveryCodes?: string[] }>(`/otp-devices/${id}/confirm`, body, { token }),
        ),
      );
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      expect(answers.filter((answer) => answer.body.recoveryCodes !== undefined)).toHaveLength(1);
      expect((await settingsOf(app, session)).recoveryCodesLeft).toBe(10);
    });
  });

  describe('sign in when the app is out of reach', () => {
    it('each once, however it is typed, and the user is told how many are left', async () => {
      const owner = await ownerOf(app);
      const [first, second, third] = owner.codes as [string, string, string];
      const typed = [first, ` ${second.toLowerCase().replaceAll('-', ' ')}\n`, third.replaceAll('-', '')];
      for (const [index, code] of typed.entries()) {
        const signedIn = await recover(owner, code);
        expect([index, signedIn.status]).toEqual([index, 200]);
        expect((await settingsOf(app, signedIn.body)).recoveryCodesLeft).toBe(9 - index);
        const { text } = await app.mailbox.next(owner.email, /recovery code was used/);
        expect(text).toContain(`Codes left: ${9 - index}.`);
        expect(text).not.toContain(code);
        await app.clock.advance(3);
      }
      const again = await recover<Refusal>(owner, first);
      expect([again.status, again.body.code]).toEqual([401, 'invalid_code']);
      expect(await eventsOf(app, owner.id, 'recovery-code.used')).toBe(3);
    });

    it('with the tokens saying so', async () => {
      const owner = await ownerOf(app);
      const { body } = await recover(owner, owner.codes[9] as string);
      const claims = await app.http.post('/auth/token/verify', { token: body.accessToken });
      expect(claims.body).toMatchObject({ amr: ['pwd', 'recovery', 'mfa'], acr: 'aal2' });
    });

    it('and warn from the third last on', async () => {
      const owner = await ownerOf(app);
      const warned: boolean[] = [];
      for (const code of owner.codes.slice(0, 8)) {
        expect((await recover(owner, code)).status).toBe(200);
        const { text } = await app.mailbox.next(owner.email, /recovery code was used/);
        warned.push(text.includes('Make new ones soon'));
        await app.clock.advance(3);
      }
      expect(warned).toEqual([false, false, false, false, false, false, true, true]);
    });

    it('they are offered last and never asked for first', async () => {
      const owner = await ownerOf(app);
      expect((await recover(owner, owner.codes[0] as string)).status).toBe(200);
      await app.clock.advance(3);
      const question = await asked(owner);
      expect(question.device.type).toBe('totp');
      expect(question.devices.map(({ type }) => type)).toEqual(['totp', 'email', 'recovery_codes']);
      expect(question.devices.at(-1)).toMatchObject({ label: 'Recovery codes' });
      const { accessToken: token } = owner.session;
      const preferred = await app.http.patch(`/otp-devices/${sheetOf(question)}`, { preferred: true }, { token });
      expect([preferred.status, preferred.body['code']]).toEqual([403, 'method_not_allowed']);
    });

    it('wrong ones are counted like any wrong code', async () => {
      const owner = await ownerOf(app);
      const question = await asked(owner);
      const extra = { deviceId: sheetOf(question) };
      for (let guess = 1; guess <= 5; guess += 1) {
        const wrong = await secondFactor<Refusal>(app, question.codeToken, `${'0'.repeat(23)}${guess}`, extra);
        expect([wrong.status, wrong.body.code]).toEqual([401, 'invalid_code']);
        await app.clock.advance(3);
      }
      await app.mailbox.next(owner.email, /Wrong codes/);
      const sixth = await secondFactor<Refusal>(app, question.codeToken, owner.codes[0] as string, extra);
      expect([sixth.status, sixth.body.code]).toEqual([403, 'too_many_attempts']);
      // The app has a counter of its own.
      const other = await asked(owner);
      expect((await secondFactor(app, other.codeToken, totpCode(owner.secret, app.clock))).status).toBe(200);
    });

    it('somebody else’s code is a wrong one', async () => {
      const [owner, other] = [await ownerOf(app), await ownerOf(app)];
      const crossed = await recover<Refusal>(owner, other.codes[0] as string);
      expect([crossed.status, crossed.body.code]).toEqual([401, 'invalid_code']);
      expect((await settingsOf(app, other.session)).recoveryCodesLeft).toBe(10);
    });
  });

  describe('P11: prove a second factor and nothing else', () => {
    it('not the first one', async () => {
      const owner = await ownerOf(app);
      const [code] = owner.codes as [string];
      const asCode = await app.http.post('/auth/token', { identifier: owner.email, code });
      const asPassword = await app.http.post('/auth/token', { identifier: owner.email, password: code });
      for (const { status, body } of [asCode, asPassword]) {
        expect([status, body['code']]).toEqual([401, 'invalid_credentials']);
      }
      expect((await settingsOf(app, owner.session)).recoveryCodesLeft).toBe(10);
    });

    it('not both steps of a sign-in: the second code meets a question that has been answered', async () => {
      const owner = await ownerOf(app);
      const [first, second] = owner.codes as [string, string];
      const question = await asked(owner);
      const extra = { deviceId: sheetOf(question) };
      expect((await secondFactor(app, question.codeToken, first, extra)).status).toBe(200);
      await app.clock.advance(3);
      const again = await secondFactor<Refusal>(app, question.codeToken, second, extra);
      expect([again.status, again.body.code]).toEqual([401, 'token_already_used']);
      expect((await settingsOf(app, owner.session)).recoveryCodesLeft).toBe(9);
    });

    it('also within a session, where its use is told', async () => {
      const owner = await ownerOf(app);
      const { accessToken: token } = owner.session;
      const deviceId = sheetOf(await settingsOf(app, owner.session));
      const stepUp = (code: string) => app.http.post('/auth/step-up', { deviceId, code }, { token });
      expect((await stepUp(owner.codes[0] as string)).status).toBe(200);
      await app.mailbox.next(owner.email, /recovery code was used/);
      await app.clock.advance(3);
      expect((await stepUp(owner.codes[0] as string)).status).toBe(401);
    });
  });

  describe('a new sheet', () => {
    it('makes the old one worthless, and the user is told', async () => {
      const owner = await ownerOf(app);
      await app.mailbox.next(owner.email, /recovery codes were made/);
      const made = await regenerate(owner.session.accessToken);
      expect([made.status, made.body.type, made.headers['cache-control']]).toEqual([201, 'recovery_codes', 'no-store']);
      expect(made.body.codes).toEqual(SHEET);
      expect(made.body.codes.filter((code) => owner.codes.includes(code))).toEqual([]);
      await app.mailbox.next(owner.email, /recovery codes were made/);

      const old = await recover<Refusal>(owner, owner.codes[0] as string);
      expect([old.status, old.body.code]).toEqual([401, 'invalid_code']);
      await app.clock.advance(3);
      expect((await recover(owner, made.body.codes[0] as string)).status).toBe(200);
      expect((await settingsOf(app, owner.session)).recoveryCodesLeft).toBe(9);
    });

    it('voids a sign-in under way, whose code may be from the old one', async () => {
      const owner = await ownerOf(app);
      const open = await asked(owner);
      await regenerate(owner.session.accessToken);
      const late = await secondFactor<Refusal>(app, open.codeToken, totpCode(owner.secret, app.clock));
      expect([late.status, late.body.code]).toEqual([401, 'token_expired']);
    });

    it('P02: needs a recent proof', async () => {
      const owner = await ownerOf(app);
      await app.clock.advance(301);
      const { refreshToken } = owner.session;
      const { body: stale } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken });
      const refused = await regenerate(stale.accessToken);
      expect([refused.status, refused.body.code]).toEqual([401, 'insufficient_user_authentication']);
      expect((await settingsOf(app, stale)).recoveryCodesLeft).toBe(10);

      const { body: fresh } = await app.http.post<SignedIn>(
        '/auth/step-up',
        { code: totpCode(owner.secret, app.clock) },
        { token: stale.accessToken },
      );
      expect((await regenerate(fresh.accessToken)).status).toBe(201);
    });

    it('of parallel ones the last is good, whole and alone', async () => {
      const owner = await ownerOf(app);
      const made = await Promise.all(Array.from({ length: 5 }, () => regenerate(owner.session.accessToken)));
      expect(made.map(({ status }) => status)).toEqual(Array(5).fill(201));
      const settings = await settingsOf(app, owner.session);
      expect(settings.recoveryCodesLeft).toBe(10);
      expect(settings.devices.filter(({ type }) => type === 'recovery_codes')).toHaveLength(1);
      const last = made.find(({ body }) => body.id === sheetOf(settings));
      expect((await recover(owner, last?.body.codes[0] as string)).status).toBe(200);
    });
  });

  it('cannot be confirmed or asked to send anything', async () => {
    const owner = await ownerOf(app);
    const { accessToken: token } = owner.session;
    const sheet = sheetOf(await settingsOf(app, owner.session));
    const confirmed = await app.http.post(`/otp-devices/${sheet}/confirm`, { code: owner.codes[0] }, { token });
    expect([confirmed.status, confirmed.body['code']]).toEqual([409, 'device_already_confirmed']);
    const challenged = await app.http.post(`/otp-devices/${sheet}/challenge`, undefined, { token });
    expect([challenged.status, challenged.body['code']]).toEqual([403, 'method_not_allowed']);
  });
});

describe('recovery codes are never the only factor', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp', TWO_FACTOR_FALLBACK_METHOD: 'none' });
  });
  afterAll(() => app.close());

  it('nobody has them without a device, and they go with the last one', async () => {
    const person = await register(app);
    const { body: session } = await firstFactor<SignedIn>(app, person.email);
    const token = session.accessToken;
    const alone = await app.http.post('/otp-devices', { type: 'recovery_codes' }, { token });
    expect([alone.status, alone.body['code']]).toEqual([403, 'two_factor_not_configured']);

    const { id, secret } = (await createTotp(app, token)).body;
    const confirmed = await app.http.post(
      `/otp-devices/${id}/confirm`,
      { code: totpCode(secret, app.clock) },
      { token },
    );
    expect(confirmed.body['recoveryCodes']).toEqual(SHEET);
    expect((await settingsOf(app, session)).devices.map(({ type }) => type)).toEqual(['totp', 'recovery_codes']);

    expect((await app.http.delete(`/otp-devices/${id}`, { token })).status).toBe(204);
    expect(await settingsOf(app, session)).toMatchObject({ devices: [], recoveryCodesLeft: 0 });
    expect(await app.sql('SELECT 1 FROM otp_devices WHERE user_id = $1', [person.id])).toEqual([]);
    expect((await firstFactor<SignedIn>(app, person.email)).body.status).toBe('authenticated');
  });
});

describe('recovery codes where an app is required', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'totp' });
  });
  afterAll(() => app.close());

  it('come with the session that the enrollment ends in, and not with the enrollment token alone', async () => {
    const person = await register(app);
    const question = await firstFactor(app, person.email);
    const { body } = await secondFactor<{ enrollmentToken: string }>(
      app,
      question.body.codeToken,
      await app.mailbox.code(person.email),
    );
    const token = body.enrollmentToken;
    const alone = await app.http.post('/otp-devices', { type: 'recovery_codes' }, { token });
    expect([alone.status, alone.body['code']]).toEqual([403, 'method_not_allowed']);

    const { id, secret } = (await createTotp(app, token)).body;
    const signedIn = await app.http.post<SignedIn & { recoveryCodes: string[] }>(
      `/otp-devices/${id}/confirm`,
      { code: totpCode(secret, app.clock) },
      { token },
    );
    expect(signedIn.body).toMatchObject({ status: 'authenticated', recoveryCodes: SHEET });
    await app.clock.advance(60);

    const next = await firstFactor(app, person.email);
    expect(next.body.devices.map(({ type }) => type)).toEqual(['totp', 'recovery_codes']);
    const recovered = await secondFactor(app, next.body.codeToken, signedIn.body.recoveryCodes[3] as string, {
      deviceId: sheetOf(next.body),
    });
    expect(recovered.status).toBe(200);
    const last = await app.http.delete(`/otp-devices/${id}`, { token: recovered.body.accessToken });
    expect([last.status, last.body['code']]).toEqual([409, 'last_device']);
  });
});

describe('R16: one recovery code in twenty sign-ins at once', () => {
  let app: TestApp;
  let replica: TestApp;
  let origins: string[];
  const owners: Owner[] = [];
  beforeAll(async () => {
    const settings = { CODE_TOKEN_RETRY_WAIT: '0s', CODE_TOKEN_MAX_ACTIVE: 'off', DATABASE_POOL_SIZE: '10' };
    app = await startApp(settings);
    // Before there is a replica, whose own outbox could get their codes.
    owners.push(await ownerOf(app), await ownerOf(app));
    replica = await startApp(settings, { replicaOf: app });
    origins = [await app.listen(), await replica.listen()];
  });
  afterAll(async () => {
    await replica?.close();
    await app.close();
  });

  it.each([1, 20])('of %i code tokens: one signs in, nine codes are left', async (tokens) => {
    const owner = owners[tokens === 1 ? 0 : 1] as Owner;
    const sessions = await sessionsOf(app, owner.id);
    const questions: Asked[] = [];
    for (let index = 0; index < tokens; index += 1) questions.push((await firstFactor(app, owner.email)).body);
    const shots = Array.from({ length: 20 }, (_, index) => {
      const question = questions[index % questions.length] as Asked;
      return {
        path: '/auth/token/second-factor',
        body: { codeToken: question.codeToken, code: owner.codes[4], deviceId: sheetOf(question) },
      };
    });

    const hits = await fireAtOnce(origins, shots);

    expect(countOf(hits, 200), JSON.stringify(outcomes(hits))).toBe(1);
    expect((await settingsOf(app, owner.session)).recoveryCodesLeft).toBe(9);
    expect(await sessionsOf(app, owner.id)).toBe(sessions + 1);
    expect(await eventsOf(app, owner.id, 'recovery-code.used')).toBe(1);
  });
});

import { randomInt } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { failuresOf } from '../security/traces.js';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import {
  enrollTotp,
  firstFactor,
  PASSWORD,
  register,
  secondFactor,
  signInByMail,
  type Asked,
  type Person,
  type SignedIn,
} from '../support/people.js';
import { TwilioFake } from '../support/twilio-fake.js';

interface Refusal {
  code: string;
  errors: { field: string; messages: string[] }[];
}

interface Device {
  id: string;
  type: string;
  label: string;
  confirmed: boolean;
  resendIn?: number;
}

const WAIT = { timeout: 8_000, interval: 20 };
const MASKED = /^\+••••••\d\d$/;

/** A German mobile number that nobody else in these tests has. */
const aNumber = () => `+49151${String(randomInt(1e8)).padStart(8, '0')}`;

const createPhone = <Body = Device>(app: TestApp, token: string, phoneNumber: unknown) =>
  app.http.post<Body>('/otp-devices', { type: 'sms', phoneNumber }, { token });

const confirm = <Body = { device: Device }>(app: TestApp, token: string, id: string, code: string) =>
  app.http.post<Body>(`/otp-devices/${id}/confirm`, { code }, { token });

const claimsOf = async (app: TestApp, { accessToken }: SignedIn) =>
  (await app.http.post('/auth/token/verify', { token: accessToken })).body;

function expectRefused({ status, body }: { status: number; body: Partial<Refusal> }, expected: number, code: string) {
  expect([status, body.code]).toEqual([expected, code]);
}

describe('text messages as a second factor', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  let shared: Promise<SignedIn> | undefined;
  /** One session for everything that is refused. */
  async function session(): Promise<SignedIn> {
    return (shared ??= signInByMail(app, await register(app)));
  }

  /** Somebody with a phone, asked at every sign-in from now on: it is stronger than the mailbox. */
  async function personWithPhone(): Promise<Person & { number: string; session: SignedIn; deviceId: string }> {
    const person = await register(app);
    const session = await signInByMail(app, person);
    const number = aNumber();
    const { body: device } = await createPhone(app, session.accessToken, number);
    const { status } = await confirm(app, session.accessToken, device.id, await app.mailbox.smsCode(number));
    expect(status).toBe(200);
    await app.clock.advance(61);
    return { ...person, number, session, deviceId: device.id };
  }

  it('S1: a phone is verified and registered, and from then on the sign-in takes two steps', async () => {
    // 1. Without a phone the sign-in asks for no text message.
    const person = await register(app);
    const session = await signInByMail(app, person);
    const token = session.accessToken;
    const number = aNumber();

    // 3. The number is sent a code, in whatever way it is written. A wrong one is refused.
    expectRefused(await createPhone<Refusal>(app, token, '+49 151'), 400, 'validation_failed');
    const spelled = `${number.slice(0, 3)} (${number.slice(3, 6)}) ${number.slice(6, 9)}-${number.slice(9)}`;
    const created = await createPhone(app, token, spelled);
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({ type: 'sms', confirmed: false, resendIn: 60 });
    expect(created.body.label).toMatch(MASKED);
    expect(created.body.label.slice(-2)).toBe(number.slice(-2));
    expect(created.text).not.toContain(number.slice(3));

    // 4. The code that comes back registers the phone; another one does not.
    const code = await app.mailbox.smsCode(number);
    expect(code).toMatch(/^\d{6}$/);
    const wrong = code === '000000' ? '111111' : '000000';
    expectRefused(await confirm<Refusal>(app, token, created.body.id, wrong), 401, 'invalid_code');
    await app.clock.advance(3);
    const registered = await confirm(app, token, created.body.id, code);
    expect(registered.status).toBe(200);
    expect(registered.body.device).toMatchObject({ id: created.body.id, type: 'sms', confirmed: true });
    await app.mailbox.next(person.email, /second factor was added/);
    await app.clock.advance(61);

    // 2. Now the password alone is not enough, and a message goes to the phone.
    expectRefused(await firstFactor<Refusal>(app, person.email, 'not the password'), 401, 'invalid_credentials');
    const asked = await firstFactor(app, person.email);
    expect(asked.body).toMatchObject({ status: 'second_factor_required', codeSent: true, resendIn: 60 });
    expect(asked.body.device).toMatchObject({ id: created.body.id, type: 'sms', label: created.body.label });
    expect(asked.text).not.toContain(number.slice(3));

    // 5. Its code completes the sign-in.
    expectRefused(await secondFactor<Refusal>(app, asked.body.codeToken, wrong), 401, 'invalid_code');
    await app.clock.advance(3);
    const signedIn = await secondFactor(app, asked.body.codeToken, await app.mailbox.smsCode(number));
    expect(signedIn.body).toMatchObject({ status: 'authenticated', user: { id: person.id } });
    expect(await claimsOf(app, signedIn.body)).toMatchObject({ amr: ['pwd', 'sms', 'mfa'], acr: 'aal2' });
  });

  it('R14: a code works once, for five minutes, and for the newest question only', async () => {
    const person = await personWithPhone();
    const asked = async () => (await firstFactor(app, person.email)).body;
    const first = await asked();
    const code = await app.mailbox.smsCode(person.number);
    expect((await secondFactor(app, first.codeToken, code)).status).toBe(200);
    expectRefused(await secondFactor<Refusal>(app, first.codeToken, code), 401, 'token_already_used');
    const second = await asked();
    expectRefused(await secondFactor<Refusal>(app, second.codeToken, code), 401, 'invalid_code');
    const fresh = await app.mailbox.smsCode(person.number);
    await app.clock.advance(301);
    expectRefused(await secondFactor<Refusal>(app, second.codeToken, fresh), 401, 'token_expired');
  });

  it('another code goes out after a minute and replaces the first', async () => {
    const person = await personWithPhone();
    const { body } = await firstFactor(app, person.email);
    const first = await app.mailbox.smsCode(person.number);
    const again = () => app.http.post<Refusal>('/auth/otp', { codeToken: body.codeToken });
    expectRefused(await again(), 429, 'code_recently_sent');
    await app.clock.advance(61);
    expect((await again()).status).toBe(202);
    const second = await app.mailbox.smsCode(person.number);
    expectRefused(await secondFactor<Refusal>(app, body.codeToken, first), 401, 'invalid_code');
    await app.clock.advance(3);
    expect((await secondFactor(app, body.codeToken, second)).status).toBe(200);
  });

  it('steps a session up', async () => {
    const { session, number, deviceId } = await personWithPhone();
    const stepUp = (body: object) =>
      app.http.post<SignedIn & { device: Device }>('/auth/step-up', body, { token: session.accessToken });
    const asked = await stepUp({});
    expect([asked.status, asked.body.device.id]).toEqual([202, deviceId]);
    expect((await stepUp({ code: await app.mailbox.smsCode(number) })).status).toBe(200);
  });

  it('two people may have one phone, each with codes of his own', async () => {
    const one = await personWithPhone();
    const token = (await signInByMail(app, await register(app))).accessToken;
    const { body: device } = await createPhone(app, token, one.number);
    expect((await confirm(app, token, device.id, await app.mailbox.smsCode(one.number))).status).toBe(200);
  });

  it.each<[why: string, number: unknown]>([
    ['a line break', '+4915112345636\r\n'],
    ['a header', '+4915112345636\r\nTo: +4915112345637'],
    ['letters', '+49151CALLNOW'],
    ['an extension', '+4915112345636;ext=1'],
    ['another extension', '+4915112345636 x12'],
    ['two numbers', '+4915112345636,+4915112345637'],
    ['no country', '015112345636'],
    ['a country that is none', '+0015112345636'],
    ['too few digits', '+49151'],
    ['too many digits', '+4915112345636123456'],
    ['an address', 'ada@example.com'],
    ['nothing', ''],
    ['a number instead of text', 4915112345636],
    ['a list', ['+4915112345636']],
  ])('U07: %s in a number is refused, and nothing is sent', async (_why, number) => {
    const { accessToken: token } = await session();
    const refused = await createPhone<Refusal>(app, token, number);
    expectRefused(refused, 400, 'validation_failed');
    expect(refused.body.errors.map(({ field }) => field)).toEqual(['phoneNumber']);
    const registered = await app.http.post<Refusal>('/users', { phoneNumber: number, password: PASSWORD });
    expectRefused(registered, 400, 'validation_failed');
    expect(await app.sql(`SELECT 1 FROM otp_devices WHERE type = 'sms' AND confirmed_at IS NULL`)).toEqual([]);
  });

  it.each([
    ['premium rate', '+499001234567'],
    ['toll-free', '+498001234567'],
    ['shared cost', '+491801234567'],
    ['toll-free everywhere', '+80012345678'],
    ['premium rate in France', '+33899123456'],
  ])('a %s number gets no messages: neither as a device nor as the number of an account', async (_kind, number) => {
    const { accessToken: token } = await session();
    const message = 'must be the number of a phone that receives messages';
    const refused = await createPhone<Refusal>(app, token, number);
    expectRefused(refused, 400, 'validation_failed');
    expect(refused.body.errors).toEqual([{ field: 'phoneNumber', messages: [message] }]);
    const registered = await app.http.post<Refusal>('/users', { phoneNumber: number, password: PASSWORD });
    expect([registered.status, registered.body.errors]).toEqual([400, refused.body.errors]);
    expect(app.mailbox.all(number)).toEqual([]);
  });

  it('an address does not belong to a phone, nor a number to a mailbox', async () => {
    const { accessToken: token } = await session();
    const phone = await app.http.post<Refusal>(
      '/otp-devices',
      { type: 'sms', phoneNumber: aNumber(), email: 'ada@example.com' },
      { token },
    );
    expect(phone.body.errors.map(({ field }) => field)).toEqual(['email']);
    const mailbox = await app.http.post<Refusal>(
      '/otp-devices',
      { type: 'email', email: 'ada@example.com', phoneNumber: aNumber() },
      { token },
    );
    expect(mailbox.body.errors.map(({ field }) => field)).toEqual(['phoneNumber']);
  });
});

describe('SMS_COUNTRIES', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ SMS_COUNTRIES: 'DE,AT' });
  });
  afterAll(() => app.close());

  it('are the only ones that messages are sent to', async () => {
    const { accessToken: token } = await signInByMail(app, await register(app));
    for (const elsewhere of ['+33612345678', '+12015550123', '+883510000000091']) {
      const refused = await createPhone<Refusal>(app, token, elsewhere);
      expectRefused(refused, 400, 'validation_failed');
      const registered = await app.http.post<Refusal>('/users', { phoneNumber: elsewhere, password: PASSWORD });
      expectRefused(registered, 400, 'validation_failed');
    }
    expect((await createPhone(app, token, '+436641234567')).status).toBe(201);
    expect(await app.mailbox.smsCode('+436641234567')).toMatch(/^\d{6}$/);
  });
});

describe('an account with a phone number and nothing else', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_FALLBACK_METHOD: 'sms' });
  });
  afterAll(() => app.close());

  it('registers, signs in by its number and a text message, and its number is proved by that', async () => {
    const number = aNumber();
    const spelled = `${number.slice(0, 3)} ${number.slice(3)}`;
    const registered = await app.http.post('/users', { phoneNumber: spelled, password: PASSWORD });
    expect(registered.status).toBe(201);
    expect(registered.body).toMatchObject({ email: null, phoneNumber: number, phoneVerified: false });

    const asked = await firstFactor(app, spelled);
    expect(asked.body).toMatchObject({ codeSent: true, device: { type: 'sms' } });
    expect(asked.body.device.label).toMatch(MASKED);
    const signedIn = await secondFactor(app, asked.body.codeToken, await app.mailbox.smsCode(number));
    expect(signedIn.body).toMatchObject({ status: 'authenticated', user: { phoneNumber: number } });
    const me = await app.http.get('/users/me', { token: signedIn.body.accessToken });
    expect(me.body).toMatchObject({ phoneNumber: number, phoneVerified: true });
  });

  it('keeps its number to itself: of two registrations one has it', async () => {
    const phoneNumber = aNumber();
    const answers = await Promise.all(
      [1, 2, 3].map(() => app.http.post('/users', { phoneNumber, password: PASSWORD })),
    );
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(await app.sql('SELECT 1 FROM users WHERE phone_number = $1', [phoneNumber])).toHaveLength(1);
  });
});

describe('without a driver', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  it('who has a phone and an app is asked for the app, and his sessions live on', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    const number = aNumber();
    const { body: device } = await createPhone(app, token, number);
    await confirm(app, token, device.id, await app.mailbox.smsCode(number));
    const { secret } = await enrollTotp(app, token);
    const asked = await firstFactor(app, person.email);
    await app.http.post('/auth/otp', { codeToken: asked.body.codeToken, deviceId: device.id });
    const bySms = await secondFactor(app, asked.body.codeToken, await app.mailbox.smsCode(number));
    expect(bySms.status).toBe(200);

    const phoneless = await startApp(
      { NODE_ENV: 'production', SMTP_URL: 'smtp://127.0.0.1:1', MAIL_FROM: 'a@example.com' },
      { replicaOf: app },
    );
    try {
      const next = await firstFactor(phoneless, person.email);
      expect(next.body.devices.map(({ type }) => type)).toEqual(['totp', 'email', 'recovery_codes']);
      const { accessToken } = bySms.body;
      const stepUp = (body: object) => phoneless.http.post<Refusal>('/auth/step-up', body, { token: accessToken });
      expectRefused(await stepUp({ deviceId: device.id }), 403, 'method_not_allowed');
      expectRefused(await createPhone<Refusal>(phoneless, accessToken, aNumber()), 403, 'method_not_allowed');
      expect((await stepUp({ code: totpCode(secret, app.clock) })).status).toBe(200);
    } finally {
      await phoneless.close();
    }
  });
});

// Real: the official client on a socket, the queue, Postgres. Twilio is a server in this process.
describe.each(['twilio-verify', 'twilio-messages'] as const)('%s', (driver) => {
  let app: TestApp;
  let twilio: TwilioFake;
  beforeAll(async () => {
    twilio = await TwilioFake.start();
    app = await startApp({ ...twilio.settings(driver), CODE_TOKEN_RETRY_WAIT: '0s' });
  });
  afterAll(async () => {
    await app.close();
    await twilio.close();
  });
  beforeEach(() => twilio.reset());
  afterEach(() => app.clock.advance(61));

  const textsTo = (number: string) => twilio.texts.filter(({ to }) => to === number);

  /** The code of the next text to this number; Twilio is asked by the job worker, so this waits for it. */
  async function nextCode(number: string, before: number): Promise<string> {
    await vi.waitFor(() => expect(textsTo(number).length).toBeGreaterThan(before), WAIT);
    if (driver === 'twilio-verify') {
      // What Twilio called the verification is stored right after its answer.
      const sid = textsTo(number).at(-1)?.sid;
      await vi.waitFor(
        async () => expect(await app.sql('SELECT 1 FROM challenges WHERE provider_id = $1', [sid])).toHaveLength(1),
        WAIT,
      );
    }
    return twilio.codeFor(number);
  }

  async function personWithPhone(): Promise<Person & { number: string; session: SignedIn; deviceId: string }> {
    const person = await register(app);
    const session = await signInByMail(app, person);
    const number = aNumber();
    const { body: device } = await createPhone(app, session.accessToken, number);
    const code = await nextCode(number, 0);
    expect((await confirm(app, session.accessToken, device.id, code)).status).toBe(200);
    await app.clock.advance(61);
    return { ...person, number, session, deviceId: device.id };
  }

  async function asked({ email }: Person): Promise<Asked> {
    const { body } = await firstFactor(app, email);
    expect(body).toMatchObject({ codeSent: true, device: { type: 'sms' } });
    return body;
  }

  const wrongFor = (number: string) => (twilio.codeFor(number) === '000000' ? '111111' : '000000');

  it('S5: registers with a phone, signs in with the code that Twilio delivers, and chooses another channel', async () => {
    // 3., 2. A password that is too easy is refused; the phone is added to the new account and proved.
    const easy = await app.http.post('/users', { email: 'easy@example.com', password: '12345678' });
    expect(easy.status).toBe(400);
    const person = await personWithPhone();
    const { accessToken: token } = person.session;

    // 4. The password leads to a text message, to a number that is shown masked.
    expectRefused(await firstFactor<Refusal>(app, person.email, 'not the password'), 401, 'invalid_credentials');
    const sent = textsTo(person.number).length;
    const question = await asked(person);
    expect(question.device.label).toMatch(MASKED);

    // 5. Only the delivered code signs in, and only with the token of the password that was proved.
    const code = await nextCode(person.number, sent);
    expectRefused(await secondFactor<Refusal>(app, question.codeToken, wrongFor(person.number)), 401, 'invalid_code');
    const signedIn = await secondFactor(app, question.codeToken, code);
    expect(signedIn.body).toMatchObject({ status: 'authenticated', user: { id: person.id } });
    expect(await claimsOf(app, signedIn.body)).toMatchObject({ amr: ['pwd', 'sms', 'mfa'], acr: 'aal2' });

    // 9. SMS or an app is the user's choice.
    const { secret } = await enrollTotp(app, token);
    expect((await firstFactor(app, person.email)).body.device.type).toBe('totp');
    const chosen = await app.http.patch('/users/me/two-factor', { preferredMethod: 'sms' }, { token });
    expect(chosen.status).toBe(200);
    const preferred = await asked(person);
    const extra = { deviceId: preferred.devices.find(({ type }) => type === 'totp')?.id };
    expect((await secondFactor(app, preferred.codeToken, totpCode(secret, app.clock), extra)).status).toBe(200);

    // 6. Signing out ends the session.
    const { refreshToken, accessToken } = signedIn.body;
    expect((await app.http.post('/auth/token/revoke', { refreshToken })).status).toBe(204);
    expect((await app.http.get('/users/me', { token: accessToken })).status).toBe(401);
  });

  it('a resent code works, and so does only what was sent last', async () => {
    const person = await personWithPhone();
    let sent = textsTo(person.number).length;
    const { codeToken } = await asked(person);
    await nextCode(person.number, sent);
    await app.clock.advance(61);
    sent = textsTo(person.number).length;
    expect((await app.http.post('/auth/otp', { codeToken })).status).toBe(202);
    const code = await nextCode(person.number, sent);
    expect((await secondFactor(app, codeToken, code)).status).toBe(200);
  });

  it('five wrong codes are all there are, and then the right one is refused too', async () => {
    const person = await personWithPhone();
    const sent = textsTo(person.number).length;
    const { codeToken } = await asked(person);
    const code = await nextCode(person.number, sent);
    for (let guess = 1; guess <= 5; guess += 1) {
      const wrong = await secondFactor<Refusal>(app, codeToken, wrongFor(person.number));
      expectRefused(wrong, 401, 'invalid_code');
    }
    expectRefused(await secondFactor<Refusal>(app, codeToken, code), 403, 'too_many_attempts');
    await app.mailbox.next(person.email, /Wrong codes/);
  });

  it('a provider that is down keeps nobody with an app from signing in', async () => {
    const person = await personWithPhone();
    const { secret, deviceId } = await enrollTotp(app, person.session.accessToken);
    await app.http.patch('/users/me/two-factor', { preferredMethod: 'sms' }, { token: person.session.accessToken });
    twilio.every({ status: 503 });
    const question = await asked(person);
    const signedIn = await secondFactor(app, question.codeToken, totpCode(secret, app.clock), { deviceId });
    expect(signedIn.status).toBe(200);
  });

  it('U07: a bad number is refused before Twilio is asked anything', async () => {
    const { accessToken: token } = await signInByMail(app, await register(app));
    const numbers = ['+4915112345636\r\n', '+49151CALL', '+499001234567', '+49151'];
    for (const number of numbers) {
      expectRefused(await createPhone<Refusal>(app, token, number), 400, 'validation_failed');
    }
    const texted = twilio.requests.map(({ form }) => form['To'] ?? '');
    expect(texted.filter((to) => [...numbers, '+4915112345636'].includes(to))).toEqual([]);
  });

  if (driver === 'twilio-messages') return;

  describe('checks what was typed with Twilio', () => {
    const checks = () => twilio.requests.filter(({ path }) => path.endsWith('/VerificationCheck'));

    it('and sends it nothing but the code and what it called the verification', async () => {
      const person = await personWithPhone();
      expect(checks().map(({ form }) => form)).toEqual([
        { Code: twilio.codeFor(person.number), VerificationSid: textsTo(person.number).at(-1)?.sid },
      ]);
    });

    it('keeps no code of its own', async () => {
      const person = await personWithPhone();
      const sent = textsTo(person.number).length;
      await asked(person);
      await nextCode(person.number, sent);
      const rows = await app.sql(`SELECT code_hash FROM challenges WHERE device_id = $1`, [person.deviceId]);
      expect(rows).toEqual([{ code_hash: null }, { code_hash: null }]);
    });

    it('one that has expired there is a wrong code', async () => {
      const person = await personWithPhone();
      const sent = textsTo(person.number).length;
      const { codeToken } = await asked(person);
      const code = await nextCode(person.number, sent);
      twilio.pass(601_000);
      expectRefused(await secondFactor<Refusal>(app, codeToken, code), 401, 'invalid_code');
    });

    it('one that was guessed at too often there is closed here, and counted', async () => {
      const person = await personWithPhone();
      const sent = textsTo(person.number).length;
      const { codeToken } = await asked(person);
      const code = await nextCode(person.number, sent);
      twilio.every({ code: 60202 });
      expectRefused(await secondFactor<Refusal>(app, codeToken, code), 403, 'too_many_attempts');
      expect(await failuresOf(app, person.deviceId)).toBe(1);
      const [event] = await app.sql<{ details: unknown }>(
        `SELECT details FROM audit_events WHERE user_id = $1 AND type = 'second-factor.failed'`,
        [person.id],
      );
      expect(event?.details).toMatchObject({ method: 'sms', reason: 'exhausted', failures: 1 });
    });

    it('where it cannot be asked nobody signs in, no attempt is lost, and the code works afterwards', async () => {
      const person = await personWithPhone();
      const sent = textsTo(person.number).length;
      const { codeToken } = await asked(person);
      const code = await nextCode(person.number, sent);
      twilio.every({ status: 503 });
      // More often than there are attempts, and than failures close a device.
      for (let attempt = 1; attempt <= 7; attempt += 1) {
        const down = await secondFactor<Refusal>(app, codeToken, code);
        expectRefused(down, 503, 'unavailable');
        expect(Number(down.headers['retry-after'])).toBeGreaterThan(0);
      }
      expect(await failuresOf(app, person.deviceId)).toBe(0);
      twilio.every(null);
      // Half a minute later the circuit breaker lets a request through again; it has a clock that never jumps.
      const now = performance.now.bind(performance);
      const later = vi.spyOn(performance, 'now').mockImplementation(() => now() + 31_000);
      expect((await secondFactor(app, codeToken, code)).status).toBe(200);
      later.mockRestore();
    });
  });
});

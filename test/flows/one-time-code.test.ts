import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failuresOf, sessionsOf } from '../security/traces.js';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import {
  enrollTotp,
  personWithTotp,
  register,
  secondFactor,
  signInByMail,
  type Asked,
  type SignedIn,
} from '../support/people.js';

interface Enroll {
  status: 'enrollment_required';
  enrollmentToken: string;
  methods: string[];
}

let lastNumber = 15_112_340_000;
/** A mobile number that nobody else has. */
const newNumber = () => `+49${(lastNumber += 1)}`;

const ask = (app: TestApp, identifier: string, channel?: string) =>
  app.http.post('/auth/otp', { identifier, ...(channel === undefined ? {} : { channel }) });

const withCode = <Body = Asked>(app: TestApp, identifier: string, code: string) =>
  app.http.post<Body>('/auth/token', { identifier, code });

async function mailedCode(app: TestApp, email: string): Promise<string> {
  expect((await ask(app, email)).body).toEqual({ resendIn: 60 });
  return app.mailbox.code(email);
}

const claimsOf = async (app: TestApp, { accessToken }: SignedIn) =>
  (await app.http.post('/auth/token/verify', { token: accessToken })).body;

/** Another string of digits of the same length. */
const otherThan = (code: string) => code.replace(/\d/g, (digit) => String((Number(digit) + 1) % 10));

describe('a one-time code instead of a password', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  it('by mail, then the app: a session of two factors', async () => {
    const person = await personWithTotp(app);
    const first = await withCode(app, person.email, await mailedCode(app, person.email));
    expect([first.status, first.body.status, first.body.device.type]).toEqual([200, 'second_factor_required', 'totp']);
    const { body: session } = await secondFactor(app, first.body.codeToken, totpCode(person.secret, app.clock));
    expect(await claimsOf(app, session)).toMatchObject({ sub: person.id, amr: ['email', 'otp', 'mfa'], acr: 'aal2' });
  });

  it('by mail, then by text message', async () => {
    const phoneNumber = newNumber();
    const person = await register(app, { phoneNumber });
    const { accessToken: token } = await signInByMail(app, person);
    const created = await app.http.post<{ id: string }>('/otp-devices', { type: 'sms', phoneNumber }, { token });
    const confirmed = await app.http.post(
      `/otp-devices/${created.body.id}/confirm`,
      { code: await app.mailbox.smsCode(phoneNumber) },
      { token },
    );
    expect(confirmed.status).toBe(200);

    const first = await withCode(app, person.email, await mailedCode(app, person.email));
    expect([first.status, first.body.device.type, first.body.codeSent]).toEqual([200, 'sms', true]);
    const second = await secondFactor(app, first.body.codeToken, await app.mailbox.smsCode(phoneNumber));
    expect(second.status).toBe(200);
    expect(await claimsOf(app, second.body)).toMatchObject({ acr: 'aal2' });
  });

  it('by text message, then by mail', async () => {
    const phoneNumber = newNumber();
    const person = await register(app, { phoneNumber });
    expect((await ask(app, phoneNumber)).status).toBe(202);
    const first = await withCode(app, phoneNumber, await app.mailbox.smsCode(phoneNumber));
    expect([first.status, first.body.device.type]).toEqual([200, 'email']);
    expect((await secondFactor(app, first.body.codeToken, await app.mailbox.code(person.email))).status).toBe(200);
    const [user] = await app.sql(
      'SELECT email_verified_at IS NOT NULL AS email, phone_verified_at IS NOT NULL AS phone FROM users WHERE id = $1',
      [person.id],
    );
    expect(user).toEqual({ email: true, phone: true });
  });

  it('goes the way that is asked for, whatever the identifier', async () => {
    const phoneNumber = newNumber();
    const person = await register(app, { phoneNumber });
    expect((await ask(app, person.email, 'sms')).status).toBe(202);
    const first = await withCode(app, person.email, await app.mailbox.smsCode(phoneNumber));
    expect([first.status, first.body.device.type]).toEqual([200, 'email']);
  });

  it('P10: a mailbox alone opens the enrollment of another channel, and no session', async () => {
    const person = await register(app);
    const first = await withCode<Enroll>(app, person.email, await mailedCode(app, person.email));
    expect([first.status, first.body.status]).toEqual([200, 'enrollment_required']);
    expect(first.body.methods).toEqual(['sms', 'totp']);
    expect(await sessionsOf(app, person.id)).toBe(0);
    const again = await app.http.post(
      '/otp-devices',
      { type: 'email', email: 'second-mailbox@example.com' },
      { token: first.body.enrollmentToken },
    );
    expect([again.status, again.body['code']]).toEqual([403, 'method_not_allowed']);

    await enrollTotp(app, first.body.enrollmentToken);
    expect(await sessionsOf(app, person.id)).toBe(1);
  });

  it('P10: the mailbox that gave the first code is never asked for the second', async () => {
    const person = await personWithTotp(app);
    const first = await withCode(app, person.email, await mailedCode(app, person.email));
    expect(first.body.devices.map(({ type }) => type)).not.toContain('email');
    const { body } = await app.http.get<{ items: { id: string; type: string }[] }>('/otp-devices', {
      token: person.session.accessToken,
    });
    const deviceId = body.items.find(({ type }) => type === 'email')?.id;
    const switched = await app.http.post('/auth/otp', { codeToken: first.body.codeToken, deviceId });
    expect([switched.status, switched.body['code']]).toEqual([403, 'method_not_allowed']);
  });

  it('works once, for five minutes, and only the newest', async () => {
    const person = await personWithTotp(app);
    const used = await mailedCode(app, person.email);
    expect((await withCode(app, person.email, used)).status).toBe(200);
    expect((await withCode(app, person.email, used)).status).toBe(401);
    const older = await mailedCode(app, person.email);
    await app.clock.advance(61);
    const newer = await mailedCode(app, person.email);
    expect((await withCode(app, person.email, older)).status).toBe(401);
    await app.clock.advance(3);
    expect((await withCode(app, person.email, newer)).status).toBe(200);
    const late = await mailedCode(app, person.email);
    await app.clock.advance(301);
    expect((await withCode(app, person.email, late)).status).toBe(401);
  });

  it('belongs to one person', async () => {
    const [person, other] = [await personWithTotp(app), await personWithTotp(app)];
    const code = await mailedCode(app, person.email);
    await mailedCode(app, other.email);
    const crossed = await withCode<{ code: string }>(app, other.email, code);
    expect([crossed.status, crossed.body.code]).toEqual([401, 'invalid_credentials']);
  });

  it('cannot go with a password, nor a code token with an identifier', async () => {
    const both = await app.http.post('/auth/token', { identifier: 'a@example.com', password: 'x', code: '1234567' });
    expect(both.status).toBe(400);
    const mixed = await app.http.post('/auth/otp', { identifier: 'a@example.com', codeToken: 'x' });
    expect(mixed.status).toBe(400);
    expect((await app.http.post('/auth/otp', {})).status).toBe(400);
  });

  it('a wrong one is always the same 401; five use the code up, and ten make whoever guesses wait', async () => {
    const person = await personWithTotp(app);
    const code = await mailedCode(app, person.email);
    for (let guess = 1; guess <= 5; guess += 1) {
      const wrong = await withCode<{ code: string }>(app, person.email, otherThan(code));
      expect([guess, wrong.status, wrong.body.code]).toEqual([guess, 401, 'invalid_credentials']);
      await app.clock.advance(3);
    }
    const exhausted = await withCode<{ code: string }>(app, person.email, code);
    expect([exhausted.status, exhausted.body.code]).toEqual([401, 'invalid_credentials']);
    const [challenge] = await app.sql<{ attempts: number }>(
      `SELECT attempts FROM challenges WHERE user_id = $1 AND purpose = 'first_factor'`,
      [person.id],
    );
    expect(challenge).toEqual({ attempts: 5 });
    for (let guess = 7; guess <= 10; guess += 1) expect((await withCode(app, person.email, code)).status).toBe(401);
    const paused = await withCode<{ code: string }>(app, person.email, code);
    expect([paused.status, paused.body.code]).toEqual([429, 'too_many_failures']);
  });

  it('wrong ones for nobody are told and capped in the same way', async () => {
    for (let guess = 1; guess <= 10; guess += 1) {
      const wrong = await withCode<{ code: string }>(app, 'nobody-here@example.com', '1234567');
      expect([guess, wrong.status, wrong.body.code]).toEqual([guess, 401, 'invalid_credentials']);
    }
    expect((await withCode(app, 'nobody-here@example.com', '1234567')).status).toBe(429);
  });

  it('R10: a stranger’s wrong codes do not count against the owner’s second factor', async () => {
    const person = await register(app);
    const session = await signInByMail(app, person);
    const { body } = await app.http.get<{ items: { id: string }[] }>('/otp-devices', { token: session.accessToken });
    const code = await mailedCode(app, person.email);
    for (let guess = 1; guess <= 5; guess += 1) {
      await withCode(app, person.email, otherThan(code));
      await app.clock.advance(3);
    }
    expect(await failuresOf(app, body.items[0]?.id ?? '')).toBe(0);
    await app.clock.advance(61);
    expect((await signInByMail(app, person)).status).toBe('authenticated');
  });
});

describe('where asking for a code may create the account', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ OTP_AUTO_CREATE_ACCOUNT: 'on' });
  });
  afterAll(() => app.close());

  const find = (address: string) =>
    app.sql<{ verified: boolean; password: boolean; locale: string | null }>(
      `SELECT coalesce(email_verified_at, phone_verified_at) IS NOT NULL AS verified,
              password_hash IS NOT NULL AS password, locale
       FROM users WHERE $1 IN (email_canonical, phone_number)`,
      [address],
    );

  it('a mail address becomes one without a password, unverified until the code comes back', async () => {
    const email = 'New.Person@Example.com';
    const headers = { 'accept-language': 'de-DE,de;q=0.9' };
    expect((await app.http.post('/auth/otp', { identifier: email }, { headers })).status).toBe(202);
    const { subject } = await app.mailbox.next('new.person@example.com');
    expect(await find('new.person@example.com')).toEqual([{ verified: false, password: false, locale: 'de' }]);
    const first = await withCode<Enroll>(app, email, /^\w+/.exec(subject)?.[0] ?? '');
    expect([first.status, first.body.status]).toEqual([200, 'enrollment_required']);
    expect(await find('new.person@example.com')).toMatchObject([{ verified: true }]);
  });

  it('and so does a phone number', async () => {
    const number = newNumber();
    await ask(app, number);
    const first = await withCode<Enroll>(app, number, await app.mailbox.smsCode(number));
    expect([first.status, first.body.status]).toEqual([200, 'enrollment_required']);
    expect(await find(number)).toMatchObject([{ verified: true, password: false }]);
  });

  it('a known address stays one account, and an inactive one stays inactive', async () => {
    const person = await register(app);
    await mailedCode(app, person.email.toUpperCase()).catch(() => undefined);
    expect(await find(person.email)).toHaveLength(1);
    const leaver = await register(app);
    await app.sql('UPDATE users SET active = false WHERE id = $1', [leaver.id]);
    await ask(app, leaver.email);
    await jobsDone(app);
    expect(await find(leaver.email)).toHaveLength(1);
    expect(app.mailbox.all(leaver.email)).toEqual([]);
  });

  it.each([
    ['a username', { identifier: 'some-username' }],
    ['a mail address, by text message', { identifier: 'by-text@example.com', channel: 'sms' }],
    ['a premium number', { identifier: '+499001234567' }],
    ['nonsense', { identifier: 'no identifier @ all' }],
  ])('not for %s', async (_, body) => {
    const users = await app.sql('SELECT 1 FROM users');
    expect((await app.http.post('/auth/otp', body)).status).toBe(202);
    await jobsDone(app);
    expect(await app.sql('SELECT 1 FROM users')).toEqual(users);
  });

  it('nor for a link or a reset', async () => {
    await app.http.post('/auth/magic-link', { identifier: 'linked@example.com' });
    await app.http.post('/auth/password-reset', { identifier: 'forgot@example.com' });
    await jobsDone(app);
    expect(await find('linked@example.com')).toEqual([]);
    expect(await find('forgot@example.com')).toEqual([]);
  });
});

it.each([
  ['by default', {}],
  ['where strangers may not register', { OTP_AUTO_CREATE_ACCOUNT: 'on', SIGNUP_ALLOWED: 'off' }],
])('%s asking for a code creates no account', async (_, variables) => {
  const app = await startApp(variables);
  try {
    expect((await ask(app, 'nobody@example.com')).status).toBe(202);
    await jobsDone(app);
    expect(await app.sql('SELECT 1 FROM users')).toEqual([]);
    expect(app.mailbox.all('nobody@example.com')).toEqual([]);
  } finally {
    await app.close();
  }
});

/** Waits until the queue is empty. */
async function jobsDone(app: TestApp): Promise<void> {
  await expect.poll(() => app.sql('SELECT 1 FROM graphile_worker.jobs'), { timeout: 8_000 }).toEqual([]);
}

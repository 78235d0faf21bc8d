import { Logger } from '@nestjs/common';
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import type { Answer } from '../support/http.js';
import { invite } from '../support/invitations.js';
import {
  enrollTotp,
  firstFactor,
  PASSWORD,
  register,
  secondFactor,
  type Asked,
  type Person,
  type SignedIn,
} from '../support/people.js';
import { TwilioFake } from '../support/twilio-fake.js';

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;
const BUDGET = 1_000;
/** A password is enough, so that most people here are signed in without a message. */
const SETTINGS = {
  TWO_FACTOR_TRUSTED_METHODS: 'none,email,sms,totp',
  TWO_FACTOR_FALLBACK_METHOD: 'none',
  CODE_TOKEN_RETRY_WAIT: 'off',
  OTP_AUTO_CREATE_ACCOUNT: 'on',
};

interface Refusal {
  code: string;
  retryAfter: number;
}

interface Guard {
  sentToday: number;
  dailyBudget: number | null;
  budgetLeft: number | null;
  minVerifyRate: number | null;
  countries: { country: string; sent: number; verified: number; pausedUntil: string | null }[];
}

const digits = (count: number) => String(randomInt(10 ** count)).padStart(count, '0');
let last = randomInt(1e6);
/** The end of a number that none here has had before, in another range than the one before. */
const unused = (count: number) => String((last += 10_007) % 10 ** count).padStart(count, '0');
const german = () => `+49151${unused(8)}`;
const french = () => `+3361${unused(7)}`;
const austrian = () => `+43664${unused(7)}`;
const many = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

let twilio: TwilioFake;
let first: TestApp;
let second: TestApp;
let began: Date;
const errors: string[] = [];

beforeAll(async () => {
  twilio = await TwilioFake.start();
  const settings = { ...SETTINGS, ...twilio.settings('twilio-messages') };
  first = await startApp(settings);
  second = await startApp(settings, { replicaOf: first });
  vi.spyOn(Logger.prototype, 'error').mockImplementation((message: unknown) => errors.push(String(message)));
});
afterAll(async () => {
  vi.restoreAllMocks();
  await second.close();
  await first.close();
  await twilio.close();
});
/** A day later nothing that was counted before counts any more. */
beforeEach(async () => {
  // what the test before still has sent is not of this one
  await settled();
  await first.clock.advance(DAY + HOUR);
  began = first.clock.now();
  twilio.reset();
  errors.length = 0;
});

describe('numbers that differ in their last four digits', () => {
  it('get ten messages an hour together, whoever asks for them, at two replicas at once', async () => {
    const range = german().slice(0, -4);
    const numbers = many(30, (n) => `${range}${2_000 + n}`);
    await askAll(numbers);
    expect(await sentProofs()).toEqual({ sent: 10, notSent: 20 });
    expect(twilio.texts).toHaveLength(10);
    expect(twilio.requests).toHaveLength(10);

    const member = await signedIn();
    const refused = await addPhone(member.token, `${range}9999`);
    expectRefused(refused, 429, 'too_many_messages');
    expect(refused.body.retryAfter).toBeGreaterThan(HOUR - MINUTE);
    expect(refused.body.retryAfter).toBeLessThanOrEqual(HOUR);
    expect(await devicesOf(member)).toEqual([]);
    expect((await addPhone(member.token, german())).status).toBe(201);

    await first.clock.advance(refused.body.retryAfter);
    expect((await addPhone((await signedIn()).token, `${range}9999`)).status).toBe(201);
  });

  it('get more where the codes come back: an office whose people sign in is no fraud', async () => {
    const range = german().slice(0, -4);
    const numbers = many(10, (n) => `${range}${3_000 + n}`);
    await askAll(numbers);
    const member = await signedIn();
    expectRefused(await addPhone(member.token, `${range}9998`), 429, 'too_many_messages');
    await typeBack(numbers[0] as string);
    expect((await addPhone(member.token, `${range}9998`)).status).toBe(201);
    expectRefused(await addPhone(member.token, `${range}9997`), 429, 'too_many_messages');
  });

  it('are known to the database by a keyed hash only', async () => {
    const number = german();
    await askAll([number]);
    for (const table of ['destination_sends', 'sent_text_codes', 'account_destinations', 'text_message_countries']) {
      const rows = JSON.stringify(await first.sql(`SELECT to_jsonb(t) FROM ${table} t`));
      expect(rows, table).not.toContain(number.slice(1, -4));
      expect(rows, table).not.toContain(Buffer.from(number.slice(0, -4)).toString('hex'));
    }
  });
});

describe('U03: one account', () => {
  it('has codes sent to ten new destinations a day, of twenty at once at two replicas', async () => {
    const member = await signedIn();
    const answers = await Promise.all(
      many(20, (n) =>
        n % 2 === 0
          ? addPhone(member.token, german(), first)
          : second.http.post<Refusal>(
              '/otp-devices',
              { type: 'email', email: `new-${n}-${digits(9)}@example.com` },
              { token: member.token },
            ),
      ),
    );
    expect(tally(answers)).toEqual({ '201': 10, '429 too_many_messages': 10 });
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.body.retryAfter).toBeGreaterThan(DAY - MINUTE);
    expect(refused?.body.retryAfter).toBeLessThanOrEqual(DAY);

    expect((await addPhone((await signedIn()).token, german())).status).toBe(201);
    await first.clock.advance(DAY);
    expect((await addPhone((await signedIn(member)).token, german())).status).toBe(201);
  });

  it('has them sent to the same destination again, which is none that is new', async () => {
    const member = await signedIn();
    const numbers = many(10, german);
    for (const number of numbers) expect((await addPhone(member.token, number)).status).toBe(201);
    expectRefused(await addPhone(member.token, german()), 429, 'too_many_messages');
    await first.clock.advance(MINUTE + 1);
    expect((await addPhone(member.token, numbers[0] as string)).status).toBe(201);
  });
});

describe('what is asked for again and again', () => {
  it('U01: of twenty requests for another code at once one sends a message, and the others say how long to wait', async () => {
    const owner = await ownerOfPhone();
    await first.clock.advance(MINUTE + 1);
    const { body } = await firstFactor(first, owner.email);
    expect(body).toMatchObject({ codeSent: true, device: { type: 'sms' } });
    await first.clock.advance(MINUTE + 1);
    await settled();
    twilio.reset();
    const answers = await Promise.all(
      many(20, (n) => replica(n).http.post<Refusal>('/auth/otp', { codeToken: body.codeToken })),
    );
    expect(tally(answers)).toEqual({ '202': 1, '429 code_recently_sent': 19 });
    const waits = answers.filter(({ status }) => status === 429).map(({ body: { retryAfter } }) => retryAfter);
    expect(Math.max(...waits)).toBeLessThanOrEqual(MINUTE);
    await settled();
    expect(twilio.texts).toHaveLength(1);
  });

  it('U02: one number has five messages an hour, whichever way they are asked for', async () => {
    const number = german();
    const wait = () => first.clock.advance(MINUTE + 1);
    await askAll([number]);
    await wait();
    expect((await first.http.post('/auth/password-reset', { identifier: number })).status).toBe(202);
    await wait();
    const member = await signedIn();
    const { status, body } = await addPhone<{ id: string }>(member.token, number);
    expect(status).toBe(201);
    await wait();
    expect((await invite(second, (await signedIn()).token, { phoneNumber: number })).status).toBe(201);
    await wait();
    const challenge = (token: string) => first.http.post<Refusal>(`/otp-devices/${body.id}/challenge`, {}, { token });
    expect((await challenge((await signedIn(member)).token)).status).toBe(202);
    await wait();
    await settled();
    expect(twilio.texts.filter(({ to }) => to === number)).toHaveLength(5);

    const refused = await challenge((await signedIn(member)).token);
    expectRefused(refused, 429, 'code_recently_sent');
    expect(refused.body.retryAfter).toBeGreaterThan(50 * MINUTE);
    expect((await second.http.post('/auth/otp', { identifier: number })).status).toBe(429);
    expect((await invite(first, (await signedIn()).token, { phoneNumber: number })).status).toBe(429);
    await settled();
    expect(twilio.requests).toHaveLength(5);
  });

  it.each([
    ['a line break', '+4915112345636\r\n'],
    ['a header', '+4915112345636\r\nTo: +4915112345637'],
    ['letters', '+49151CALLME'],
    ['an extension', '+4915112345636;ext=9'],
    ['a number of nobody', '+4915'],
    ['a premium number', '+499001234567'],
  ])('U07: %s where a number belongs reaches no provider', async (_what, number) => {
    const { token } = await signedIn();
    expectRefused(await addPhone(token, number), 400, 'validation_failed');
    expect((await invite(first, token, { phoneNumber: number })).status).toBe(400);
    // like an identifier that nobody has
    expect([202, 400]).toContain((await first.http.post('/auth/otp', { identifier: number })).status);
    await settled();
    expect(
      twilio.requests.filter(({ form }) => /[\r\n]|CALL|ext/.test(form['To'] ?? '') || form['To'] === number),
    ).toEqual([]);
  });
});

describe('U05: the budget of a day', () => {
  it('is used up by exactly as many messages as are left of it, at two replicas at once; then one alarm', async () => {
    await leaveOfBudget(5);
    await askAll(many(12, german));
    expect(await sentProofs()).toEqual({ sent: 5, notSent: 7 });
    expect(twilio.requests).toHaveLength(5);
    expect(await guardEvents()).toMatchObject([{ type: 'message-guard.budget-reached', details: { budget: BUDGET } }]);
    expect(errors.filter((line) => line.includes('budget'))).toHaveLength(1);
  });

  it('leaves every other way in open, and says so', async () => {
    const owner = await ownerOfPhone();
    const { secret, deviceId } = await enrollTotp(first, owner.token);
    await first.http.patch('/users/me/two-factor', { preferredMethod: 'sms' }, { token: owner.token });
    await leaveOfBudget(0);
    twilio.reset();

    const question = await firstFactor(first, owner.email);
    expect(question.body).toMatchObject({ codeSent: false, device: { type: 'sms' } });
    expect(question.body.devices.map(({ type }) => type)).toContain('totp');
    const again = await first.http.post<Refusal>('/auth/otp', { codeToken: question.body.codeToken });
    expectRefused(again, 503, 'messages_paused');
    expect(again.headers['retry-after']).toBe(String(again.body.retryAfter));
    expect(again.body.retryAfter).toBeLessThanOrEqual(DAY);
    const code = totpCode(secret, first.clock);
    const done = await secondFactor(first, question.body.codeToken, code, { deviceId });
    expect(done.status).toBe(200);
    const { accessToken: token } = done.body;

    expectRefused(await addPhone(token, german()), 503, 'messages_paused');
    expectRefused(
      await first.http.post('/auth/step-up', { deviceId: owner.deviceId }, { token }),
      503,
      'messages_paused',
    );
    expectRefused(await invite(first, token, { phoneNumber: german() }), 503, 'messages_paused');
    const mailbox = { type: 'email', email: `work-${digits(9)}@example.com` };
    expect((await first.http.post('/otp-devices', mailbox, { token })).status).toBe(201);
    expect((await first.http.post('/auth/magic-link', { identifier: owner.email })).status).toBe(202);
    // who is not signed in is told nothing
    await askAll([german()]);
    await settled();
    expect(twilio.requests).toEqual([]);

    // and what was refused counts nowhere: there is no cooldown after a message that nobody got
    await leaveOfBudget(5);
    expect((await firstFactor(first, owner.email)).body).toMatchObject({ codeSent: true, device: { type: 'sms' } });
  });

  it('counts nothing that was refused, and begins again at midnight UTC', async () => {
    await leaveOfBudget(0);
    const number = german();
    const member = await signedIn();
    const refused = await addPhone(member.token, number);
    expectRefused(refused, 503, 'messages_paused');
    await first.clock.advance(refused.body.retryAfter + 1);
    const midnight = first.clock.now();
    expect([midnight.getUTCHours(), midnight.getUTCMinutes()]).toEqual([0, 0]);
    // at once: the refused one is in no limit of the number or of its range
    expect((await addPhone((await signedIn(member)).token, number)).status).toBe(201);
    expect(await guardOf(await administrator())).toMatchObject({ sentToday: 1, budgetLeft: BUDGET - 1 });
  });
});

describe('a country whose codes do not come back', () => {
  it('pauses with the fifty-first of an hour, asked for at once at two replicas; once, alone, and until an hour later', async () => {
    await askAll(many(50, french));
    await first.clock.advance(2 * MINUTE);
    await askAll(many(20, french));
    expect(await sentProofs()).toEqual({ sent: 51, notSent: 19 });
    expect(twilio.texts).toHaveLength(51);
    const { token } = await signedIn();

    const refused = await addPhone(token, french());
    expectRefused(refused, 503, 'messages_paused');
    expect(refused.body.retryAfter).toBeGreaterThan(HOUR - MINUTE);
    expect(twilio.requests).toHaveLength(51);
    expect((await addPhone(token, german())).status).toBe(201);
    const details = { country: 'FR', sent: 50, answered: 0 };
    expect(await guardEvents()).toMatchObject([{ type: 'message-guard.paused', details, actor: 'system' }]);
    expect(errors.filter((line) => line.includes('FR pause'))).toHaveLength(1);

    const { countries } = await guardOf(await administrator());
    const france = countries.find(({ country }) => country === 'FR');
    expect(france).toMatchObject({ sent: 51, verified: 0 });
    expect(Date.parse(france?.pausedUntil ?? '')).toBeGreaterThan(first.clock.now().getTime());
    expect(countries.find(({ country }) => country === 'DE')).toMatchObject({ pausedUntil: null });

    await first.clock.advance(HOUR);
    expect((await addPhone((await signedIn()).token, french())).status).toBe(201);
  });

  it('does not where a tenth of them comes back, and does with one less', async () => {
    const numbers = many(45, austrian);
    await askAll(numbers);
    for (const number of numbers.slice(0, 5)) await typeBack(number);
    await askAll(many(5, austrian));
    await first.clock.advance(2 * MINUTE);
    await askAll([austrian()]);
    expect(await guardEvents()).toEqual([]);
    await first.clock.advance(2 * MINUTE);
    await askAll([austrian()]);
    const details = { country: 'AT', sent: 51, answered: 5 };
    expect(await guardEvents()).toMatchObject([{ type: 'message-guard.paused', details }]);
    expect(twilio.texts).toHaveLength(52);
  });

  it('does not in the first busy minutes of a quiet hour: whoever has just been sent a code may still type it', async () => {
    const numbers = many(60, french);
    await askAll(numbers);
    await first.clock.advance(MINUTE);
    for (const number of numbers.slice(0, 7)) await typeBack(number);
    await askAll(many(10, french));
    await first.clock.advance(2 * MINUTE);
    await askAll([french()]);
    expect(await guardEvents()).toEqual([]);
    expect(twilio.texts).toHaveLength(71);
  });
});

describe('an administrator', () => {
  const reset = (token: string, body: Record<string, unknown>) =>
    first.http.post('/admin/message-guard/reset', body, { token });

  it('ends the pause of a country, which is written down, and what it followed from is forgotten', async () => {
    await askAll(many(50, french));
    await first.clock.advance(2 * MINUTE);
    await askAll([french()]);
    await first.sql(`INSERT INTO text_message_countries VALUES ('AT', now() + interval '1 hour')
      ON CONFLICT (country) DO UPDATE SET paused_until = excluded.paused_until`);
    const admin = await administrator();
    expect((await reset(admin.token, { country: 'FR' })).status).toBe(204);
    const { token } = await signedIn();
    expect((await addPhone(token, french())).status).toBe(201);
    expect((await addPhone(token, french())).status).toBe(201);
    expectRefused(await addPhone(token, austrian()), 503, 'messages_paused');
    const [event] = (await guardEvents()).filter(({ type }) => type === 'message-guard.reset');
    expect(event).toMatchObject({ actor: 'admin', actor_id: admin.id, details: { country: 'FR' } });

    expect((await reset(admin.token, {})).status).toBe(204);
    expect((await addPhone(token, austrian())).status).toBe(201);
  });

  it('lets the budget begin anew, while what was sent stays known', async () => {
    await leaveOfBudget(0);
    const admin = await administrator();
    expect(await guardOf(admin)).toMatchObject({ sentToday: BUDGET, dailyBudget: BUDGET, budgetLeft: 0 });
    expect((await reset(admin.token, { country: 'DE' })).status).toBe(204);
    const { token } = await signedIn();
    expectRefused(await addPhone(token, german()), 503, 'messages_paused');
    expect((await reset(admin.token, {})).status).toBe(204);
    expect((await addPhone(token, german())).status).toBe(201);
    expect(await guardOf(admin)).toMatchObject({ sentToday: BUDGET + 1, budgetLeft: BUDGET - 1 });
  });

  it('does so with a fresh proof, and for what is a country', async () => {
    const admin = await administrator();
    for (const country of ['fr', 'FRA', '', 1, null]) {
      expect((await reset(admin.token, { country })).status, String(country)).toBe(400);
    }
    await first.clock.advance(301);
    const { refreshToken } = admin;
    const { body } = await first.http.post<{ accessToken: string }>('/auth/token/refresh', { refreshToken });
    expectRefused(await reset(body.accessToken, {}), 401, 'insufficient_user_authentication');
    expect(await guardOf({ ...admin, token: body.accessToken })).toMatchObject({ dailyBudget: BUDGET });
    expect((await guardEvents()).filter(({ type }) => type === 'message-guard.reset')).toEqual([]);
  });
});

describe('codes that the provider makes', () => {
  it('go through the same gate', async () => {
    const app = await startApp({ ...SETTINGS, ...twilio.settings('twilio-verify'), SMS_DAILY_BUDGET: '2' });
    try {
      const owner = await ownerOfPhone(app);
      const { token } = owner;
      expect((await addPhone(token, german(), app)).status).toBe(201);
      await expect.poll(() => twilio.texts.length, { timeout: 8_000 }).toBe(2);
      const starts = () => twilio.requests.filter(({ path }) => path.endsWith('/Verifications'));
      expect(starts()).toHaveLength(2);
      expectRefused(await addPhone(token, german(), app), 503, 'messages_paused');
      await app.clock.advance(MINUTE + 1);
      expect((await firstFactor(app, owner.email)).body).toMatchObject({ codeSent: false, device: { type: 'sms' } });
      await settled(app);
      expect(starts()).toHaveLength(2);
    } finally {
      await app.close();
    }
  });
});

const replica = (n: number) => (n % 2 === 0 ? first : second);

function tally(answers: readonly Answer<{ code?: string }>[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, body } of answers) {
    const outcome = status < 300 ? String(status) : `${status} ${body.code}`;
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}

function expectRefused({ status, body }: { status: number; body: { code?: unknown } }, expected: number, code: string) {
  expect([status, body.code]).toEqual([expected, code]);
}

/** Until no job is left, and so no message is on its way. */
async function settled(app = first): Promise<void> {
  const waiting = async () => {
    const [row] = await app.sql<{ count: number }>(
      'SELECT count(*)::int AS count FROM graphile_worker.jobs WHERE attempts < max_attempts',
    );
    return row?.count;
  };
  await expect.poll(waiting, { timeout: 20_000, interval: 20 }).toBe(0);
}

/** As somebody who is not signed in: each answer is 202, whatever becomes of it. */
async function askAll(numbers: readonly string[]): Promise<void> {
  const answers = await Promise.all(numbers.map((identifier, n) => replica(n).http.post('/auth/otp', { identifier })));
  expect(tally(answers)).toEqual({ '202': numbers.length });
  await settled();
}

/** The code that a number was sent comes back. */
async function typeBack(number: string): Promise<void> {
  const { status } = await first.http.post('/auth/token', { identifier: number, code: twilio.codeFor(number) });
  expect(status).toBe(200);
}

async function sentProofs(): Promise<{ sent: number; notSent: number }> {
  const rows = await first.sql<{ sent: boolean }>(
    `SELECT (details->>'sent')::boolean AS sent FROM audit_events WHERE type = 'proof.requested' AND at >= $1`,
    [began],
  );
  const sent = rows.filter((row) => row.sent).length;
  return { sent, notSent: rows.length - sent };
}

function guardEvents() {
  return first.sql<{ type: string; actor: string; actor_id: string | null; details: unknown }>(
    `SELECT type, actor, actor_id, details FROM audit_events
     WHERE type LIKE 'message-guard.%' AND at >= $1 ORDER BY at, id`,
    [began],
  );
}

async function leaveOfBudget(messages: number): Promise<void> {
  await first.sql(
    `INSERT INTO text_message_days (day, sent) VALUES ((now() AT TIME ZONE 'UTC')::date, $1)
     ON CONFLICT (day) DO UPDATE SET sent = $1, forgiven = 0`,
    [BUDGET - messages],
  );
}

type Member = Person & { token: string };

/** Somebody who has just signed in with a password, or does so again. */
async function signedIn(known?: Person, app = first): Promise<Member> {
  const person = known ?? (await register(app));
  const { status, body } = await firstFactor<SignedIn>(app, person.email);
  expect([status, body.status]).toEqual([200, 'authenticated']);
  return { id: person.id, email: person.email, token: body.accessToken };
}

function addPhone<Body = Refusal>(token: string, phoneNumber: string, app = first): Promise<Answer<Body>> {
  return app.http.post<Body>('/otp-devices', { type: 'sms', phoneNumber }, { token });
}

/** Somebody whose sign-in asks a phone from now on. */
async function ownerOfPhone(app = first): Promise<Member & { number: string; deviceId: string }> {
  const member = await signedIn(undefined, app);
  const number = german();
  const { body } = await addPhone<{ id: string }>(member.token, number, app);
  await expect.poll(() => twilio.texts.some(({ to }) => to === number), { timeout: 8_000 }).toBe(true);
  const code = twilio.codeFor(number);
  const confirmed = await app.http.post(`/otp-devices/${body.id}/confirm`, { code }, { token: member.token });
  expect(confirmed.status).toBe(200);
  await app.http.patch('/users/me/two-factor', { preferredMethod: 'sms' }, { token: member.token });
  return { ...member, number, deviceId: body.id };
}

async function devicesOf({ token }: Member): Promise<unknown[]> {
  return (await first.http.get<{ items: unknown[] }>('/otp-devices', { token })).body.items;
}

/** With an authenticator app, as the role demands. */
async function administrator(): Promise<Member & { refreshToken: string }> {
  const person = await signedIn();
  const { secret } = await enrollTotp(first, person.token);
  await first.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [person.id]);
  const { body } = await firstFactor<Asked>(first, person.email, PASSWORD);
  const { body: session } = await secondFactor(first, body.codeToken, totpCode(secret, first.clock));
  return { ...person, token: session.accessToken, refreshToken: session.refreshToken };
}

async function guardOf({ token }: Member): Promise<Guard> {
  const { status, body } = await first.http.get<Guard>('/admin/message-guard', { token });
  expect(status).toBe(200);
  return body;
}

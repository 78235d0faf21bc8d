import { Logger, type LoggerService } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { AuditModule } from '../../src/audit/audit.module.js';
import { ClockModule } from '../../src/clock/clock.module.js';
import { completeConfig, type Config } from '../../src/config/config.js';
import { ConfigModule } from '../../src/config/config.module.js';
import { readSettings } from '../../src/config/env.js';
import { CryptoModule } from '../../src/crypto/crypto.module.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import { rowsOf } from '../../src/database/sql.js';
import { JobsModule } from '../../src/jobs/jobs.module.js';
import type { TextMessage } from '../../src/notifications/messages.js';
import { NotificationsModule } from '../../src/notifications/notifications.module.js';
import { Notifications } from '../../src/notifications/notifications.service.js';
import { SmsRefusedError, SmsUnavailableError } from '../../src/notifications/sms.js';
import { TwilioMessages, TwilioVerify } from '../../src/notifications/twilio.js';
import { createDatabase } from '../support/postgres.js';
import { TwilioFake, type Fault } from '../support/twilio-fake.js';

// Real: the official client on a socket, Postgres, the queue. Twilio is a server in this process that answers as
// its documentation says.

const NUMBER = '+4915112345636';
const CODE = '748105';
const sms = { messageId: '019aa000-0000-7000-8000-000000000001', to: NUMBER, body: `${CODE} is your sign-in code.` };
const WAIT = { timeout: 10_000, interval: 50 };

interface Job {
  attempts: number;
  last_error: string | null;
  /** Null between two attempts. */
  locked_at: Date | null;
}

let fake: TwilioFake;
let logged: { level: string; text: string }[];

const logger = Object.fromEntries(
  ['log', 'warn', 'error', 'debug', 'verbose', 'fatal'].map((level) => [
    level,
    (...parts: unknown[]) => logged.push({ level, text: parts.map(String).join(' ') }),
  ]),
) as unknown as LoggerService;

beforeAll(async () => {
  fake = await TwilioFake.start();
});

afterAll(async () => {
  await fake?.close();
});

beforeEach(() => {
  fake.reset();
  logged = [];
  Logger.overrideLogger(logger);
});

afterEach(() => {
  vi.useRealTimers();
  const all = logged.map(({ text }) => text).join('\n');
  for (const secret of [NUMBER, NUMBER.slice(1), CODE, fake.authToken, fake.accountSid])
    expect(all).not.toContain(secret);
});

function configOf(variables: Record<string, string>, databaseUrl = ''): Config {
  const settings = readSettings({ NODE_ENV: 'test', PUBLIC_URL: 'https://id.example.test', ...variables });
  return completeConfig(settings, { databaseUrl, secretKey: 'k'.repeat(48) });
}

const messages = (variables: Record<string, string> = {}) =>
  new TwilioMessages(configOf({ ...fake.settings('twilio-messages'), ...variables }));
const verify = (variables: Record<string, string> = {}) =>
  new TwilioVerify(configOf({ ...fake.settings('twilio-verify'), ...variables }));

/** What was thrown; it must not tell whom the message was for. */
async function failureOf(promise: Promise<unknown>): Promise<Error> {
  const error: unknown = await promise.then(
    () => new Error('nothing was thrown'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Error);
  const shown = `${String(error)} ${JSON.stringify(error)} ${(error as Error).stack ?? ''}`;
  for (const secret of [NUMBER, CODE, fake.authToken]) expect(shown).not.toContain(secret);
  expect((error as Error).cause).toBeUndefined();
  return error as Error;
}

const aSid = (prefix: string): unknown => expect.stringMatching(new RegExp(`^${prefix}[0-9a-f]{32}$`));

/** The last one is in no list. */
const refusals = [21211, 21614, 60200, 60205, 21408, 21610, 60410, 60605, 60203, 21999];

const outages: [string, Fault][] = [
  ['429', { code: 20429 }],
  ['500', { code: 20500, status: 500 }],
  ['503', { code: 20503, status: 503 }],
  ['a proxy’s 502', { status: 502 }],
  ['a proxy’s 408', { status: 408 }],
  ['a reset connection', { reset: true }],
];

describe('text messages through Twilio', () => {
  it('go out as a form with Basic authentication', async () => {
    await messages().send(sms);
    expect(fake.requests).toHaveLength(1);
    expect(fake.requests[0]?.path).toBe(`/2010-04-01/Accounts/${fake.accountSid}/Messages.json`);
    expect(fake.requests[0]?.form).toEqual({
      To: NUMBER,
      From: fake.from,
      Body: sms.body,
      ValidityPeriod: '300',
      StatusCallback: `https://id.example.test/api/v1/webhooks/twilio/status?messageId=${sms.messageId}`,
    });
    expect(fake.texts).toEqual([{ sid: aSid('SM'), to: NUMBER, body: sms.body }]);
  });

  it('may come from a messaging service', async () => {
    const service = `MG${'0'.repeat(32)}`;
    await messages({ TWILIO_FROM: service }).send(sms);
    expect(fake.requests[0]?.form).toMatchObject({ MessagingServiceSid: service });
    expect(fake.requests[0]?.form).not.toHaveProperty('From');
  });

  it('ask for no report where Twilio could not reach us', async () => {
    await messages({ PUBLIC_URL: 'http://localhost:3000' }).send(sms);
    expect(fake.requests[0]?.form).not.toHaveProperty('StatusCallback');
  });

  it.each(refusals)('are given up when Twilio refuses with %i', async (code) => {
    fake.next({ code });
    const error = await failureOf(messages().send(sms));
    expect(error).toBeInstanceOf(SmsRefusedError);
    expect(error.message).toContain(String(code));
    expect(fake.requests).toHaveLength(1);
  });

  it.each(outages)('are worth another attempt after %s; one call makes one', async (_what, fault) => {
    fake.next(fault);
    const sender = messages();
    expect(await failureOf(sender.send(sms))).toBeInstanceOf(SmsUnavailableError);
    expect(fake.requests).toHaveLength(1);
    // A connection may break after Twilio has taken the message.
    const taken = fake.texts.length;
    await sender.send(sms);
    expect(fake.texts).toHaveLength(taken + 1);
  });

  it('are worth another attempt when nobody listens', async () => {
    const error = await failureOf(messages({ TWILIO_API_BASE_URL: 'http://127.0.0.1:9' }).send(sms));
    expect(error).toBeInstanceOf(SmsUnavailableError);
    expect(error.message).toContain('ECONNREFUSED');
  });

  it('wait five seconds for an answer, however slowly it drips', async () => {
    fake.next({ after: 20_000 }, { trickle: true });
    const started = performance.now();
    const errors = await Promise.all([failureOf(messages().send(sms)), failureOf(messages().send(sms))]);
    expect(performance.now() - started).toBeLessThan(8_000);
    for (const error of errors) expect(error).toBeInstanceOf(SmsUnavailableError);
  });

  it.each([
    ['wrong credentials', { TWILIO_AUTH_TOKEN: 'not-the-token' }, 'HTTP 401, 20003'],
    ['a sender of somebody else', { TWILIO_FROM: '+15005550001' }, 'HTTP 400, 21606'],
  ])('with %s raise an alarm, and can be tried again', async (_what, variables, numbers) => {
    const error = await failureOf(messages(variables).send(sms));
    expect(error).toBeInstanceOf(SmsUnavailableError);
    const alarms = logged.filter(({ level }) => level === 'error').map(({ text }) => text);
    expect(alarms).toHaveLength(1);
    expect(alarms[0]).toContain(numbers);
    expect(alarms[0]).not.toContain('not-the-token');
  });
});

describe('a Twilio that is down', () => {
  it('is not asked after five failures in a row, until one attempt in thirty seconds succeeds', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const sender = messages();
    fake.every({ status: 503 });
    for (let n = 0; n < 8; n++) expect(await failureOf(sender.send(sms))).toBeInstanceOf(SmsUnavailableError);
    expect(fake.requests).toHaveLength(5);
    expect(logged.filter(({ level }) => level === 'error')).toHaveLength(1);

    vi.advanceTimersByTime(30_000);
    await Promise.all([failureOf(sender.send(sms)), failureOf(sender.send(sms)), failureOf(sender.send(sms))]);
    expect(fake.requests).toHaveLength(6);

    fake.every(null);
    expect(await failureOf(sender.send(sms))).toBeInstanceOf(SmsUnavailableError);
    vi.advanceTimersByTime(30_000);
    await sender.send(sms);
    await sender.send(sms);
    expect(fake.texts).toHaveLength(2);
  });

  it('is not the one who refuses a number: others are still served', async () => {
    const sender = messages();
    fake.next(...Array.from({ length: 6 }, () => ({ code: 21211 })));
    for (let n = 0; n < 6; n++) expect(await failureOf(sender.send(sms))).toBeInstanceOf(SmsRefusedError);
    await sender.send(sms);
    expect(fake.texts).toHaveLength(1);
  });
});

describe('the queue', () => {
  let database: Awaited<ReturnType<typeof createDatabase>>;
  let module: TestingModule;
  const message: TextMessage = { channel: 'sms', kind: 'sign-in-code', to: NUMBER, code: CODE, minutes: 5 };

  beforeAll(async () => {
    database = await createDatabase();
    const config = configOf(fake.settings('twilio-messages'), database.url);
    module = await Test.createTestingModule({
      imports: [
        ConfigModule.with(config),
        ClockModule,
        CryptoModule,
        DatabaseModule,
        AuditModule,
        JobsModule,
        NotificationsModule,
      ],
    }).compile();
    await module.init();
  }, 60_000);

  afterAll(async () => {
    await module?.close();
    await database?.drop();
  }, 60_000);

  afterEach(() => rows('DELETE FROM graphile_worker._private_jobs'));

  const manager = () => module.get(DataSource).manager;
  const rows = <Row>(statement: string) => rowsOf<Row>(manager(), statement, []);
  const jobs = () => rows<Job>('SELECT attempts, last_error, locked_at FROM graphile_worker.jobs');
  const retryNow = () => rows('UPDATE graphile_worker._private_jobs SET run_at = now()');
  const send = (lifetime = 300_000) =>
    manager().transaction((tx) =>
      module.get(Notifications).enqueue(tx, message, { expiresAt: new Date(Date.now() + lifetime) }),
    );
  const failed = (attempts: number) =>
    vi.waitFor(async () => {
      const [job] = await jobs();
      if (job?.attempts !== attempts || job.locked_at !== null || job.last_error === null)
        throw new Error(`not failed ${attempts} times`);
      return job;
    }, WAIT);
  const done = () => vi.waitFor(async () => expect(await jobs()).toEqual([]), WAIT);

  it('sends once', async () => {
    await send();
    await done();
    expect(fake.texts).toEqual([
      {
        sid: aSid('SM'),
        to: NUMBER,
        body: `${CODE} is the verification code needed for the login. It works once, for 5 min. Never give it to anybody.\n\n@id.example.test #${CODE}`,
      },
    ]);
  });

  it('tries again with the same code until it is taken', async () => {
    fake.next({ code: 20429 }, { reset: true });
    await send();
    const { last_error } = await failed(1);
    expect(last_error).toBe('Twilio did not take the text message (HTTP 429, 20429)');
    await retryNow();
    await failed(2);
    await retryNow();
    await done();
    expect(fake.requests.map(({ form }) => form['Body']?.slice(0, 6))).toEqual([CODE, CODE, CODE]);
    expect(new Set(fake.requests.map(({ form }) => form['StatusCallback'])).size).toBe(1);
  });

  it('gives up after three tries, and keeps nothing', async () => {
    fake.every({ status: 503 });
    await send();
    await failed(1);
    const table = JSON.stringify(await rows('SELECT * FROM graphile_worker._private_jobs'));
    expect(table).toContain('sealed');
    for (const secret of [NUMBER, CODE]) expect(table).not.toContain(secret);
    await retryNow();
    await failed(2);
    await retryNow();
    await done();
    expect(fake.requests).toHaveLength(3);
    expect(logged.some(({ level, text }) => level === 'error' && /\+••••••36 was given up/.test(text))).toBe(true);
  });

  it('does not try again what was refused', async () => {
    fake.next({ code: 21610 });
    await send();
    await vi.waitFor(() => expect(fake.requests).toHaveLength(1), WAIT);
    await done();
    expect(fake.requests).toHaveLength(1);
  });

  it('does not send what expired in the meantime', async () => {
    fake.next({ status: 500 });
    await send(1_500);
    await failed(1);
    await new Promise((resolve) => setTimeout(resolve, 1_600));
    await retryNow();
    await done();
    expect(fake.requests).toHaveLength(1);
  });
});

describe('Twilio Verify', () => {
  const wrong = (code: string) => (code === '000000' ? '111111' : '000000');

  it('sends a code and approves it once', async () => {
    const verifier = verify();
    const { providerId } = await verifier.start(NUMBER);
    const code = fake.codeFor(NUMBER);
    expect(await verifier.check(providerId, wrong(code))).toBe('wrong');
    expect(await verifier.check(providerId, code)).toBe('approved');
    expect(await verifier.check(providerId, code)).toBe('expired');
    expect(fake.requests.map(({ path, form }) => [path.split('/').at(-1), Object.keys(form)])).toEqual([
      ['Verifications', ['To', 'Channel']],
      ...Array.from({ length: 3 }, () => ['VerificationCheck', ['Code', 'VerificationSid']]),
    ]);
  });

  it('sends the same code again while it lives, and another one afterwards', async () => {
    const verifier = verify();
    const first = await verifier.start(NUMBER);
    const code = fake.codeFor(NUMBER);
    expect(await verifier.start(NUMBER)).toEqual(first);
    expect(fake.codeFor(NUMBER)).toBe(code);
    fake.pass(600_001);
    expect(await verifier.check(first.providerId, code)).toBe('expired');
    expect((await verifier.start(NUMBER)).providerId).not.toBe(first.providerId);
  });

  it('knows no code of a verification that never was', async () => {
    expect(await verify().check(`VE${'0'.repeat(32)}`, CODE)).toBe('expired');
  });

  it('is exhausted after five wrong codes, also for the right one', async () => {
    const verifier = verify();
    const { providerId } = await verifier.start(NUMBER);
    const code = fake.codeFor(NUMBER);
    for (let n = 0; n < 5; n++) expect(await verifier.check(providerId, wrong(code))).toBe('wrong');
    expect(await verifier.check(providerId, code)).toBe('exhausted');
    expect(await verifier.check(providerId, code)).toBe('expired');
  });

  it('refuses a sixth code for one number within ten minutes', async () => {
    const verifier = verify();
    for (let n = 0; n < 5; n++) await verifier.start(NUMBER);
    const error = await failureOf(verifier.start(NUMBER));
    expect(error).toBeInstanceOf(SmsRefusedError);
    expect(error.message).toContain('60203');
  });

  it.each(refusals)('starts nothing for a number that is refused with %i', async (code) => {
    fake.next({ code });
    const error = await failureOf(verify().start(NUMBER));
    expect(error).toBeInstanceOf(SmsRefusedError);
  });

  it.each(outages)('can be started again after %s', async (_what, fault) => {
    fake.next(fault);
    const verifier = verify();
    expect(await failureOf(verifier.start(NUMBER))).toBeInstanceOf(SmsUnavailableError);
    await expect(verifier.start(NUMBER)).resolves.toMatchObject({ providerId: aSid('VE') });
  });

  it.each(outages)('takes no code for right while it answers with %s, and is asked once', async (_what, fault) => {
    const verifier = verify();
    const { providerId } = await verifier.start(NUMBER);
    const code = fake.codeFor(NUMBER);
    fake.next(fault);
    expect(await verifier.check(providerId, code)).toBe('unavailable');
    expect(fake.requests).toHaveLength(2);
  });

  it.each([
    [20404, 'expired'],
    [60202, 'exhausted'],
    [60203, 'exhausted'],
    [60200, 'wrong'],
    [20003, 'unavailable'],
    [60410, 'unavailable'],
  ])('a check that is answered with %i is %s', async (code, verdict) => {
    fake.next({ code });
    expect(await verify().check(`VE${'0'.repeat(32)}`, CODE)).toBe(verdict);
  });

  it.each(['', '123', '12345678901', 'ABCDEF', '12 34 56', '123456\r\n', '１２３４５６'])(
    'is not asked about %j, which is no code',
    async (code) => {
      expect(await verify().check(`VE${'0'.repeat(32)}`, code)).toBe('wrong');
      expect(fake.requests).toEqual([]);
    },
  );

  it('with wrong credentials raises an alarm without them', async () => {
    const verifier = verify({ TWILIO_AUTH_TOKEN: 'not-the-token' });
    expect(await failureOf(verifier.start(NUMBER))).toBeInstanceOf(SmsUnavailableError);
    expect(await verifier.check(`VE${'0'.repeat(32)}`, CODE)).toBe('unavailable');
    const alarms = logged.filter(({ level }) => level === 'error').map(({ text }) => text);
    expect(alarms).toHaveLength(2);
    for (const alarm of alarms) expect(alarm).toMatch(/HTTP 401, 20003/);
    expect(alarms.join()).not.toContain('not-the-token');
  });

  it('that cannot send still checks', async () => {
    const verifier = verify();
    const { providerId } = await verifier.start(NUMBER);
    const code = fake.codeFor(NUMBER);
    fake.next(...Array.from({ length: 5 }, () => ({ status: 503 })));
    for (let n = 0; n < 6; n++) await failureOf(verifier.start(NUMBER));
    expect(fake.requests).toHaveLength(6);
    expect(await verifier.check(providerId, code)).toBe('approved');
  });
});

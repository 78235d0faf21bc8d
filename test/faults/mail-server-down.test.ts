import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { AuditModule } from '../../src/audit/audit.module.js';
import { ClockModule } from '../../src/clock/clock.module.js';
import { completeConfig } from '../../src/config/config.js';
import { ConfigModule } from '../../src/config/config.module.js';
import { readSettings } from '../../src/config/env.js';
import { CryptoModule } from '../../src/crypto/crypto.module.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import { rowsOf } from '../../src/database/sql.js';
import { JobsModule } from '../../src/jobs/jobs.module.js';
import type { Message } from '../../src/notifications/messages.js';
import { NotificationsModule } from '../../src/notifications/notifications.module.js';
import { Notifications, type MessageOptions } from '../../src/notifications/notifications.service.js';
import { EMPTY_AUDIT_LOG } from '../support/audit-log.js';
import { MailServer } from '../support/mail-server.js';
import { createDatabase } from '../support/postgres.js';
import { shiftedUrl, TestClock } from '../support/test-clock.js';

// Real: Postgres, the queue, the SMTP dialogue on a socket. Only the clock is the test's own.

interface Job {
  id: string;
  attempts: number;
  last_error: string | null;
  locked: boolean;
  /** Seconds until the next attempt. */
  wait: number;
}

interface Delivery {
  actor: string;
  user_id: string | null;
  details: Record<string, unknown>;
}

const USER = '019aa000-0000-7000-8000-000000000001';
const code: Message = { kind: 'sign-in-code', to: 'alice@example.com', code: '7654321', minutes: 5 };
const notice: Message = { kind: 'password-changed', to: 'alice@example.com' };
const WAIT = { timeout: 10_000, interval: 20 };
/** Seconds that the queue needs to begin an attempt which is due. */
const TOLERANCE = 1.5;

let database: Awaited<ReturnType<typeof createDatabase>>;
let clock: TestClock;
let module: TestingModule;
let server: MailServer;

beforeAll(async () => {
  database = await createDatabase();
  clock = new TestClock(database.url);
  server = await MailServer.create();
  const settings = readSettings({
    NODE_ENV: 'test',
    // a server that says nothing is left after half a second, so that the tests need not wait ten
    SMTP_URL: `smtp://127.0.0.1:${server.port}?socketTimeout=500`,
    MAIL_FROM: 'Countersign <codes@auth.example.com>',
    MAIL_BRAND: 'Acme: <img onerror> {{7*7}} ${7*7} &secret=x',
  });
  const config = completeConfig(settings, { databaseUrl: shiftedUrl(database.url), secretKey: 'k'.repeat(48) });
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

beforeEach(async () => {
  server.reset();
  await rows(EMPTY_AUDIT_LOG);
});

afterEach(async () => {
  await server.stop();
  await rows('DELETE FROM graphile_worker._private_jobs');
});

describe('a mail server that works', () => {
  beforeEach(() => server.start());

  it('gets the whole mail, once', async () => {
    await send(code);
    await queueIsEmpty();
    expect(server.received).toHaveLength(1);
    const [mail] = server.received;
    expect(mail?.recipients).toEqual(['alice@example.com']);
    expect(mail?.headers('From')).toEqual(['Countersign <codes@auth.example.com>']);
    expect(mail?.headers('To')).toEqual(['alice@example.com']);
    expect(mail?.headers('Subject')).toEqual(['7654321: Your verification code']);
    expect(mail?.headers('Message-ID')[0]).toMatch(/^<[0-9a-f-]{36}@auth\.example\.com>$/);
    expect(mail?.headers('Auto-Submitted')).toEqual(['auto-generated']);
    expect(mail?.text).toMatch(/^7654321 is the verification code needed for the login\.\n/);
    expect(mail?.html).toContain('7654321</strong> is the verification code');
  });

  it('gets it in the language of its reader', async () => {
    await send(code, { locale: 'fr, de-AT;q=0.8, en;q=0.5' });
    await queueIsEmpty();
    expect(server.received[0]?.subject).toBe('7654321: Ihr Bestätigungscode');
    expect(server.received[0]?.text).toMatch(/^7654321 ist der Bestätigungscode für die Anmeldung\.\n/);
    expect(server.received[0]?.html).toContain('<html lang="de">');
  });

  it('gets one recipient, whatever the address says', async () => {
    await send({ ...code, to: 'alice@example.com, eve@example.com' });
    await queueIsEmpty();
    expect(server.received.flatMap(({ recipients }) => recipients)).not.toContain('eve@example.com');
  });

  it('gets one header a line and no markup, whatever names say', async () => {
    const url = 'https://id.example.test/?a=1&b=2';
    await send({ kind: 'magic-link', to: 'alice@example.com', url, minutes: 10 });
    const deviceName = '<img src=x onerror=alert(1)>\r\nBcc: eve@example.com\u202E{{7*7}} https://evil.example';
    await send({ kind: 'device-added', to: 'alice@example.com', deviceType: 'totp', deviceName });
    await queueIsEmpty();
    expect(server.received).toHaveLength(2);
    for (const { headers, recipients, html } of server.received) {
      expect([headers('Subject').length, headers('To').length, headers('Bcc')]).toEqual([1, 1, []]);
      expect(recipients).toEqual(['alice@example.com']);
      expect(html).not.toMatch(/<img|evil\.example/);
    }
    const link = server.received.find(({ subject }) => subject.startsWith('Your sign-in link'));
    expect(link?.subject).toBe('Your sign-in link for Acme: <img onerror> {{7*7}} ${7*7} &secret=x');
    expect(link?.text.split('\n')).toContain(url);
    const added = server.received.find(({ subject }) => subject.startsWith('A new'));
    expect(added?.text).toContain('“<img src=x onerror=alert(1)> Bcc: eve@example. com{{7*7}} https: //evil. example”');
  });

  it('gets nothing of a transaction that was rolled back', async () => {
    const rolledBack = manager().transaction(async (tx) => {
      await module.get(Notifications).enqueue(tx, { ...code, code: '1111111' });
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    await send({ ...code, code: '2222222' });
    await queueIsEmpty();
    expect(server.received.map(({ subject }) => subject)).toEqual(['2222222: Your verification code']);
  });

  it('does not get a message that has expired', async () => {
    await send(code, { expiresAt: await inSeconds(-1) });
    await queueIsEmpty();
    expect(server.received).toEqual([]);
    expect(await outcomes()).toEqual(['expired after 0']);
  });

  it('is recorded in the audit log of the user, which shows neither the code nor the address', async () => {
    await send(code, { userId: USER, expiresAt: await inSeconds(300) });
    await queueIsEmpty();
    const [delivery, ...others] = await deliveries();
    expect(others).toEqual([]);
    expect(delivery).toEqual({
      actor: 'system',
      user_id: USER,
      details: {
        messageId: expect.any(String) as string,
        kind: 'sign-in-code',
        channel: 'email',
        state: 'sent',
        attempts: 1,
      },
    });
    expect(server.received[0]?.headers('Message-ID')[0]).toContain(delivery?.details['messageId']);
    expect(JSON.stringify(delivery)).not.toMatch(/7654321|alice/);
  });
});

describe('a mail server that is down', () => {
  it('is asked again after 5, 15 and 45 seconds, then every minute until the code expires', async () => {
    await send(code, { expiresAt: await inSeconds(200) });
    for (const [index, seconds] of [5, 15, 45, 60, 60].entries()) {
      const { attempts, wait } = await failedAttempt(index + 1);
      expect(attempts).toBe(index + 1);
      expect(wait).toBeGreaterThan(seconds - TOLERANCE);
      expect(wait).toBeLessThanOrEqual(seconds);
      await pass(seconds);
    }
    // 185 seconds have passed: an attempt before the expiry, none after it
    await failedAttempt(6);
    await server.start();
    await pass(60);
    await queueIsEmpty();
    expect(server.received).toEqual([]);
    expect(await outcomes()).toEqual(['expired after 6']);
  });

  it('gets the mail when it is up again, once', async () => {
    await send(code, { expiresAt: await inSeconds(300) });
    await failedAttempt(1);
    await server.start();
    await pass(5);
    await queueIsEmpty();
    expect(server.received).toHaveLength(1);
    expect(await outcomes()).toEqual(['sent after 2']);
  });

  it('is asked for a notice as long as the queue’s own back-off lasts', async () => {
    await send(notice);
    const { last_error: reason, wait } = await failedAttempt(1);
    expect(reason).toMatch(/^The mail server did not take the mail \(ESOCKET/);
    expect(wait).toBeLessThanOrEqual(Math.E);
    await server.start();
    await pass(3);
    await queueIsEmpty();
    expect(server.received).toHaveLength(1);
  });

  it('makes the last failure of a notice its end', async () => {
    await send(notice, { userId: USER });
    await failedAttempt(1);
    await rows('UPDATE graphile_worker._private_jobs SET attempts = max_attempts - 1, run_at = now()');
    await nudge();
    await queueIsEmpty();
    expect(await outcomes()).toEqual(['failed after 25']);
  });

  it('leaves neither the code nor the address in the queue’s table', async () => {
    await send(code, { userId: USER, locale: 'de', expiresAt: await inSeconds(300) });
    await failedAttempt(1);
    const table = JSON.stringify(await rows('SELECT * FROM graphile_worker._private_jobs'));
    expect(table).toContain('sealed');
    expect(table).not.toMatch(/alice|7654321/);
  });
});

describe('a mail server that refuses', () => {
  beforeEach(() => server.start());

  it.each([
    ['the recipient', () => (server.recipientAnswers = [550])],
    ['the content', () => (server.answers = [554])],
  ])('%s for good is not asked again', async (_what, refuse) => {
    refuse();
    await send(code, { userId: USER, expiresAt: await inSeconds(300) });
    await queueIsEmpty();
    expect(server.recipientsAsked).toBe(1);
    expect(await outcomes()).toEqual(['refused after 1']);
  });

  it('for now (451), as greylisting does, gets the mail once, under one Message-ID', async () => {
    server.answers = [451, 451, 451];
    await send(code, { expiresAt: await inSeconds(300) });
    for (const [index, seconds] of [5, 15, 45].entries()) {
      await failedAttempt(index + 1);
      await pass(seconds);
    }
    await queueIsEmpty();
    expect(server.received).toHaveLength(4);
    expect(new Set(server.received.flatMap(({ headers }) => headers('Message-ID'))).size).toBe(1);
    expect(await outcomes()).toEqual(['sent after 4']);
  });

  it('leaves no trace of what it answered, which names the address', async () => {
    server.answers = [451];
    await send(notice);
    const { last_error: reason } = await failedAttempt(1);
    expect(reason).toBe('The mail server did not take the mail (EMESSAGE DATA 451)');
  });
});

describe('a mail server that gets a mail and does not answer', () => {
  beforeEach(() => server.start());

  it.each(['hang', 'die'] as const)(
    '(%s) gets it once more under the same Message-ID, and then no more',
    async (way) => {
      server.answers = [way, way];
      await send(code, { userId: USER, expiresAt: await inSeconds(300) });
      await failedAttempt(1);
      await pass(5);
      await queueIsEmpty();
      expect(server.received).toHaveLength(2);
      const [one, other] = server.received;
      expect(one?.headers('Message-ID')).toEqual(other?.headers('Message-ID'));
      expect(await outcomes()).toEqual(['unanswered after 2']);
    },
  );

  it('holds for notices too, and for failures in between', async () => {
    server.answers = ['die', 451, 'hang'];
    await send(notice);
    for (const [index, seconds] of [5, 8].entries()) {
      await failedAttempt(index + 1);
      await pass(seconds);
    }
    await queueIsEmpty();
    expect(server.received).toHaveLength(3);
    expect(await outcomes()).toEqual(['unanswered after 3']);
  });

  it('may answer the second time', async () => {
    server.answers = ['hang'];
    await send(code, { expiresAt: await inSeconds(300) });
    await failedAttempt(1);
    await pass(5);
    await queueIsEmpty();
    expect(server.received).toHaveLength(2);
    expect(await outcomes()).toEqual(['sent after 2']);
  });

  it('is another thing than one that falls silent before it got the mail', async () => {
    server.recipientAnswers = ['hang', 'hang', 'hang'];
    await send(code, { expiresAt: await inSeconds(300) });
    for (const [index, seconds] of [5, 15, 45].entries()) {
      await failedAttempt(index + 1);
      await pass(seconds);
    }
    await queueIsEmpty();
    expect(server.received).toHaveLength(1);
    expect(await outcomes()).toEqual(['sent after 4']);
  });

  it('does not hold up the mails behind it for longer than its limit', async () => {
    server.answers = Array.from({ length: 8 }, () => 'hang');
    for (let count = 0; count < 8; count += 1) await send(code, { expiresAt: await inSeconds(300) });
    await send({ ...notice, to: 'bob@example.com' });
    const begun = Date.now();
    await vi.waitFor(
      () => expect(server.received.flatMap(({ recipients }) => recipients)).toContain('bob@example.com'),
      WAIT,
    );
    // two rounds of four workers, half a second each
    expect(Date.now() - begun).toBeLessThan(9_000);
  });
});

function manager() {
  return module.get(DataSource).manager;
}

function send(message: Message, options: MessageOptions = {}): Promise<void> {
  return manager().transaction((tx) => module.get(Notifications).enqueue(tx, message, options));
}

function rows<Row>(statement: string): Promise<Row[]> {
  return rowsOf<Row>(manager(), statement, []);
}

async function inSeconds(seconds: number): Promise<Date> {
  const [row] = await rows<{ at: Date }>(`SELECT now() + interval '${seconds} seconds' AS at`);
  return row?.at ?? new Date(0);
}

/** The only job, once this attempt has failed. */
function failedAttempt(attempt: number): Promise<Job> {
  return vi.waitFor(async () => {
    const jobs = await rows<Job>(
      `SELECT id, attempts, last_error, locked_at IS NOT NULL AS locked,
         extract(epoch FROM run_at - now())::float AS wait FROM graphile_worker.jobs`,
    );
    const [job] = jobs;
    if (!job || jobs.length > 1 || job.locked || job.attempts !== attempt) {
      throw new Error(`Attempt ${attempt} has not failed: ${JSON.stringify(jobs)}`);
    }
    return job;
  }, WAIT);
}

/** Time passes, and the queue need not wait until it looks the next time. */
async function pass(seconds: number): Promise<void> {
  await clock.advance(seconds);
  await nudge();
}

async function nudge(): Promise<void> {
  await rows(`SELECT pg_notify('jobs:insert', '{"r":0.5,"count":1}')`);
}

function queueIsEmpty(): Promise<void> {
  return vi.waitFor(async () => expect(await rows('SELECT id FROM graphile_worker.jobs')).toEqual([]), WAIT);
}

function deliveries(): Promise<Delivery[]> {
  return rows<Delivery>(
    "SELECT actor, user_id, details FROM audit_events WHERE type = 'message.delivery' ORDER BY at, id",
  );
}

async function outcomes(): Promise<string[]> {
  return (await deliveries()).map(({ details }) => `${String(details['state'])} after ${String(details['attempts'])}`);
}

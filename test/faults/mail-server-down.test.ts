import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { Test, type TestingModule } from '@nestjs/testing';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
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
import { Notifications } from '../../src/notifications/notifications.service.js';
import { createDatabase } from '../support/postgres.js';

// Real: Postgres, the queue, the SMTP dialogue on a socket. Nothing is replaced.

interface Job {
  attempts: number;
  max_attempts: number;
  last_error: string | null;
}

interface Received {
  raw: string;
  recipients: string[];
}

const message: Message = { kind: 'sign-in-code', to: 'alice@example.com', code: '7654321', minutes: 5 };
const WAIT = { timeout: 10_000, interval: 50 };

let database: Awaited<ReturnType<typeof createDatabase>>;
let module: TestingModule;
let port: number;
let server: SMTPServer | null = null;
let received: Received[];

beforeAll(async () => {
  database = await createDatabase();
  port = await freePort();
  const settings = readSettings({
    NODE_ENV: 'test',
    SMTP_URL: `smtp://127.0.0.1:${port}`,
    MAIL_FROM: 'Countersign <codes@auth.example.com>',
  });
  const config = completeConfig(settings, { databaseUrl: database.url, secretKey: 'k'.repeat(48) });
  module = await Test.createTestingModule({
    imports: [ConfigModule.with(config), ClockModule, CryptoModule, DatabaseModule, JobsModule, NotificationsModule],
  }).compile();
  await module.init();
}, 60_000);

afterAll(async () => {
  await module?.close();
  await database?.drop();
}, 60_000);

beforeEach(() => {
  received = [];
});

afterEach(async () => {
  await stopServer();
  await rows('DELETE FROM graphile_worker._private_jobs');
});

describe('a mail server that works', () => {
  it('gets the whole mail, once', async () => {
    await startServer();
    await send(message);
    const [mail] = await arrived(1);
    const { header, body } = parts(mail);
    expect(mail?.recipients).toEqual(['alice@example.com']);
    expect(header('From')).toBe('Countersign <codes@auth.example.com>');
    expect(header('To')).toBe('alice@example.com');
    expect(header('Subject')).toBe('7654321: Your verification code');
    expect(header('Message-ID')).toMatch(/^<[0-9a-f-]{36}@auth\.example\.com>$/);
    expect(header('Auto-Submitted')).toBe('auto-generated');
    expect(body).toContain('Content-Type: text/plain');
    expect(body).toContain('7654321 is the verification code needed for the login.');
    expect(body).toContain('Content-Type: text/html');
    expect(body).toContain('7654321</strong> is the verification code');
    await vi.waitFor(async () => expect(await jobs()).toEqual([]), WAIT);
  });

  it('gets one recipient, whatever the address says', async () => {
    await startServer();
    await send({ ...message, to: 'alice@example.com, eve@example.com' });
    await vi.waitFor(async () => expect(await jobs()).toEqual([]), WAIT);
    expect(received.flatMap(({ recipients }) => recipients)).not.toContain('eve@example.com');
  });

  it('gets nothing of a transaction that was rolled back', async () => {
    await startServer();
    const rolledBack = manager().transaction(async (tx) => {
      await notifications().enqueue(tx, { ...message, code: '1111111' });
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    await send({ ...message, code: '2222222' });
    const [mail] = await arrived(1);
    expect(parts(mail).header('Subject')).toContain('2222222');
    expect(received).toHaveLength(1);
  });

  it('does not get a message that has expired', async () => {
    await startServer();
    await send(message, new Date(Date.now() - 1_000));
    await vi.waitFor(async () => expect(await jobs()).toEqual([]), WAIT);
    expect(received).toEqual([]);
  });
});

describe('a mail server that is down', () => {
  it('gets the mail when it is up again, once', async () => {
    await send(message, new Date(Date.now() + 300_000));
    const failed = await failedJob();
    expect(failed).toMatchObject({ attempts: 1, max_attempts: 8 });
    expect(received).toEqual([]);
    await startServer();
    await retryNow();
    await arrived(1);
    await vi.waitFor(async () => expect(await jobs()).toEqual([]), WAIT);
    expect(received).toHaveLength(1);
  });

  it('does not get a mail that expired in the meantime', async () => {
    await send(message, new Date(Date.now() + 1_500));
    await failedJob();
    await startServer();
    await new Promise((resolve) => setTimeout(resolve, 1_600));
    await retryNow();
    await vi.waitFor(async () => expect(await jobs()).toEqual([]), WAIT);
    expect(received).toEqual([]);
  });

  it('leaves neither the code nor the address in the queue’s table', async () => {
    await send(message);
    await failedJob();
    const table = JSON.stringify(await rows('SELECT * FROM graphile_worker._private_jobs'));
    expect(table).toContain('sealed');
    expect(table).not.toContain(message.to);
    expect(table).not.toContain('alice');
    expect(table).not.toContain('7654321');
  });
});

describe('a mail server that refuses', () => {
  const refuseWith = (responseCode: number): SMTPServerOptions => ({
    onRcptTo: ({ address }, _session, callback) =>
      callback(Object.assign(new Error(`<${address}> is not taken`), { responseCode })),
  });

  it('for good (550) is not asked again', async () => {
    const asked = vi.fn();
    const { onRcptTo } = refuseWith(550);
    await startServer({
      onRcptTo(address, session, callback) {
        asked();
        onRcptTo?.call(this, address, session, callback);
      },
    });
    await send(message);
    await vi.waitFor(() => expect(asked).toHaveBeenCalled(), WAIT);
    await vi.waitFor(async () => expect(await jobs()).toEqual([]), WAIT);
    expect(asked).toHaveBeenCalledTimes(1);
  });

  it('for now (451) is asked again with the same Message-ID, and its answer is not stored', async () => {
    const ids: string[] = [];
    let refusing = true;
    await startServer({
      onData(stream, _session, callback) {
        void text(stream).then((raw) => {
          ids.push(parts({ raw, recipients: [] }).header('Message-ID'));
          callback(refusing ? Object.assign(new Error('alice@example.com: later'), { responseCode: 451 }) : null);
        });
      },
    });
    await send(message);
    const failed = await failedJob();
    expect(failed.last_error).toBe('The mail server did not take the mail (EMESSAGE DATA 451)');
    refusing = false;
    await retryNow();
    await vi.waitFor(async () => expect(await jobs()).toEqual([]), WAIT);
    expect(ids).toHaveLength(2);
    expect(ids[0]).toBe(ids[1]);
  });
});

function manager() {
  return module.get(DataSource).manager;
}

function notifications() {
  return module.get(Notifications);
}

function send(what: Message, expiresAt?: Date): Promise<void> {
  return manager().transaction((tx) => notifications().enqueue(tx, what, expiresAt ? { expiresAt } : {}));
}

function rows<Row>(statement: string): Promise<Row[]> {
  return rowsOf<Row>(manager(), statement, []);
}

function jobs(): Promise<Job[]> {
  return rows<Job>('SELECT attempts, max_attempts, last_error FROM graphile_worker.jobs');
}

/** The only job, once its first attempt has failed. */
async function failedJob(): Promise<Job> {
  return vi.waitFor(async () => {
    const [job] = await jobs();
    if (!job?.last_error) throw new Error('no attempt has failed yet');
    return job;
  }, WAIT);
}

/** The back-off is the queue's affair; here the time has come. */
async function retryNow(): Promise<void> {
  await rows('UPDATE graphile_worker._private_jobs SET run_at = now()');
}

async function arrived(count: number): Promise<Received[]> {
  await vi.waitFor(() => expect(received.length).toBeGreaterThanOrEqual(count), WAIT);
  return received;
}

async function startServer(options: SMTPServerOptions = {}): Promise<void> {
  server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onData(stream, session, callback) {
      void text(stream).then((raw) => {
        received.push({ raw, recipients: session.envelope.rcptTo.map(({ address }) => address) });
        callback();
      });
    },
    ...options,
  });
  server.on('error', () => undefined);
  const { server: socket } = server;
  server.listen(port, '127.0.0.1');
  await once(socket, 'listening');
}

async function stopServer(): Promise<void> {
  const stopped = server;
  server = null;
  await new Promise<void>((resolve) => (stopped ? stopped.close(() => resolve()) : resolve()));
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function parts(mail: Received | undefined) {
  const raw = mail?.raw ?? '';
  const end = raw.indexOf('\r\n\r\n');
  const headers = raw
    .slice(0, end)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n');
  return {
    header: (name: string) => headers.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? '',
    body: raw
      .slice(end)
      .replace(/=\r\n/g, '')
      .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port: free } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return free;
}

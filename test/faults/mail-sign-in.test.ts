import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { MailServer } from '../support/mail-server.js';
import { firstFactor, register, secondFactor } from '../support/people.js';

// Real: the service, Postgres, the queue, the SMTP dialogue on a socket.

const WAIT = { timeout: 10_000, interval: 20 };
/** Seconds. */
const CODE_TTL = 300;

let app: TestApp;
let server: MailServer;

beforeAll(async () => {
  server = await MailServer.create();
  app = await startApp({
    SMTP_URL: `smtp://127.0.0.1:${server.port}?socketTimeout=500`,
    MAIL_FROM: 'Countersign <codes@auth.example.com>',
    CODE_TOKEN_RETRY_WAIT: '0s',
  });
});

afterEach(async () => {
  await server.stop();
  server.reset();
});

afterAll(async () => {
  await app?.close();
});

describe('signing in while no mail can be sent', () => {
  it('answers the same and as fast, and nothing that has expired is sent when the server is back', async () => {
    await server.start();
    const { email, id } = await register(app);
    const usual = await timed(() => firstFactor(app, email));
    expect(await codeFor(email)).toMatch(/^\d{7}$/);
    await server.stop();
    server.reset();

    await app.clock.advance(60);
    const meanwhile = await timed(() => firstFactor(app, email));
    expect(meanwhile.answer.status).toBe(200);
    expect(Object.keys(meanwhile.answer.body)).toEqual(Object.keys(usual.answer.body));
    expect(meanwhile.answer.body.codeSent).toBe(true);
    // a server that does not answer is waited for ten seconds, by the queue
    expect(meanwhile.milliseconds).toBeLessThan(usual.milliseconds + 1_000);

    // ten minutes
    await vi.waitFor(async () => expect(await attempts()).toEqual([1]), WAIT);
    await app.clock.advance(600);
    await server.start();
    await nudge();
    await vi.waitFor(async () => expect(await states(id)).toEqual(['sent', 'expired']), WAIT);
    expect(server.received).toEqual([]);
    const late = await secondFactor(app, meanwhile.answer.body.codeToken, '0000000');
    expect(late.status).toBe(401);

    const { body } = await firstFactor(app, email);
    expect((await secondFactor(app, body.codeToken, await codeFor(email))).status).toBe(200);
    expect(server.received).toHaveLength(1);
    await vi.waitFor(async () => expect(await states(id)).toEqual(['sent', 'expired', 'sent']), WAIT);
  });

  it('gets the code in the end, if the server is back before it expires', async () => {
    const { email } = await register(app);
    const { body } = await firstFactor(app, email);
    await vi.waitFor(async () => expect(await attempts()).toEqual([1]), WAIT);
    await app.clock.advance(CODE_TTL - 30);
    await server.start();
    await nudge();
    expect((await secondFactor(app, body.codeToken, await codeFor(email))).status).toBe(200);
  });

  it('answers the same to somebody whose mailbox refuses mails, and asks its server once', async () => {
    await server.start();
    const [served, refused] = [await register(app), await register(app)];
    const { body: usual } = await firstFactor(app, served.email);
    await codeFor(served.email);
    server.reset();
    server.recipientAnswers = [550];
    const { status, body } = await firstFactor(app, refused.email);
    expect([status, Object.keys(body)]).toEqual([200, Object.keys(usual)]);
    expect(body.codeSent).toBe(true);
    await vi.waitFor(async () => expect(await states(refused.id)).toEqual(['refused']), WAIT);
    expect(await attempts()).toEqual([]);
    expect(server.recipientsAsked).toBe(1);
  });
});

async function timed<T>(act: () => Promise<T>): Promise<{ answer: T; milliseconds: number }> {
  const begun = performance.now();
  const answer = await act();
  return { answer, milliseconds: performance.now() - begun };
}

/** The code of the newest mail that arrived there. */
function codeFor(email: string): Promise<string> {
  return vi.waitFor(() => {
    const mail = server.received.findLast(({ recipients }) => recipients.includes(email));
    const code = /^(\d+): /.exec(mail?.subject ?? '')?.[1];
    if (!code) throw new Error(`No code for ${email} has arrived`);
    return code;
  }, WAIT);
}

/** How often each message that waits was tried. */
async function attempts(): Promise<number[]> {
  const jobs = await app.sql<{ attempts: number }>(
    'SELECT attempts FROM graphile_worker.jobs WHERE locked_at IS NULL OR attempts = 0',
  );
  return jobs.map((job) => job.attempts);
}

async function states(userId: string): Promise<string[]> {
  const events = await app.sql<{ state: string }>(
    `SELECT details->>'state' AS state FROM audit_events
     WHERE type = 'message.delivery' AND user_id = $1 ORDER BY id`,
    [userId],
  );
  return events.map(({ state }) => state);
}

/** The queue need not wait until it looks the next time. */
async function nudge(): Promise<void> {
  await app.sql(`SELECT pg_notify('jobs:insert', '{"r":0.5,"count":1}')`);
}

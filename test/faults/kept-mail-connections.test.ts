import { MailerService } from '@nestjs-modules/mailer';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { MailServer } from '../support/mail-server.js';
import { register } from '../support/people.js';

// Real: the SMTP dialogue on sockets, the queue, Postgres.

let server: MailServer;
let app: TestApp;

beforeAll(async () => {
  server = await MailServer.create();
  await server.start();
});
afterAll(() => server.stop());

beforeEach(async () => {
  server.reset();
  app = await startApp({ SMTP_URL: `smtp://127.0.0.1:${server.port}` });
});
afterEach(() => app.database.drop());

async function ask(): Promise<string> {
  const { email } = await register(app);
  expect((await app.http.post('/auth/magic-link', { identifier: email })).status).toBe(202);
  return email;
}

const arrived = () => server.received.flatMap(({ recipients }) => recipients);
const waiting = () => app.sql<{ attempts: number }>(`SELECT attempts FROM graphile_worker.jobs`);

async function mailed(): Promise<void> {
  const email = await ask();
  await expect.poll(arrived, { timeout: 5_000, interval: 5 }).toContain(email);
}

describe('a connection to the mail server', () => {
  it('serves one mail after the other', async () => {
    for (let mail = 0; mail < 3; mail += 1) {
      await mailed();
      await expect.poll(waiting).toEqual([]);
    }
    expect(server.connectionsMade).toBe(1);
    await app.app.close();
  });

  it('that has died meanwhile is replaced: the mail goes out at once, and once', async () => {
    await mailed();
    await expect.poll(waiting).toEqual([]);
    server.diesAtNextMail = true;
    // the queue's own next attempt would come after five seconds
    await mailed();
    await expect.poll(waiting).toEqual([]);
    expect([arrived().length, server.connectionsMade]).toEqual([2, 2]);
    await app.app.close();
  });

  it('can still be made when modules have begun to end, as jobs have not', async () => {
    await app.app.get(MailerService).onModuleDestroy();
    await mailed();
    await app.app.close();
    await expect.poll(() => server.connectionsOpen).toBe(0);
  });

  it('is there until the mails that were begun at the end of the service are out, and closed then', async () => {
    server.slowness = 300;
    for (let mail = 0; mail < 8; mail += 1) await ask();
    await expect.poll(() => server.connectionsOpen, { interval: 5 }).toBeGreaterThan(0);
    await app.app.close();
    await expect.poll(() => server.connectionsOpen).toBe(0);
    const database = new pg.Client({ connectionString: app.database.url });
    await database.connect();
    const { rows } = await database.query('SELECT attempts, locked_at, last_error FROM graphile_worker.jobs');
    await database.end();
    // What was begun is done, and what was not has not failed.
    expect(rows).toEqual(rows.map(() => ({ attempts: 0, locked_at: null, last_error: null })));
    expect(rows.length + arrived().length).toBe(8);
    expect(arrived().length).toBeGreaterThan(0);
  });
});

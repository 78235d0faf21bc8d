import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { MailServer } from '../support/mail-server.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { TEST_SECRET } from '../support/app.js';
import { PASSWORD } from '../support/people.js';
import { endProcesses, newFolder, startProcess, type ServerProcess } from '../support/server-process.js';
import pg from 'pg';
import { Ledger, ROUNDS } from './ledger.js';

// Real: a process of the built service that dies around the sending of a mail, an SMTP server, and the process that
// is started afterwards.

const EMAIL = 'somebody@example.com';

let database: TestDatabase;
let mails: MailServer;
let server: ServerProcess;
const ledger = new Ledger();

beforeAll(async () => {
  mails = await MailServer.create();
  await mails.start();
});
beforeEach(async () => {
  database = await createDatabase();
  mails.received.length = 0;
});
afterEach(async () => {
  await endProcesses();
  await database.drop();
});
afterAll(() => mails.stop());

async function start(crashAt: string): Promise<void> {
  server = await startProcess({
    NODE_ENV: 'test',
    SECRET_KEY: TEST_SECRET,
    PUBLIC_URL: 'https://id.example.test',
    DATA_DIR: newFolder(),
    DATABASE_URL: database.url,
    SMTP_URL: `smtp://127.0.0.1:${mails.port}`,
    CRASH_AT: crashAt,
  });
}

/** Dead by its own hand. */
function isGone(): boolean {
  try {
    return !process.kill(server.pid, 0);
  } catch {
    return true;
  }
}

/** As if its worker had been gone for as long as a lease lasts. */
async function leaseIsOver(): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(
    `UPDATE graphile_worker._private_jobs SET locked_at = now() - interval '2 minutes' WHERE locked_at IS NOT NULL`,
  );
  await client.end();
}

it.runIf(ROUNDS > 0).each([
  { point: 'before-send', sent: 0, inAll: 1 },
  { point: 'sent-but-not-recorded', sent: 1, inAll: 2 },
])(
  'a process that dies $point: the code goes out, once more at most, as the same mail',
  async ({ point, sent, inAll }) => {
    await start(point);
    await ledger.post(server.url, '/users', { email: EMAIL, password: PASSWORD });
    const asked = await ledger.post(server.url, '/auth/token', { identifier: EMAIL, password: PASSWORD });
    expect(asked.status).toBe(200);
    await expect.poll(isGone, { timeout: 10_000 }).toBe(true);
    expect(mails.received).toHaveLength(sent);

    await leaseIsOver();
    await start('');
    await expect.poll(() => mails.received.length, { timeout: 10_000 }).toBe(inAll);
    const [first, last] = [mails.received[0], mails.received.at(-1)];
    expect(last?.subject).toBe(first?.subject);
    expect(last?.headers('Message-ID')).toEqual(first?.headers('Message-ID'));

    const code = /^(\w+): /.exec(last?.subject ?? '')?.[1];
    const done = await ledger.post(server.url, '/auth/token/second-factor', {
      codeToken: asked.body['codeToken'],
      code,
    });
    expect(done.status).toBe(200);
  },
  60_000,
);

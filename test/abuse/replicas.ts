import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { TEST_SECRET, type TestApp } from '../support/app.js';
import { Http } from '../support/http.js';
import { MailServer } from '../support/mail-server.js';
import { Mailbox } from '../support/mailbox.js';
import { createDatabase } from '../support/postgres.js';
import { startProcess, type ServerProcess } from '../support/server-process.js';
import { shiftedUrl, TestClock } from '../support/test-clock.js';
import { delayPostgres } from './delayed-postgres.js';
import { Ledger, type Entry } from './ledger.js';

/** The built service as processes of one database; what talks to one in this process talks to them just so. */
export interface Replicas extends TestApp {
  processes: ServerProcess[];
  /** Both replicas, which are as near to the database as we are. */
  origins: string[];
  /** One of them, and a third to which the database is 20 ms away. */
  distant: string[];
  mails: MailServer;
  ledger: Ledger;
  /** Anything over HTTP, to the next replica in turn where none is named. */
  wire(request: AnyRequest): Promise<Entry>;
}

interface AnyRequest {
  method?: string;
  url: string;
  headers?: Record<string, string>;
  body?: string;
  origin?: string;
}

const DELAY_MS = 20;
/** Sessions and roles that a statement of ours has changed are known to all replicas by then. */
const HEARD_MS = 50;

const SETTINGS = {
  NODE_ENV: 'production',
  // The database is a copy of one that is migrated; with the clock of the tests first, tables would be made beside it.
  MIGRATE_ON_START: 'off',
  // The most talkative one: whatever is logged at all must be no secret.
  LOG_LEVEL: 'debug',
  SECRET_KEY: TEST_SECRET,
  PUBLIC_URL: 'https://id.example.test',
  // Letters, because digits would also be found in times and ids.
  CODE_CHARACTERS: 'ABCDEFGHJKLMNPQRSTUVWXYZ',
  EMAIL_CODE_LENGTH: '10',
  // Everything comes from one address here.
  THROTTLE_SIGN_IN_PER_IP: 'off',
  THROTTLE_SEND_PER_IP: 'off',
  THROTTLE_RESET_PER_IP: 'off',
  THROTTLE_OVERALL_PER_IP: 'off',
};

/** Time is that of the database, which `clock` moves; the processes keep their own for what JWTs say. */
export async function startReplicas(variables: Record<string, string> = {}): Promise<Replicas> {
  const database = await createDatabase();
  const mails = await MailServer.create();
  await mails.start();
  const far = await delayPostgres(database.url, DELAY_MS);
  const environment = { ...SETTINGS, SMTP_URL: `smtp://127.0.0.1:${mails.port}`, ...variables };
  const start = (url: string) => startProcess({ ...environment, DATABASE_URL: shiftedUrl(url) });
  const processes = await Promise.all([database.url, database.url, far.url].map(start));
  const [first = '', second = '', third = ''] = processes.map(({ url }) => url);
  const ledger = new Ledger();
  ledger.keep('SECRET_KEY', environment.SECRET_KEY);
  const pool = new pg.Pool({ connectionString: shiftedUrl(database.url), max: 2 });
  // Its connections may still be closing when their database is dropped; what they say of it then, the pool says.
  pool.on('error', () => undefined);

  let turn = 0;
  const wire: Replicas['wire'] = async ({ method = 'GET', url, headers = {}, body, origin }) => {
    ledger.sent(url, body);
    const response = await fetch(`${origin ?? ((turn += 1) % 2 === 0 ? first : second)}${url}`, {
      method,
      headers,
      redirect: 'manual',
      ...(body === undefined ? {} : { body }),
    });
    const answered = { status: response.status, headers: Object.fromEntries(response.headers) };
    const entry = { method, url, ...answered, text: await response.text() };
    ledger.answered(entry);
    return entry;
  };
  return {
    processes,
    origins: [first, second],
    distant: [first, third],
    mails,
    ledger,
    wire,
    http: new Http({
      async inject({ payload, ...request }) {
        const { status, headers, text } = await wire({
          ...request,
          ...(payload === undefined ? {} : { body: payload }),
        });
        return { statusCode: status, headers, body: text };
      },
    }),
    mailbox: new Mailbox({ list: () => messagesOf(mails) }),
    clock: new TestClock(database.url),
    database,
    async sql<Row>(statement: string, parameters: unknown[] = []) {
      const { rows, command } = await pool.query(statement, parameters);
      if (command !== 'SELECT') await pause(HEARD_MS);
      return rows as Row[];
    },
    listen: () => Promise.resolve(first),
    async close() {
      await Promise.all(processes.map((each) => each.end('SIGKILL')));
      far.stop();
      await pool.end();
      await mails.stop();
      await database.drop();
    },
    get app(): NestFastifyApplication {
      throw new Error('The service is another process: nothing of it can be taken out');
    },
  };
}

/** Newest first, as the outbox of the development shows them. */
function messagesOf({ received }: MailServer) {
  return received
    .map(({ raw, recipients, subject, text, html }) => {
      const id = /^Message-ID: (.*)$/im.exec(raw)?.[1] ?? '';
      return { id, channel: 'email' as const, to: recipients[0] ?? '', subject, text, html, createdAt: new Date() };
    })
    .toReversed();
}

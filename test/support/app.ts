import { Logger } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { AppModule } from '../../src/app.module.js';
import { APP_OPTIONS, createAdapter, setUp } from '../../src/app.setup.js';
import { Clock } from '../../src/clock/clock.js';
import { completeConfig } from '../../src/config/config.js';
import { readSettings } from '../../src/config/env.js';
import { Outbox } from '../../src/notifications/outbox.js';
import { LiveSessions } from '../../src/tokens/live-sessions.js';
import { Http } from './http.js';
import { Mailbox } from './mailbox.js';
import { createDatabase, type TestDatabase } from './postgres.js';
import { shiftedUrl, TestClock } from './test-clock.js';

/** Long and mixed enough for the checks; worth nothing. */
export const TEST_SECRET = 'k3Jx9-vQ7tLm2Rb8Zp4Ws6Yd1Hf5Nc0Ag';

/**
 * Of the costs that a start accepts (they all resist a guesser as well) the ones that a small machine computes in half
 * the time of the default's: three test files at once hash within its caches. A test that is about the costs gives others.
 */
const QUICKEST_HASHES = { ARGON2_MEMORY_KIB: '7168', ARGON2_ITERATIONS: '5' };
/** What an operator has who sets no costs: an empty setting is none. */
export const DEFAULT_HASHES = { ARGON2_MEMORY_KIB: '', ARGON2_ITERATIONS: '' };

export interface TestApp {
  app: NestFastifyApplication;
  http: Http;
  clock: TestClock;
  mailbox: Mailbox;
  database: TestDatabase;
  /** Rows of one statement, seen through the service's own connection pool; every replica has heard of its changes. */
  sql<Row = Record<string, unknown>>(statement: string, parameters?: unknown[]): Promise<Row[]>;
  /** Listens on a free port of 127.0.0.1, for what needs real sockets. */
  listen(): Promise<string>;
  close(): Promise<void>;
}

/**
 * The real application on a real database of its own. Replaced are only the clock, and the mail server by the
 * development outbox. Limits per address are off unless a test is about them: everything comes from one address here.
 * `replicaOf` starts a second process' worth of it on the same database and clock; close it before the first.
 */
export async function startApp(
  variables: Record<string, string> = {},
  { replicaOf }: { replicaOf?: TestApp } = {},
): Promise<TestApp> {
  const database = replicaOf?.database ?? (await createDatabase());
  const settings = readSettings({
    NODE_ENV: 'test',
    SECRET_KEY: TEST_SECRET,
    PUBLIC_URL: 'https://id.example.test',
    THROTTLE_SIGN_IN_PER_IP: 'off',
    THROTTLE_SEND_PER_IP: 'off',
    THROTTLE_RESET_PER_IP: 'off',
    THROTTLE_OVERALL_PER_IP: 'off',
    DATABASE_POOL_SIZE: '6',
    ...QUICKEST_HASHES,
    ...variables,
  });
  const databaseUrl = shiftedUrl(database.url);
  const config = completeConfig(settings, { databaseUrl, secretKey: settings.secrets.secretKey ?? TEST_SECRET });
  const clock = replicaOf?.clock ?? new TestClock(database.url);
  Logger.overrideLogger(false);
  const module = await Test.createTestingModule({ imports: [AppModule.with(config)] })
    .overrideProvider(Clock)
    .useValue(clock)
    .compile();
  const app = module.createNestApplication<NestFastifyApplication>(createAdapter(config), {
    ...APP_OPTIONS,
    logger: false,
  });
  setUp(app, config);
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  return {
    app,
    http: new Http(app),
    clock,
    mailbox: new Mailbox(app.get(Outbox)),
    database,
    async sql<Row>(statement: string, parameters: unknown[] = []) {
      const rows = await app.get(DataSource).query<Row[]>(statement, parameters);
      await app.get(LiveSessions).settle();
      return rows;
    },
    async listen() {
      await app.listen({ port: 0, host: '127.0.0.1' });
      return (await app.getUrl()).replace('[::1]', '127.0.0.1');
    },
    async close() {
      await app.close();
      if (!replicaOf) await database.drop();
    },
  };
}

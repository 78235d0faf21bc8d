import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { completeConfig } from '../../src/config/config.js';
import { ConfigModule } from '../../src/config/config.module.js';
import { readSettings } from '../../src/config/env.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import { rowsOf } from '../../src/database/sql.js';
import { JobRunner, type JobAttempt } from '../../src/jobs/job-runner.js';
import { JobsModule } from '../../src/jobs/jobs.module.js';
import { Jobs } from '../../src/jobs/jobs.service.js';
import { createDatabase } from '../support/postgres.js';

// Real: Postgres and the queue. The handler is the test's own.

const WAIT = { timeout: 20_000, interval: 50 };

let database: Awaited<ReturnType<typeof createDatabase>>;
let module: TestingModule;
let handled: JobAttempt[];
let handler: () => Promise<void>;

beforeAll(async () => {
  database = await createDatabase();
  module = await startWorker(async () => handler());
}, 60_000);

afterAll(async () => {
  await module?.close();
  await database?.drop();
}, 60_000);

beforeEach(() => {
  handled = [];
  handler = async () => undefined;
});

it('goes on after the database closed all of its connections', async () => {
  await enqueue();
  await vi.waitFor(() => expect(handled).toHaveLength(1), WAIT);
  await cutConnections();
  await enqueue();
  await vi.waitFor(() => expect(handled).toHaveLength(2), WAIT);
  await vi.waitFor(async () => expect(await leases()).toEqual([]), WAIT);
});

it('goes on after the end of a job could not be stored, and does that job again', async () => {
  handler = () => rename('_private_jobs', '_unreachable');
  await enqueue();
  await vi.waitFor(() => expect(handled).toHaveLength(1), WAIT);
  handler = async () => undefined;
  await new Promise((resolve) => setTimeout(resolve, 500));
  await rename('_unreachable', '_private_jobs');
  await vi.waitFor(() => expect(handled).toHaveLength(2), WAIT);
  await vi.waitFor(async () => expect(await leases()).toEqual([]), WAIT);
});

it('takes over a job whose worker was killed', async () => {
  handler = () => Promise.reject(new Error('a first attempt that fails'));
  await enqueue();
  await vi.waitFor(async () => expect((await leases())[0]?.attempts).toBe(1), WAIT);
  await vi.waitFor(async () => expect((await leases())[0]?.locked_by).toBeNull(), WAIT);
  await rows(
    `UPDATE graphile_worker._private_jobs SET locked_by = 'killed', locked_at = now() - interval '2 minutes', run_at = now()`,
  );
  handler = async () => undefined;
  const replica = await startWorker(async () => undefined);
  try {
    await vi.waitFor(async () => expect(await leases()).toEqual([]), WAIT);
    expect(handled.at(-1)).toEqual({ attempt: 2, lastAttempt: false });
  } finally {
    await replica.close();
  }
});

it('finishes what it began before it stops', async () => {
  let finished = false;
  await module.close();
  module = await startWorker(async () => {
    await new Promise((resolve) => setTimeout(resolve, 500));
    finished = true;
  });
  await enqueue();
  await vi.waitFor(() => expect(handled).toHaveLength(1), WAIT);
  await module.close();
  expect(finished).toBe(true);
  module = await startWorker(async () => undefined);
  expect(await leases()).toEqual([]);
});

async function startWorker(work: () => Promise<void>): Promise<TestingModule> {
  const config = completeConfig(readSettings({ NODE_ENV: 'test' }), {
    databaseUrl: database.url,
    secretKey: 'k'.repeat(48),
  });
  const started = await Test.createTestingModule({
    imports: [ConfigModule.with(config), DatabaseModule, JobsModule],
  }).compile();
  started.get(JobRunner).handle('send-message', async (_payload, attempt) => {
    handled.push(attempt);
    await work();
  });
  await started.init();
  return started;
}

function rows<Row>(statement: string): Promise<Row[]> {
  return rowsOf<Row>(module.get(DataSource).manager, statement, []);
}

function enqueue(): Promise<void> {
  return module
    .get(DataSource)
    .manager.transaction((tx) =>
      module.get(Jobs).enqueue(tx, 'send-message', { messageId: 'm', sealed: 's', expiresAt: null }),
    );
}

function leases() {
  return rows<{ attempts: number; locked_by: string | null }>('SELECT attempts, locked_by FROM graphile_worker.jobs');
}

async function cutConnections(): Promise<void> {
  const cut = await rows(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'countersign-jobs'`,
  );
  expect(cut.length).toBeGreaterThan(0);
}

async function rename(from: string, to: string): Promise<void> {
  await rows(`ALTER TABLE graphile_worker.${from} RENAME TO ${to}`);
}

import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { completeConfig } from '../../src/config/config.js';
import { ConfigModule } from '../../src/config/config.module.js';
import { readSettings } from '../../src/config/env.js';
import { ClockModule } from '../../src/clock/clock.module.js';
import { CryptoModule } from '../../src/crypto/crypto.module.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import { rowsOf } from '../../src/database/sql.js';
import { JobRunner, RetryLater, type JobAttempt } from '../../src/jobs/job-runner.js';
import { JobsModule } from '../../src/jobs/jobs.module.js';
import { Jobs } from '../../src/jobs/jobs.service.js';
import type { Tasks } from '../../src/jobs/tasks.js';
import { createDatabase } from '../support/postgres.js';

// Real: Postgres and the queue. The handler is the test's own.

const WAIT = { timeout: 20_000, interval: 50 };

let database: Awaited<ReturnType<typeof createDatabase>>;
let module: TestingModule;
let handled: JobAttempt[];
let payloads: Tasks['send-message'][];
let handler: () => Promise<void>;

beforeAll(async () => {
  database = await createDatabase();
  module = await startWorker(async () => handler());
}, 60_000);

afterAll(async () => {
  await module?.close();
  await database?.drop();
}, 60_000);

beforeEach(async () => {
  // What a test before this one left must not fail this one too.
  await rows('DELETE FROM graphile_worker._private_jobs');
  handled = [];
  payloads = [];
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

// The worker restarts in there while others are looking; where this machine is too busy to look in time, once more.
describe('a handler that says when it wants to try again', { retry: 1 }, () => {
  const again = (seconds: number, unanswered = 1) => {
    throw new RetryLater('not yet', seconds, { messageId: 'm', sealed: 's', expiresAt: null, unanswered });
  };

  it('is called then, with what it told its next attempt', async () => {
    handler = async () => again(0, handled.length);
    await enqueue();
    await vi.waitFor(() => expect(handled.length).toBeGreaterThanOrEqual(3), WAIT);
    handler = async () => undefined;
    await vi.waitFor(async () => expect(await leases()).toEqual([]), WAIT);
    expect(handled.slice(0, 3).map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(payloads.slice(0, 3).map(({ unanswered }) => unanswered)).toEqual([undefined, 1, 2]);
  });

  it('is called once more, and not twice, after the process died in between', async () => {
    // Long enough to be seen in between on a busy machine.
    handler = async () => again(4);
    await rows(
      `CREATE OR REPLACE FUNCTION refuse_removal() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'`,
    );
    await rows(
      `CREATE TRIGGER refuse BEFORE DELETE ON graphile_worker._private_jobs EXECUTE FUNCTION refuse_removal()`,
    );
    try {
      await enqueue();
      await vi.waitFor(() => expect(handled).toHaveLength(1), WAIT);
      handler = async () => undefined;
      // the first attempt is retired but still there, the second one waits
      await vi.waitFor(async () => expect((await leases()).map(({ attempts }) => attempts)).toEqual([25, 1]), WAIT);
    } finally {
      await rows('DROP TRIGGER refuse ON graphile_worker._private_jobs');
    }
    await vi.waitFor(() => expect(handled).toHaveLength(2), WAIT);
    expect(handled[1]).toEqual({ attempt: 2, lastAttempt: false });
    // what is left of the first attempt is removed by whoever looks for abandoned jobs
    await rows(
      `UPDATE graphile_worker._private_jobs SET locked_at = now() - interval '2 minutes' WHERE locked_at IS NOT NULL`,
    );
    await (await startWorker(async () => undefined)).close();
    await vi.waitFor(async () => expect(await leases()).toEqual([]), WAIT);
    expect(handled).toHaveLength(2);
  });

  it('does not touch a job that somebody else has taken over', async () => {
    handler = async () => {
      await rows(`UPDATE graphile_worker._private_jobs SET locked_by = 'another replica'`);
      again(0);
    };
    await enqueue();
    await vi.waitFor(() => expect(handled).toHaveLength(1), WAIT);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await leases()).toEqual([{ attempts: 1, locked_by: 'another replica' }]);
    await rows('DELETE FROM graphile_worker._private_jobs');
  });

  it('is not called after its last attempt', async () => {
    handler = async () => again(0);
    await enqueue(1);
    await vi.waitFor(async () => expect(await leases()).toEqual([{ attempts: 1, locked_by: null }]), WAIT);
    expect(handled).toEqual([{ attempt: 1, lastAttempt: true }]);
    await rows('DELETE FROM graphile_worker._private_jobs');
  });
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
    imports: [ConfigModule.with(config), ClockModule, CryptoModule, DatabaseModule, JobsModule],
  }).compile();
  started.get(JobRunner).handle('send-message', async (payload, attempt) => {
    handled.push(attempt);
    payloads.push(payload);
    await work();
  });
  await started.init();
  return started;
}

function rows<Row>(statement: string): Promise<Row[]> {
  return rowsOf<Row>(module.get(DataSource).manager, statement, []);
}

function enqueue(maxAttempts?: number): Promise<void> {
  return module
    .get(DataSource)
    .manager.transaction((tx) =>
      module
        .get(Jobs)
        .enqueue(
          tx,
          'send-message',
          { messageId: 'm', sealed: 's', expiresAt: null },
          maxAttempts ? { maxAttempts } : {},
        ),
    );
}

function leases() {
  return rows<{ attempts: number; locked_by: string | null }>(
    'SELECT attempts, locked_by FROM graphile_worker.jobs ORDER BY id',
  );
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

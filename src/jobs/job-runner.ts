import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  parseCronItems,
  run,
  type CronItem,
  type Job,
  type Runner,
  type TaskList,
  type WorkerEvents,
} from 'graphile-worker';
import { Pool } from 'pg';
import { Config } from '../config/config.js';
import { endAfter } from '../database/last-words.js';
import { isPooled } from '../database/pooled.js';
import { PLAN_OUTLIVED } from '../database/statement-names.js';
import { databaseCodeOf, isConnectionLost } from '../problems/database-away.js';
import { addNextAttempt, releaseAbandoned, releaseWorker, removeRetired } from './leases.queries.js';
import type { RepeatedTask, TaskName, Tasks } from './tasks.js';
import { bridgeTo } from './worker-log.js';

export interface JobAttempt {
  /** 1 the first time. */
  attempt: number;
  /** Whether a failure of this attempt is the end of the job. */
  lastAttempt: boolean;
}

/**
 * Thrown by a handler that knows when another attempt makes sense. What else it throws is tried again after e, e², e³
 * … seconds.
 */
export class RetryLater extends Error {
  override readonly name = 'RetryLater';

  constructor(
    message: string,
    readonly seconds: number,
    /** What the next attempt gets to know. */
    readonly payload: Tasks[TaskName],
  ) {
    super(message);
  }
}

/** Throwing means "try again later". The error's message is logged, or stored beside the job, in clear text. */
export type JobHandler<N extends TaskName> = (payload: Tasks[N], attempt: JobAttempt) => Promise<void>;

/** Whether this process does jobs, or only adds to the queue, as the command line does. */
export const WORKS_JOBS = Symbol('WORKS_JOBS');

/** How many jobs one replica does at a time. */
const CONCURRENCY = 4;
/** One connection a job, and one that listens for new ones. */
const POOL_SIZE = CONCURRENCY + 1;

/** Milliseconds. New jobs are announced; polling finds those whose time has come. */
const POLL_INTERVAL = 2_000;
/** A job must be over long before another replica may think that its worker died. */
const JOB_LIMIT = 45_000;
const LEASE_CHECK_INTERVAL = 30_000;
const DRAIN_LIMIT = 15_000;
const RESTART_PAUSE = 2_000;
const CONNECT_TIMEOUT = 5_000;
const STATEMENT_TIMEOUT = 5_000;

/** Does the jobs of the queue. Modules register their handlers in `onModuleInit`; the work starts after that. */
@Injectable()
export class JobRunner implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(JobRunner.name);
  private readonly tasks: TaskList = {};
  private readonly repeated: CronItem[] = [];
  private readonly stopping = new AbortController();
  private readonly pool: Pool;
  private runner: Runner | null = null;
  /** Under this name the worker holds its leases. */
  private workerId: string | null = null;
  private leaseCheck: NodeJS.Timeout | undefined;
  private failures = 0;

  constructor(
    config: Config,
    @Inject(WORKS_JOBS) readonly works: boolean,
  ) {
    this.pool = tolerantPool(config.storage.directUrl, this.logger);
  }

  /** Whether the worker runs. After the database was away it does not, for a moment. */
  get working(): boolean {
    return this.runner !== null;
  }

  /** How many attempts have failed in this process, also those that another one follows. */
  get failedAttempts(): number {
    return this.failures;
  }

  handle<N extends TaskName>(name: N, handler: JobHandler<N>): void {
    if (this.runner) throw new Error(`The handler of "${name}" came after the start; register it in onModuleInit`);
    if (this.tasks[name]) throw new Error(`"${name}" has two handlers`);
    this.tasks[name] = async (payload, { job }) => {
      const lastAttempt = job.attempts >= job.max_attempts;
      try {
        await within(JOB_LIMIT, () => handler(payload as Tasks[N], { attempt: job.attempts, lastAttempt }));
      } catch (error) {
        this.failures += 1;
        if (!(error instanceof RetryLater) || lastAttempt) throw error;
        await this.tryAgain(job, error);
      }
    };
  }

  /**
   * Does a task at the times of a cron pattern (UTC, at most once a minute): once, however many replicas there are. What
   * was due while none was running is not made up for.
   */
  repeat(name: RepeatedTask, pattern: string, handler: () => Promise<void>): void {
    this.handle(name, handler);
    this.repeated.push({ task: name, match: pattern, options: { jobKey: name, maxAttempts: 3 } });
  }

  async onApplicationBootstrap(): Promise<void> {
    if (!this.works) return;
    this.runner = await this.start();
    this.leaseCheck = setInterval(() => void this.takeBackLeases(), LEASE_CHECK_INTERVAL).unref();
    void this.takeBackLeases();
    void this.keepRunning(this.runner);
  }

  /** Not `onApplicationShutdown`: the jobs that are being finished still need the service's database connections. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    clearInterval(this.leaseCheck);
    const drained = await Promise.race([
      // a worker that has just stopped by itself refuses to be stopped
      this.runner?.stop().then(
        () => true,
        () => true,
      ) ?? true,
      sleep(DRAIN_LIMIT, false, { ref: false }),
    ]);
    if (!drained) {
      this.logger.warn('Jobs did not end in time; their leases are released for another replica');
      await this.releaseOwn().catch((error: unknown) => this.logger.warn(`They were not: ${messageOf(error)}`));
    }
    await Promise.race([this.pool.end(), sleep(CONNECT_TIMEOUT, undefined, { ref: false })]);
  }

  /** The worker ends by itself when it could not store how a job ended, as when the database restarts just then. */
  private async keepRunning(runner: Runner): Promise<void> {
    await runner.promise.catch(() => undefined);
    while (!this.stopping.signal.aborted) {
      this.runner = null;
      try {
        await sleep(RESTART_PAUSE, undefined, { signal: this.stopping.signal });
        await this.releaseOwn();
        this.runner = await this.start();
        // the service may have begun to stop while the worker was starting
        if (this.stopping.signal.aborted) await this.runner.stop();
        else this.logger.log('The job worker was started again');
        await this.runner.promise.catch(() => undefined);
      } catch (error) {
        if (!this.stopping.signal.aborted) this.logger.error(`The job worker cannot start: ${messageOf(error)}`);
      }
    }
  }

  private async tryAgain(job: Job, { message, seconds, payload }: RetryLater): Promise<void> {
    const added = await addNextAttempt(this.pool, job, payload, seconds);
    // Somebody else does the job meanwhile. Ending this attempt well would remove it.
    if (!added) throw new Error(`${message}; the lease of the job was lost`);
    this.logger.warn(`${job.task_identifier}: ${message}; attempt ${job.attempts + 1} follows in ${seconds} s`);
  }

  private async start(): Promise<Runner> {
    const events: WorkerEvents = new EventEmitter();
    events.on('pool:create', ({ workerPool }) => (this.workerId = workerPool.id));
    return run({
      pgPool: this.pool,
      taskList: this.tasks,
      concurrency: CONCURRENCY,
      pollInterval: POLL_INTERVAL,
      noHandleSignals: true,
      // A pooler gives the next statement to another connection, which knows none of them: a mail that was sent could
      // not be ticked off, and went out again and again.
      noPreparedStatements: await this.isPooled(),
      logger: bridgeTo(this.logger),
      events,
      // said here, or else files and variables where the process was started decide
      schema: 'graphile_worker',
      parsedCronItems: parseCronItems(this.repeated),
      // Without a batch nobody awaits the statement that ends a job: its failure would be an unhandled rejection
      // that ends the process. In a batch it ends the worker, and keepRunning starts another.
      preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
    });
  }

  private async isPooled(): Promise<boolean> {
    const client = await this.pool.connect();
    try {
      return await isPooled(client);
    } finally {
      client.release();
    }
  }

  private async takeBackLeases(): Promise<void> {
    try {
      await releaseAbandoned(this.pool);
      await removeRetired(this.pool);
    } catch (error) {
      this.logger.warn(`Abandoned jobs could not be looked for: ${messageOf(error)}`);
    }
  }

  private async releaseOwn(): Promise<void> {
    if (this.workerId === null) return;
    await releaseWorker(this.pool, this.workerId);
    this.workerId = null;
  }
}

/** Without these handlers a connection that the database closes ends the process. */
function tolerantPool(connectionString: string, logger: Logger): Pool {
  const pool = new Pool({
    connectionString,
    max: POOL_SIZE,
    application_name: 'countersign-jobs',
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    statement_timeout: STATEMENT_TIMEOUT,
    // the server's own limit does not help against a server that no longer answers
    query_timeout: STATEMENT_TIMEOUT + 1_000,
  });
  const lost = (error: Error) => logger.warn(`A connection of the job worker was lost: ${error.message}`);
  pool.on('error', lost);
  pool.on('connect', (client) => {
    client.on('error', lost);
    // A plan that a migration of the queue has outdated is wrong for as long as its connection lives.
    endAfter(client, (said) => isConnectionLost(said) || databaseCodeOf(said) === PLAN_OUTLIVED);
  });
  return pool;
}

async function within(milliseconds: number, job: () => Promise<void>): Promise<void> {
  const over = new AbortController();
  const limit = sleep(milliseconds, undefined, { signal: over.signal, ref: false }).then(
    () => {
      throw new Error(`The job was not over after ${milliseconds / 1000} s`);
    },
    () => undefined,
  );
  try {
    await Promise.race([job(), limit]);
  } finally {
    over.abort();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { Injectable } from '@nestjs/common';
import type { Pool } from 'pg';
import { Counter, Gauge } from 'prom-client';
import { DataSource } from 'typeorm';
import { Probe } from '../health/probe.js';
import { JobRunner } from '../jobs/job-runner.js';
import { Passwords } from '../users/password.js';
import { Meters } from './meters.js';

const LOOK = `
  SELECT
    coalesce((SELECT extract(epoch FROM now() - min(run_at)) FROM graphile_worker.jobs
      WHERE run_at <= now() AND locked_at IS NULL AND attempts < max_attempts), 0)::float8 AS "jobLag",
    (SELECT count(*) FROM graphile_worker.jobs WHERE attempts >= max_attempts)::integer AS "deadJobs",
    coalesce((SELECT extract(epoch FROM now() - max(activates_at)) FROM signing_keys
      WHERE activates_at <= now() AND (retires_at IS NULL OR retires_at > now())), 0)::float8 AS "keyAge"`;

/** What Prometheus reads: the meters, and what is looked up at that moment. */
@Injectable()
export class Scrape {
  private readonly hashQueue = this.gauge('hash_queue', 'Passwords that wait to be hashed or compared.');
  private readonly hashes = this.counter('hashes_total', 'Passwords that were hashed or compared.');
  private readonly hashWait = this.counter('hash_wait_seconds_total', 'How long those waited before.');
  private readonly connections = this.gauge('pool_connections', 'Open connections to the database.');
  private readonly idle = this.gauge('pool_idle_connections', 'Those of them that nobody uses.');
  private readonly waiting = this.gauge('pool_waiting', 'Statements and transactions that wait for a connection.');
  private readonly jobFailures = this.counter('job_failures_total', 'Attempts at jobs that failed here.');
  private readonly databaseUp = this.gauge('database_up', 'Whether the database answers; what follows is of then.');
  private readonly jobLag = this.gauge('job_lag_seconds', 'How long the oldest job that is due has waited.');
  private readonly deadJobs = this.gauge('dead_jobs', 'Jobs in the queue that were given up.');
  private readonly keyAge = this.gauge('signing_key_age_seconds', 'For how long the present key has signed.');

  constructor(
    private readonly meters: Meters,
    private readonly passwords: Passwords,
    private readonly database: DataSource,
    private readonly jobs: JobRunner,
    private readonly probe: Probe,
  ) {}

  get contentType(): string {
    return this.meters.registry.contentType;
  }

  async text(): Promise<string> {
    this.readProcess();
    await this.readDatabase();
    return this.meters.registry.metrics();
  }

  private readProcess(): void {
    const { waiting, done, waitedSeconds } = this.passwords.load;
    this.hashQueue.set(waiting);
    setTotal(this.hashes, done);
    setTotal(this.hashWait, waitedSeconds);
    const pool = (this.database.driver as unknown as { master: Pool }).master;
    this.connections.set(pool.totalCount);
    this.idle.set(pool.idleCount);
    this.waiting.set(pool.waitingCount);
    setTotal(this.jobFailures, this.jobs.failedAttempts);
  }

  /** The same from every replica. Without a database the rest is still worth reading. */
  private async readDatabase(): Promise<void> {
    try {
      const seen = await this.probe.row<{ jobLag: number; deadJobs: number; keyAge: number }>(LOOK);
      this.jobLag.set(seen?.jobLag ?? 0);
      this.deadJobs.set(seen?.deadJobs ?? 0);
      this.keyAge.set(seen?.keyAge ?? 0);
      this.databaseUp.set(1);
    } catch {
      this.databaseUp.set(0);
    }
  }

  private gauge(name: string, help: string): Gauge {
    return new Gauge({ name: `countersign_${name}`, help, registers: [this.meters.registry] });
  }

  private counter(name: string, help: string): Counter {
    return new Counter({ name: `countersign_${name}`, help, registers: [this.meters.registry] });
  }
}

function setTotal(counter: Counter, total: number): void {
  counter.reset();
  counter.inc(total);
}

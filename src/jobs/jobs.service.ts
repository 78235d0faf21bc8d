import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { firstRow } from '../database/sql.js';
import type { TaskName, Tasks } from './tasks.js';

export interface EnqueueOptions {
  /** How often the task is tried, the first time included, before it is given up. */
  maxAttempts?: number;
  /** Of jobs with the same queue one is done at a time, over all replicas. */
  queue?: string;
  /** Among the jobs that are due the lowest number comes first; 0 where nothing is said. */
  priority?: number;
  /** Replaces the job that waits under the same key; one that is being done is not disturbed. */
  key?: string;
  /** How long it waits before it is due. */
  delaySeconds?: number;
}

@Injectable()
export class Jobs {
  /**
   * One row in the caller's transaction: what was rolled back is never done, what was committed is done at least
   * once, by any replica.
   */
  async enqueue<N extends TaskName>(
    tx: EntityManager,
    name: N,
    payload: Tasks[N],
    { maxAttempts, queue, priority, key, delaySeconds }: EnqueueOptions = {},
  ): Promise<void> {
    await firstRow(
      tx,
      `SELECT id FROM graphile_worker.add_job($1, $2::json, max_attempts => $3::integer, job_key => $4,
         queue_name => $5, priority => $6::integer, run_at => now() + make_interval(secs => $7))`,
      // the key is what lets the runner replace a job by its next attempt
      [
        name,
        JSON.stringify(payload),
        maxAttempts ?? null,
        key ?? randomUUID(),
        queue ?? null,
        priority ?? null,
        delaySeconds ?? 0,
      ],
    );
  }
}

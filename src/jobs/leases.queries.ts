import type { Job } from 'graphile-worker';
import type { Pool } from 'pg';

/**
 * graphile-worker itself waits four hours before it takes a job from a worker that was killed, and a code would have
 * expired by then. No job runs longer than JOB_LIMIT, so an older lease belongs to a dead worker.
 */
export async function releaseAbandoned(pool: Pool): Promise<void> {
  await pool.query(`
    SELECT graphile_worker.force_unlock_workers(array_agg(DISTINCT locked_by))
    FROM graphile_worker.jobs WHERE locked_at < now() - interval '90 seconds'`);
}

/** The leases of a worker that has ended. */
export async function releaseWorker(pool: Pool, workerId: string): Promise<void> {
  await pool.query('SELECT graphile_worker.force_unlock_workers($1)', [[workerId]]);
}

/**
 * The worker only knows its own back-off. In one statement, and as long as the lease is ours, this adds the next
 * attempt and makes sure that the present one is never repeated: a process that dies before, between or after leaves
 * exactly one attempt to come. Adding a job under the key of one that is being done is what retires the latter.
 * @returns whether the lease was still ours
 */
export async function addNextAttempt(
  pool: Pool,
  { id, locked_by }: Pick<Job, 'id' | 'locked_by'>,
  payload: object,
  seconds: number,
): Promise<boolean> {
  const { rowCount } = await pool.query(
    `SELECT again.id
     FROM graphile_worker.jobs AS present
     CROSS JOIN LATERAL graphile_worker.add_job(
       present.task_identifier, $3::json, run_at => now() + make_interval(secs => $4),
       max_attempts => present.max_attempts, job_key => present.key) AS again
     CROSS JOIN LATERAL graphile_worker.reschedule_jobs(ARRAY[again.id], attempts => present.attempts) AS counted
     WHERE present.id = $1 AND present.locked_by = $2`,
    [id, locked_by, JSON.stringify(payload), seconds],
  );
  return rowCount === 1;
}

/** What a process left that died after {@link addNextAttempt}. Every other job has its key. */
export async function removeRetired(pool: Pool): Promise<void> {
  await pool.query(`
    SELECT graphile_worker.complete_jobs(array_agg(id)) FROM graphile_worker.jobs
    WHERE key IS NULL AND attempts >= max_attempts AND locked_at IS NULL`);
}

import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { migrations } from '../database/migrations.js';
import { JobRunner } from '../jobs/job-runner.js';
import { Drain } from './drain.js';
import { Probe } from './probe.js';

export type Check = 'draining' | 'database' | 'migrations' | 'clock' | 'jobs';

/** Milliseconds for which a result is repeated: anybody may ask, and the database is asked once. */
const FRESH = 1_000;
/** Milliseconds. Tokens bear the time of this process, and verifiers allow half a minute. */
const MOST_SKEW = 20_000;

/** `now()`, so that it is the time that everything stored expires by. */
const LOOK = `
  SELECT now() AS now,
    (SELECT count(*) FROM migrations WHERE name = ANY ($1)) = cardinality($1::text[])
      AND to_regclass('graphile_worker.jobs') IS NOT NULL AS migrated`;
const UNDEFINED_TABLE = '42P01';

/** Whether this replica should get requests. */
@Injectable()
export class Readiness {
  private last: { at: number; failing: Promise<Check[]> } | null = null;

  constructor(
    private readonly drain: Drain,
    private readonly probe: Probe,
    private readonly clock: Clock,
    private readonly jobs: JobRunner,
  ) {}

  /** What keeps it from being ready. */
  async failing(): Promise<Check[]> {
    if (this.drain.draining) return ['draining'];
    const now = performance.now();
    if (!this.last || now - this.last.at > FRESH) this.last = { at: now, failing: this.look() };
    return this.last.failing;
  }

  private async look(): Promise<Check[]> {
    const jobs: Check[] = this.jobs.working ? [] : ['jobs'];
    const names = migrations.map(({ name }) => name);
    const asked = this.clock.now().getTime();
    try {
      const seen = await this.probe.row<{ now: Date; migrated: boolean }>(LOOK, [names]);
      if (!seen) return ['database'];
      const answered = this.clock.now().getTime();
      const skew = Math.max(asked - seen.now.getTime(), seen.now.getTime() - answered);
      return [
        ...(seen.migrated ? [] : (['migrations'] as const)),
        ...(skew > MOST_SKEW ? (['clock'] as const) : []),
        ...jobs,
      ];
    } catch (error) {
      return (error as { code?: string }).code === UNDEFINED_TABLE ? ['migrations'] : ['database', ...jobs];
    }
  }
}

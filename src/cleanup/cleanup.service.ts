import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Config } from '../config/config.js';
import { JobRunner } from '../jobs/job-runner.js';
import { Jobs } from '../jobs/jobs.service.js';
import { LAST, SHIFT } from '../jobs/upkeep.js';
import { removeExpired, type Page } from './cleanup.queries.js';
import { expiredRowsOf, type ExpiredRows } from './expired-rows.js';

const EVERY_HOUR = '17 * * * *';
const PAGE = 1_000;
/** There is one such job at a time: what is begun every hour takes the place of one that still waits. */
const CHAIN = 'remove-expired-rows-of';

/** Keeps the tables small that every sign-in adds to. */
@Injectable()
export class Cleanup implements OnModuleInit {
  private readonly logger = new Logger(Cleanup.name);
  private readonly expiredRows: readonly ExpiredRows[];

  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly runner: JobRunner,
    private readonly jobs: Jobs,
    config: Config,
  ) {
    this.expiredRows = expiredRowsOf(config);
  }

  onModuleInit(): void {
    this.runner.repeat('remove-expired-rows', EVERY_HOUR, () => this.continueAt(0, null));
    this.runner.handle('remove-expired-rows-of', ({ table, after }) => this.goOn(table, after));
  }

  /**
   * One job after the other, whichever replica does it: a table of millions takes several, and each tells the next one
   * where it has come to. All at once would keep mails waiting.
   */
  private async goOn(table: string, after: string | null): Promise<void> {
    const index = this.expiredRows.findIndex((each) => each.table === table);
    const rows = this.expiredRows[index];
    // A newer version may know more tables.
    if (!rows) return;
    const last = await this.removeFor(SHIFT, rows, after);
    await this.continueAt(last === null ? index + 1 : index, last);
  }

  private async continueAt(index: number, after: string | null): Promise<void> {
    const rows = this.expiredRows[index];
    if (!rows) return;
    const job = { table: rows.table, after };
    await this.jobs.enqueue(this.db, 'remove-expired-rows-of', job, { key: CHAIN, priority: LAST, maxAttempts: 3 });
  }

  /** @returns where the time was over; null at the end of the table */
  private async removeFor(milliseconds: number, rows: ExpiredRows, after: string | null): Promise<string | null> {
    const until = performance.now() + milliseconds;
    let page: Page = { last: after, removed: 0 };
    let removed = 0;
    do {
      page = await removeExpired(this.db, rows, page.last, PAGE);
      removed += page.removed;
    } while (page.last !== null && performance.now() < until);
    if (removed > 0) this.logger.debug(`Removed ${removed} expired rows of ${rows.table}`);
    return page.last;
  }
}

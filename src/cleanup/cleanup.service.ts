import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { JobRunner } from '../jobs/job-runner.js';
import { removeExpired, type Page } from './cleanup.queries.js';
import { expiredRows } from './expired-rows.js';

const EVERY_HOUR = '17 * * * *';
const PAGE = 5_000;

/** Keeps the tables small that every sign-in adds to. */
@Injectable()
export class Cleanup implements OnModuleInit {
  private readonly logger = new Logger(Cleanup.name);

  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly jobs: JobRunner,
  ) {}

  onModuleInit(): void {
    this.jobs.repeat('remove-expired-rows', EVERY_HOUR, () => this.run());
  }

  async run(): Promise<void> {
    for (const rows of expiredRows) {
      let page: Page = { last: null, removed: 0 };
      let removed = 0;
      do {
        page = await removeExpired(this.db, rows, page.last, PAGE);
        removed += page.removed;
      } while (page.last !== null);
      if (removed > 0) this.logger.debug(`Removed ${removed} expired rows of ${rows.table}`);
    }
  }
}

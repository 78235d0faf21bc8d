import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { firstRow } from './sql.js';

const NAMES = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'];

/** The limits are asked for with every connection. A pooler that was told to ignore them loses them silently. */
@Injectable()
export class TimeLimits implements OnApplicationBootstrap {
  private readonly logger = new Logger(TimeLimits.name);

  constructor(@InjectEntityManager() private readonly db: EntityManager) {}

  async onApplicationBootstrap(): Promise<void> {
    const limits = await firstRow<{ missing: string[] }>(
      this.db,
      `SELECT coalesce(array_agg(name ORDER BY name), '{}') AS missing
       FROM unnest($1::text[]) AS name WHERE current_setting(name) = '0'`,
      [NAMES],
    );
    if (!limits || limits.missing.length === 0) return;
    this.logger.warn(
      `The pooler of DATABASE_URL does not set ${limits.missing.join(', ')}: a statement may hold a connection for ever; let its connect_query set them`,
    );
  }
}

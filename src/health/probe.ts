import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import type { QueryResultRow } from 'pg';
import { Config } from '../config/config.js';
import { BoundedPool } from '../database/bounded-pool.js';

/** Milliseconds. Platforms wait about three seconds for an answer. */
const LIMIT = 1_000;

/**
 * Looks at the database through one connection of its own: a replica whose pool is busy is not one whose database is
 * away, and taking it out would make the others busier.
 */
@Injectable()
export class Probe implements OnApplicationShutdown {
  private readonly pool: BoundedPool;

  constructor({ storage }: Config) {
    this.pool = new BoundedPool({
      connectionString: storage.databaseUrl,
      application_name: 'countersign-probe',
      max: 1,
      mostWaiting: 8,
      connectionTimeoutMillis: LIMIT,
      statement_timeout: LIMIT,
      silence: LIMIT,
    });
    const logger = new Logger(Probe.name);
    this.pool.on('error', (error) => logger.debug(`The connection was lost: ${error.message}`));
  }

  async row<Row extends QueryResultRow>(statement: string, parameters: readonly unknown[] = []): Promise<Row | null> {
    const { rows } = await this.pool.query<Row>(statement, [...parameters]);
    return rows[0] ?? null;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}

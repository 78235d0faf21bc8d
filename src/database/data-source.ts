import type { DataSourceOptions } from 'typeorm';
import { SnakeCaseNaming } from './naming.js';

/** Milliseconds. A database that stalls must cost a caller seconds, not a pile of waiting requests. */
const ACQUIRE_TIMEOUT = 2_000;
const STATEMENT_TIMEOUT = 3_000;
const LOCK_TIMEOUT = 1_000;
const IDLE_IN_TRANSACTION_TIMEOUT = 10_000;

/** How the service reaches its database. Migrations are applied by `migrate.ts`, never by TypeORM's own start. */
export function dataSourceOptions(databaseUrl: string, poolSize: number) {
  return {
    type: 'postgres',
    url: databaseUrl,
    applicationName: 'countersign',
    namingStrategy: new SnakeCaseNaming(),
    synchronize: false,
    migrationsRun: false,
    installExtensions: false,
    poolSize,
    extra: {
      connectionTimeoutMillis: ACQUIRE_TIMEOUT,
      statement_timeout: STATEMENT_TIMEOUT,
      lock_timeout: LOCK_TIMEOUT,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT,
    },
  } as const satisfies DataSourceOptions;
}

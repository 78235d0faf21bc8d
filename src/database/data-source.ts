import pg from 'pg';
import type { DataSourceOptions } from 'typeorm';
import { BoundedPool, type Bounds } from './bounded-pool.js';
import { SnakeCaseNaming } from './naming.js';

/** Milliseconds. A database that stalls must cost a caller seconds, not a pile of waiting requests. */
const ACQUIRE_TIMEOUT = 2_000;
const STATEMENT_TIMEOUT = 3_000;
/** More than the second after which PostgreSQL looks for a deadlock: cut before that, nobody could tell one from a wait. */
const LOCK_TIMEOUT = 1_500;
const IDLE_IN_TRANSACTION_TIMEOUT = 10_000;
/** More than the server may take for a statement, so that only a server that has stopped is silent for so long. */
const SILENCE = 5_000;
/** For each connection: about half a second of work. */
const WAITING_PER_CONNECTION = 50;

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
    driver: { ...pg, Pool: BoundedPool },
    extra: {
      ...({ mostWaiting: poolSize * WAITING_PER_CONNECTION, silence: SILENCE } satisfies Bounds),
      connectionTimeoutMillis: ACQUIRE_TIMEOUT,
      statement_timeout: STATEMENT_TIMEOUT,
      lock_timeout: LOCK_TIMEOUT,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT,
    },
  } as const satisfies DataSourceOptions;
}

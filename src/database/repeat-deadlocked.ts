import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource, EntityManager, type QueryRunner } from 'typeorm';
import { databaseCodeOf } from '../problems/database-away.js';
import { PLAN_OUTLIVED } from './statement-names.js';

/**
 * What PostgreSQL rolls back so that others can go on: deadlocks, and changes that would not have come one by one; and what
 * it refuses because a migration came between a statement and its plan.
 */
const ROLLED_BACK = new Set(['40P01', '40001', PLAN_OUTLIVED]);
const TRIES = 4;
/**
 * A lock that was not free in time (`lock_timeout`). Once more only: ten sign-ins of one person beside each other may take
 * longer than that where the database is far away, and whoever holds a lock for ever must cost seconds.
 */
const LOCKED = '55P03';
const TRIES_IF_LOCKED = 2;
/** Milliseconds at most before the second try; later ones wait longer. */
const MOMENT = 50;

/**
 * Repeats a whole transaction, or a statement of its own, that PostgreSQL rolled back for the sake of another. That is
 * safe as long as what runs in a transaction changes nothing but the database: providers and mail servers are asked
 * outside of transactions, by jobs or before.
 */
export class RepeatingDataSource extends DataSource {
  override createEntityManager(queryRunner?: QueryRunner): EntityManager {
    // What runs within a transaction cannot go on: all of it is gone, and its beginning repeats it.
    return queryRunner ? super.createEntityManager(queryRunner) : new RepeatingManager(this);
  }
}

class RepeatingManager extends EntityManager {
  override transaction<T>(...call: unknown[]): Promise<T> {
    const begin = super.transaction.bind(this) as (...same: unknown[]) => Promise<T>;
    return repeatIfRolledBack(() => begin(...call));
  }

  override query<T>(statement: string, parameters?: unknown[]): Promise<T> {
    return repeatIfRolledBack(() => super.query<T>(statement, parameters));
  }
}

async function repeatIfRolledBack<T>(run: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await run();
    } catch (thrown) {
      if (tried >= triesFor(databaseCodeOf(thrown))) throw thrown;
      // At random: two that met would otherwise meet again.
      await sleep(Math.random() * MOMENT * tried);
    }
  }
}

function triesFor(code: string): number {
  if (code === LOCKED) return TRIES_IF_LOCKED;
  return ROLLED_BACK.has(code) ? TRIES : 1;
}

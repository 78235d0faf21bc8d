import { Injectable } from '@nestjs/common';
import { createHmac, type KeyObject } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { Config } from '../config/config.js';
import { Keys } from '../crypto/keys.js';
import { firstRow, rowsOf } from '../database/sql.js';
import { Problem } from '../problems/problem.js';

/**
 * Wrong passwords of one identifier, whether or not an account has it: the key is a keyed hash of the canonical
 * identifier, so that a stranger cannot tell the two apart by being slowed down.
 */
@Injectable()
export class PasswordFailures {
  private readonly hashKey: KeyObject;
  private readonly free: number | null;

  constructor(config: Config, keys: Keys) {
    this.hashKey = keys.for('counters');
    this.free = config.limits.passwordFreeFailures;
  }

  /**
   * Counts an attempt before the password is looked at, in one conditional statement: of 200 parallel guesses
   * exactly as many as are free get as far as the hash. After those each further one waits 30 s, doubling to
   * 15 min; 12 h of quiet forget everything.
   * @returns whether a pause begins with it, the first in a row, should it fail
   * @throws Problem too_many_failures
   */
  async spend(db: EntityManager, identifier: string): Promise<{ beginsPause: boolean }> {
    if (this.free === null) return { beginsPause: false };
    const key = this.keyOf(identifier);
    const spent = await firstRow<{ failures: number }>(
      db,
      `INSERT INTO failure_counters AS c (key, failures, last_failure_at) VALUES ($1, 1, now())
       ON CONFLICT (key) DO UPDATE SET
         failures = CASE WHEN c.last_failure_at < now() - interval '12 hours' THEN 1 ELSE c.failures + 1 END,
         last_failure_at = now(),
         blocked_until = CASE
           WHEN c.last_failure_at < now() - interval '12 hours' OR c.failures + 1 < $2 THEN NULL
           ELSE now() + least(interval '30 seconds' * 2 ^ least(c.failures + 1 - $2, 10), interval '15 minutes') END
       WHERE c.blocked_until IS NULL OR c.blocked_until <= now()
       RETURNING failures`,
      [key, this.free],
    );
    if (spent) return { beginsPause: spent.failures === this.free };
    const blocked = await firstRow<{ seconds: number }>(
      db,
      `SELECT greatest(1, ceil(extract(epoch FROM blocked_until - now())))::int AS seconds
       FROM failure_counters WHERE key = $1`,
      [key],
    );
    throw new Problem('too_many_failures', { retryAfter: blocked?.seconds ?? 1 });
  }

  /** The right password: what was spent is given back. */
  async forgive(db: EntityManager, identifier: string): Promise<void> {
    if (this.free === null) return;
    await rowsOf(db, 'DELETE FROM failure_counters WHERE key = $1', [this.keyOf(identifier)]);
  }

  /** The same for many. */
  async forgiveEach(db: EntityManager, identifiers: readonly string[]): Promise<void> {
    const keys = identifiers.map((identifier) => this.keyOf(identifier));
    await rowsOf(db, 'DELETE FROM failure_counters WHERE key = ANY ($1::bytea[])', [keys]);
  }

  private keyOf(identifier: string): Buffer {
    return createHmac('sha256', this.hashKey).update(`password\0${identifier}`).digest();
  }
}

import { Logger } from '@nestjs/common';
import type { ThrottlerStorage } from '@nestjs/throttler';
import { createHmac, type KeyObject } from 'node:crypto';
import { EndingEntries } from './ending-entries.js';
import { FixedWindowStorage } from './fixed-window.storage.js';
import { OVERALL } from './ip-throttle.guard.js';
import type { WindowStore } from './window-store.js';

/** Blocked keys that are remembered, at most; the store refuses the others. */
const CAPACITY = 100_000;

/**
 * Counts what one address asks of all replicas together. The limit of all requests is counted by each process alone:
 * it only keeps a flood away, and a query for every request would cost more than the flood.
 *
 * Where the store is away each process counts by itself: a lost counter must not lock everybody out, and the exact
 * counters of accounts and devices still decide.
 */
export class SharedWindows implements ThrottlerStorage {
  private readonly logger = new Logger(SharedWindows.name);
  private readonly local = new FixedWindowStorage();
  /** When the window ends of those that are over their limit: what a flood goes on asking costs the store nothing. */
  private readonly blockedUntil = new EndingEntries<{ endsAt: number }>(CAPACITY);

  constructor(
    private readonly store: WindowStore,
    private readonly hashKey: KeyObject,
  ) {}

  /** `ttl` in milliseconds; the answered times are in seconds. */
  async increment(key: string, ttl: number, limit: number, _blockDuration: number, name: string) {
    if (name === OVERALL) return this.local.increment(key, ttl, limit);
    const blocked = this.secondsBlocked(key);
    if (blocked > 0) return record(limit + 1, blocked, limit);
    try {
      const { hits, secondsLeft } = await this.store.hit(this.hashOf(key), ttl / 1_000);
      if (hits > limit) this.blockedUntil.put(key, { endsAt: performance.now() + secondsLeft * 1_000 });
      return record(hits, secondsLeft, limit);
    } catch (error) {
      this.logger.debug(`Counted by this process alone: ${String(error)}`);
      return this.local.increment(key, ttl, limit);
    }
  }

  private secondsBlocked(key: string): number {
    const blocked = this.blockedUntil.get(key);
    return blocked ? Math.ceil((blocked.endsAt - performance.now()) / 1_000) : 0;
  }

  /** Keyed: a copy of the store tells nobody which addresses were here. */
  private hashOf(key: string): Buffer {
    return createHmac('sha256', this.hashKey).update(`window\0${key}`).digest();
  }
}

function record(hits: number, secondsLeft: number, limit: number) {
  return { totalHits: hits, timeToExpire: secondsLeft, isBlocked: hits > limit, timeToBlockExpire: secondsLeft };
}

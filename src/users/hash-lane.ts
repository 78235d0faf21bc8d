import { randomInt } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { setImmediate as othersFirst } from 'node:timers/promises';
import pLimit from 'p-limit';
import { Problem } from '../problems/problem.js';

/** Kept below the four threads of libuv's pool: past that, hashing would hold up every file read and DNS look-up. */
const LANES = Math.min(3, Math.max(1, availableParallelism()));
const QUEUE_LENGTH = 64;
/** Fewer than the pool usually has connections: guesses that wait for each other's row must not take all of them. */
const COUNTED_AT_ONCE = 8;
/** Milliseconds that somebody waits at most to be counted, where the database stands still. */
const PATIENCE = 4_000;

/**
 * Where passwords wait for their hash, so that a storm of sign-ins slows only sign-ins. Attempts are counted at its
 * door, a few at a time and only while there is room for them behind it: whoever is refused as busy was not counted,
 * and whoever was counted is compared.
 */
export class HashLane {
  private readonly door = pLimit(COUNTED_AT_ONCE);
  private readonly lane = pLimit(LANES);
  private done = 0;
  private waitedMilliseconds = 0;

  /** @throws Problem busy, with nothing counted; and what `count` throws, with nothing hashed */
  async pass<Counted, Result>(
    count: () => Promise<Counted>,
    hash: (counted: Counted) => Promise<Result>,
  ): Promise<Result> {
    const came = performance.now();
    const counted = await this.door(async () => {
      const full = this.lane.pendingCount + this.door.activeCount > QUEUE_LENGTH;
      if (!full && performance.now() - came < PATIENCE) return count();
      // To refuse hundreds in one go would hold up everybody else.
      await othersFirst();
      // At random: those who were sent away together must not come back together.
      throw new Problem('busy', { retryAfter: randomInt(2, 6) });
    });
    const queued = performance.now();
    return this.lane(() => {
      this.waitedMilliseconds += performance.now() - queued;
      this.done += 1;
      return hash(counted);
    });
  }

  /** How many wait now, and how many have waited for how long since the start. */
  get load(): { waiting: number; done: number; waitedSeconds: number } {
    return { waiting: this.lane.pendingCount, done: this.done, waitedSeconds: this.waitedMilliseconds / 1_000 };
  }
}

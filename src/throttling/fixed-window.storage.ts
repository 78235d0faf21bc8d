import type { ThrottlerStorage } from '@nestjs/throttler';
import { EndingEntries } from './ending-entries.js';

interface Window {
  hits: number;
  endsAt: number;
}

/** Keys that are kept, at most: some 15 MB. Whoever has more addresses than these is not held up by a limit of each. */
const CAPACITY = 100_000;

/**
 * Counts hits in windows of fixed length, in this process. The library's own memory storage keeps a timer and an
 * entry for every hit; this keeps one number a key.
 */
export class FixedWindowStorage implements ThrottlerStorage {
  private readonly windows = new EndingEntries<Window>(CAPACITY);

  /** `ttl` in milliseconds; the answered times are in seconds. */
  increment(key: string, ttl: number, limit: number) {
    const now = performance.now();
    const window = this.windows.get(key) ?? this.begin(key, now + ttl);
    window.hits += 1;
    const secondsLeft = Math.max(1, Math.ceil((window.endsAt - now) / 1000));
    return Promise.resolve({
      totalHits: window.hits,
      timeToExpire: secondsLeft,
      isBlocked: window.hits > limit,
      timeToBlockExpire: secondsLeft,
    });
  }

  private begin(key: string, endsAt: number): Window {
    const window = { hits: 0, endsAt };
    this.windows.put(key, window);
    return window;
  }
}

import type { ThrottlerStorage } from '@nestjs/throttler';

interface Window {
  hits: number;
  endsAt: number;
}

/** Past so many keys the finished windows are swept, so that a flood of addresses costs bounded memory. */
const SWEEP_AT = 10_000;

/**
 * Counts hits in windows of fixed length, in this process. The library's own memory storage keeps a timer and an
 * entry for every hit; this keeps one number a key.
 */
export class FixedWindowStorage implements ThrottlerStorage {
  private readonly windows = new Map<string, Window>();

  /** `ttl` in milliseconds; the answered times are in seconds. */
  increment(key: string, ttl: number, limit: number) {
    const now = performance.now();
    if (this.windows.size > SWEEP_AT) this.sweep(now);
    let window = this.windows.get(key);
    if (!window || window.endsAt <= now) {
      window = { hits: 0, endsAt: now + ttl };
      this.windows.set(key, window);
    }
    window.hits += 1;
    const secondsLeft = Math.max(1, Math.ceil((window.endsAt - now) / 1000));
    return Promise.resolve({
      totalHits: window.hits,
      timeToExpire: secondsLeft,
      isBlocked: window.hits > limit,
      timeToBlockExpire: secondsLeft,
    });
  }

  private sweep(now: number): void {
    for (const [key, window] of this.windows) {
      if (window.endsAt <= now) this.windows.delete(key);
    }
  }
}

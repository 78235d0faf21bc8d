import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FixedWindowStorage } from './fixed-window.storage.js';

const MINUTE = 60_000;

describe('windows of fixed length', () => {
  let storage: FixedWindowStorage;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
    storage = new FixedWindowStorage();
  });
  afterEach(() => vi.useRealTimers());

  const hit = (key: string, limit = 3) => storage.increment(key, MINUTE, limit);

  it('let as many through as the limit says, and not one more', async () => {
    const blocked = [];
    for (let n = 0; n < 5; n += 1) blocked.push((await hit('a')).isBlocked);
    expect(blocked).toEqual([false, false, false, true, true]);
    expect((await hit('a')).totalHits).toBe(6);
  });

  it('count every key by itself', async () => {
    for (let n = 0; n < 4; n += 1) await hit('a');
    expect(await hit('b')).toMatchObject({ totalHits: 1, isBlocked: false });
    expect(await hit('__proto__')).toMatchObject({ totalHits: 1, isBlocked: false });
  });

  it('end a window’s length after the first hit, whatever came later', async () => {
    await hit('a');
    vi.advanceTimersByTime(59_999);
    for (let n = 0; n < 3; n += 1) await hit('a');
    expect((await hit('a')).isBlocked).toBe(true);
    vi.advanceTimersByTime(1);
    expect(await hit('a')).toMatchObject({ totalHits: 1, isBlocked: false, timeToExpire: 60 });
  });

  it('say in whole seconds how long it takes, at least one', async () => {
    expect((await hit('a')).timeToBlockExpire).toBe(60);
    vi.advanceTimersByTime(100);
    expect((await hit('a')).timeToBlockExpire).toBe(60);
    vi.advanceTimersByTime(59_800);
    expect((await hit('a')).timeToBlockExpire).toBe(1);
  });

  it('do not grow with the addresses of a flood that is over, and keep those that still count', async () => {
    const kept = storage as unknown as { windows: { size: number } };
    for (let n = 0; n <= 10_000; n += 1) await hit(`flood ${n}`);
    vi.advanceTimersByTime(MINUTE - 1);
    await hit('late');
    await hit('late');
    vi.advanceTimersByTime(1);
    expect((await hit('late')).totalHits).toBe(3);
    await hit('one more');
    expect(kept.windows.size).toBe(2);
    expect((await hit('late')).totalHits).toBe(4);
    expect((await hit('one more')).totalHits).toBe(2);
  });

  it('cost as much with a hundred thousand addresses as with one, and are kept for no more than these', async () => {
    const kept = storage as unknown as { windows: { size: number } };
    const began = Date.now();
    for (let n = 0; n < 260_000; n += 1) await hit(`address ${n}`);
    expect(Date.now() - began).toBeLessThan(8_000);
    expect(kept.windows.size).toBe(100_000);
    expect((await hit('address 259999')).totalHits).toBe(2);
    expect((await hit('address 0')).totalHits).toBe(1);
  });

  it('cost no more while old ones end as new ones begin', async () => {
    const kept = storage as unknown as { windows: { size: number } };
    const began = Date.now();
    for (let n = 0; n < 260_000; n += 1) {
      await hit(`address ${n}`);
      if (n % 500 === 499) vi.advanceTimersByTime(1_000);
    }
    expect(Date.now() - began).toBeLessThan(8_000);
    expect(kept.windows.size).toBeLessThanOrEqual(30_000);
    expect((await hit('address 259999')).totalHits).toBe(2);
  });

  it('that begin anew behind a longer one, or after all have ended, are new ones at the end', async () => {
    const kept = storage as unknown as { windows: { size: number } };
    const count = async (key: string, ttl: number) => (await storage.increment(key, ttl, 3)).totalHits;
    expect(await count('long', 10 * MINUTE)).toBe(1);
    for (let round = 0; round < 3; round += 1) {
      expect([await count('short', MINUTE), await count('short', MINUTE)]).toEqual([1, 2]);
      vi.advanceTimersByTime(MINUTE);
    }
    expect([await count('long', 10 * MINUTE), kept.windows.size]).toEqual([2, 2]);
    vi.advanceTimersByTime(10 * MINUTE);
    expect([await count('another', MINUTE), kept.windows.size]).toEqual([1, 1]);
    vi.advanceTimersByTime(MINUTE);
    expect([await count('third', MINUTE), kept.windows.size]).toEqual([1, 1]);
  });
});

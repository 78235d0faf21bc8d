import type { EnqueueOptions } from './jobs.service.js';
import type { RepeatedTask } from './tasks.js';

/** How long a job of upkeep goes on, in milliseconds. One that takes longer than the queue allows would be begun anew while it still runs. */
export const SHIFT = 15_000;

/** Its priority: behind everything that somebody waits for. */
export const LAST = 10;

/**
 * One page after the other, until `removePage` says that it was the last.
 * @returns whether it came to that; otherwise another shift has to go on
 */
export async function workShift(removePage: () => Promise<boolean>, milliseconds = SHIFT): Promise<boolean> {
  const until = performance.now() + milliseconds;
  do {
    if (await removePage()) return true;
  } while (performance.now() < until);
  return false;
}

/** For the job that goes on, on whichever replica; there is one of them at a time. */
export function anotherShiftOf(name: RepeatedTask): EnqueueOptions {
  return { key: name, priority: LAST, maxAttempts: 3 };
}

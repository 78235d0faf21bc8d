/** How long a job of upkeep goes on, in milliseconds. One that takes longer than the queue allows would be begun anew while it still runs. */
export const SHIFT = 15_000;

/** Its priority: behind everything that somebody waits for. */
export const LAST = 10;

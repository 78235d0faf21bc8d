import type { Outcome } from './webhook-sender.js';

export interface Verdict {
  state: 'pending' | 'delivered' | 'failed';
  status: number | null;
  error: string | null;
  /** Seconds until the next attempt, where there is one. */
  wait: number | null;
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;

/** Seconds before each attempt after the first, as Standard Webhooks advises: ten attempts in a little over three days. */
const WAITS: readonly number[] = [
  5,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
];

/** A tenth at most, so that what failed together does not come back together. */
const JITTER = 0.1;

/** What follows from an attempt. `attempts` counts this one; `random` is from 0 up to 1. */
export function verdictOn({ status, error }: Outcome, attempts: number, random: number): Verdict {
  if (status !== null && status >= 200 && status < 300) return { state: 'delivered', status, error: null, wait: null };
  const wait = WAITS[attempts - 1];
  const why = error ?? (isRedirect(status) ? 'Redirects are not followed' : null);
  if (status === 410 || wait === undefined) return { state: 'failed', status, error: why, wait: null };
  return { state: 'pending', status, error: why, wait: wait * (1 + JITTER * random) };
}

/** Of a delivery whose time came while its webhook was off. */
export const SWITCHED_OFF: Verdict = {
  state: 'failed',
  status: null,
  error: 'The webhook is switched off',
  wait: null,
};

function isRedirect(status: number | null): boolean {
  return status !== null && status >= 300 && status < 400;
}

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect } from 'vitest';
import { fireAtOnce, type Hit, type Shot } from '../security/burst.js';
import type { Replicas } from './replicas.js';

/** How often each race is run. */
const ROUNDS = Number(process.env['ABUSE_ROUNDS'] ?? 20);
const JITTER_MS = 5;
/** What a probe may take while a race is on: 100 ms on a machine of our own, and much room for one that is shared. */
const HEALTH_MS = 1_000;

/** A fraction of the rounds, for what takes long; at least one. */
export function rounds(fraction = 1): number[] {
  return Array.from({ length: Math.max(1, Math.round(ROUNDS * fraction)) }, (_, round) => round);
}

/** The same shot so many times. */
export function times(count: number, shot: Shot): Shot[] {
  return Array.from({ length: count }, () => shot);
}

/**
 * Lets all shots go together. The first round releases them in one tick, later ones within five milliseconds; every
 * third round is against a replica for which the database is far away. Whatever the outcome, the service stays alive.
 */
export async function race(replicas: Replicas, round: number, shots: readonly Shot[]): Promise<Hit[]> {
  const origins = round % 3 === 2 ? replicas.distant : replicas.origins;
  for (const { path, body, token } of shots) {
    replicas.ledger.sent(`/api/v1${path}`, JSON.stringify(body));
    if (token !== undefined) replicas.ledger.keep('a bearer token', token);
  }
  const jittered = shots.map((shot) => ({ ...shot, afterMs: round === 0 ? 0 : Math.random() * JITTER_MS }));
  const health = probe(origins);
  const hits = await fireAtOnce(origins, jittered).finally(() => health.stop());
  const median = await health.median;
  hits.forEach((hit, index) => {
    const { method = 'POST', path } = shots[index] as Shot;
    const text = Object.keys(hit.body).length === 0 ? '' : JSON.stringify(hit.body);
    replicas.ledger.answered({ method, url: `/api/v1${path}`, status: hit.status, headers: hit.headers, text });
  });
  expect(median, 'milliseconds of /health/live during the race').toBeLessThan(HEALTH_MS);
  return hits;
}

/** Asks whether the processes live as long as a race is on. */
function probe(origins: readonly string[]): { median: Promise<number>; stop(): void } {
  const thread = new Worker(new URL('./probe.mjs', import.meta.url), { workerData: { origins } });
  const measured = once(thread, 'message') as Promise<[number]>;
  return { median: measured.then(([median]) => median), stop: () => thread.postMessage('stop') };
}

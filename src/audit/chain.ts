import { createHmac, type KeyObject } from 'node:crypto';
import type { RingKey } from '../crypto/keys.js';
import type { StoredEvent } from './stored-event.js';

/** What an event says before the database adds when it happened. */
export type RecordedEvent = Omit<StoredEvent, 'at'>;

/** The last link of a chain, or the last of those that were removed from its beginning. */
export interface ChainPlace {
  seq: number;
  hash: Buffer;
}

export interface Link extends ChainPlace {
  eventId: string;
  eventMac: Buffer;
  /** Null where the log has no such event. */
  event: StoredEvent | null;
}

/**
 * `changed`: the event is not what was sealed · `missing`: it is gone, or its link is · `unchained`: an event that was
 * never sealed · `broken link`: the link does not follow from the one before.
 */
export interface Fault {
  seq: number | null;
  eventId: string | null;
  kind: 'changed' | 'missing' | 'unchained' | 'broken link';
}

/*
 * Everything is keyed (HMAC-SHA-256): somebody who can write to the database, and nothing else, can compute none of
 * it. The first word keeps a hash of one kind from standing for another.
 */

/** Made by who records an event, so that one which was written past the service is never sealed. */
export function recordMac(key: KeyObject, event: RecordedEvent): Buffer {
  return keyedHash(key, ['recorded', ...fieldsOf(event)]);
}

export function eventMac(key: KeyObject, event: StoredEvent): Buffer {
  return keyedHash(key, ['event', ...fieldsOf(event), event.at]);
}

export function nextLink(key: KeyObject, before: ChainPlace | null, mac: Buffer): ChainPlace {
  const seq = (before?.seq ?? 0) + 1;
  return { seq, hash: keyedHash(key, ['link', before?.hash.toString('hex') ?? null, seq, mac.toString('hex')]) };
}

/** Without it a place that was copied out of the chain would excuse whatever is missing before it. */
export function anchorMac(key: KeyObject, { seq, hash }: ChainPlace): Buffer {
  return keyedHash(key, ['anchor', seq, hash.toString('hex')]);
}

/** Whether any key of the ring made it: SECRET_KEY may have been replaced since. */
export function isMadeWith(ring: readonly RingKey[], made: Buffer, make: (key: KeyObject) => Buffer): boolean {
  return ring.some(({ key }) => make(key).equals(made));
}

/** What is wrong with a link and its event, given the link before. */
export function faultsOf(ring: readonly RingKey[], before: ChainPlace | null, link: Link): Fault[] {
  const { seq, eventId, event } = link;
  const faults: Fault[] = [];
  const due = (before?.seq ?? 0) + 1;
  if (seq !== due) faults.push({ seq: due, eventId: null, kind: 'missing' });
  else if (!isMadeWith(ring, link.hash, (key) => nextLink(key, before, link.eventMac).hash)) {
    faults.push({ seq, eventId, kind: 'broken link' });
  }
  if (!event) faults.push({ seq, eventId, kind: 'missing' });
  else if (!isMadeWith(ring, link.eventMac, (key) => eventMac(key, event))) {
    faults.push({ seq, eventId, kind: 'changed' });
  }
  return faults;
}

function fieldsOf(event: RecordedEvent): unknown[] {
  const { id, type, userId, actor, actorId, sessionId, requestId, ip, userAgent, details } = event;
  // A uuid may come from a request in capitals; the database gives it back without.
  const ids = [id, userId, actorId, sessionId].map((each) => each?.toLowerCase() ?? null);
  return [...ids, type, actor, requestId, ip, userAgent, canonical(JSON.parse(JSON.stringify(details)))];
}

function keyedHash(key: KeyObject, parts: readonly unknown[]): Buffer {
  return createHmac('sha256', key).update(JSON.stringify(parts)).digest();
}

/** The same value with its keys in one order: jsonb has an order of its own. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]): [string, unknown] => [name, canonical(inner)]);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

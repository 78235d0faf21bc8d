import { createSecretKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anchorMac, eventMac, faultsOf, nextLink, recordMac, type ChainPlace, type Link } from './chain.js';
import type { StoredEvent } from './stored-event.js';

const key = createSecretKey(Buffer.alloc(32, 1));

const event: StoredEvent = {
  id: '019aa000-0000-7000-8000-000000000001',
  type: 'sign-in.failed',
  at: '2026-11-22T09:30:00.000001Z',
  userId: '019aa000-0000-7000-8000-00000000000a',
  actor: 'user',
  actorId: null,
  sessionId: null,
  requestId: 'request-1',
  ip: '203.0.113.7',
  userAgent: 'curl',
  details: { reason: 'wrong_password', more: { b: 1, a: [2, { d: 3, c: 4 }] } },
};

function linkOf(before: ChainPlace | null, of: StoredEvent): Link {
  const mac = eventMac(key, of);
  return { ...nextLink(key, before, mac), eventId: of.id, eventMac: mac, event: of };
}

describe('the hash of an event', () => {
  it('does not depend on the order of keys, which jsonb changes', () => {
    const turned = { more: { a: [2, { c: 4, d: 3 }], b: 1 }, reason: 'wrong_password' };
    expect(eventMac(key, { ...event, details: turned })).toEqual(eventMac(key, event));
  });

  it('does depend on every field, and on the order of a list', () => {
    const others: Partial<StoredEvent>[] = [
      { id: '019aa000-0000-7000-8000-000000000002' },
      { type: 'sign-in.succeeded' },
      { at: '2026-11-22T09:30:00.000002Z' },
      { userId: null },
      { actor: 'cli' },
      { actorId: event.id },
      { sessionId: event.id },
      { requestId: null },
      { ip: '203.0.113.8' },
      { userAgent: '' },
      { userAgent: null },
      { details: {} },
      { details: { ...event.details, more: { b: 1, a: [{ d: 3, c: 4 }, 2] } } },
      // an object is not the list of its entries
      { details: { ...event.details, more: [['a', [2, { c: 4, d: 3 }]], ['b', 1]] } }, // prettier-ignore
    ];
    expect(Object.keys(event).every((name) => others.some((other) => name in other))).toBe(true);
    const hashes = [event, ...others.map((other) => ({ ...event, ...other }))].map((each) => eventMac(key, each));
    expect(new Set(hashes.map((hash) => hash.toString('hex'))).size).toBe(others.length + 1);
  });

  it('is another one with another key, and never stands for a hash of another kind', () => {
    const mac = eventMac(key, event);
    const place = nextLink(key, null, mac);
    const hashes = [
      mac,
      eventMac(createSecretKey(Buffer.alloc(32, 2)), event),
      recordMac(key, event),
      place.hash,
      anchorMac(key, place),
    ];
    expect(new Set(hashes.map((hash) => hash.toString('hex'))).size).toBe(hashes.length);
  });

  it('survives what JSON does to any details', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (details) => {
        const stored = JSON.parse(JSON.stringify(details)) as Record<string, unknown>;
        const turned = Object.fromEntries(Object.entries(stored).toReversed());
        expect(recordMac(key, { ...event, details: turned })).toEqual(recordMac(key, { ...event, details }));
      }),
    );
  });
});

describe('a link', () => {
  const first = linkOf(null, event);
  const second = linkOf(first, { ...event, id: '019aa000-0000-7000-8000-000000000002' });
  const third = linkOf(second, { ...event, id: '019aa000-0000-7000-8000-000000000003' });

  it('follows from the one before', () => {
    expect(faultsOf([{ id: 'key', key }], null, first)).toEqual([]);
    expect(faultsOf([{ id: 'key', key }], first, second)).toEqual([]);
    expect(faultsOf([{ id: 'key', key }], second, third)).toEqual([]);
  });

  it('has one fault for one deed', () => {
    const { eventId } = second;
    expect(faultsOf([{ id: 'key', key }], first, { ...second, event: { ...event, ip: null } })).toEqual([
      { seq: 2, eventId, kind: 'changed' },
    ]);
    expect(faultsOf([{ id: 'key', key }], first, { ...second, event: null })).toEqual([
      { seq: 2, eventId, kind: 'missing' },
    ]);
    expect(faultsOf([{ id: 'key', key }], first, { ...second, hash: first.hash })).toEqual([
      { seq: 2, eventId, kind: 'broken link' },
    ]);
    expect(faultsOf([{ id: 'key', key }], first, third)).toEqual([{ seq: 2, eventId: null, kind: 'missing' }]);
  });
});

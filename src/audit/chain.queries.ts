import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';
import type { ChainPlace, Link } from './chain.js';
import { EVENT_COLUMNS, type StoredEvent } from './stored-event.js';

/** Of `pg_advisory_xact_lock`: who holds it may change the chain, one replica at a time. */
const CHAIN_LOCK = 7_245_190_418;

/** The event of a row that was joined from the left: all its columns are null where there is none. */
type Joined = StoredEvent | { [column in keyof StoredEvent]: null };

const eventOf = (row: Joined): StoredEvent | null => (row.id === null ? null : row);

export async function tryLockChain(tx: EntityManager): Promise<boolean> {
  const row = await firstRow<{ locked: boolean }>(tx, 'SELECT pg_try_advisory_xact_lock($1) AS locked', [CHAIN_LOCK]);
  return row?.locked === true;
}

export async function lockChain(tx: EntityManager): Promise<void> {
  await rowsOf(tx, 'SELECT pg_advisory_xact_lock($1)', [CHAIN_LOCK]);
}

export async function countUnsealed(db: EntityManager): Promise<number> {
  const row = await firstRow<{ count: number }>(db, 'SELECT count(*)::float8 AS count FROM audit_unsealed', []);
  return row?.count ?? 0;
}

export interface UnsealedEvent {
  eventId: string;
  /** Null where the event is older than the chain. */
  mac: Buffer | null;
  /** Null where it has vanished. */
  event: StoredEvent | null;
  sealed: boolean;
}

/** The oldest ones; all of them where the limit is null. */
export async function findUnsealed(tx: EntityManager, limit: number | null): Promise<UnsealedEvent[]> {
  const rows = await rowsOf<Omit<UnsealedEvent, 'event'> & Joined>(
    tx,
    `SELECT u.event_id AS "eventId", u.mac, c.seq IS NOT NULL AS sealed, ${EVENT_COLUMNS}
     FROM (SELECT * FROM audit_unsealed ORDER BY event_id LIMIT $1) AS u
     LEFT JOIN audit_events AS e ON e.id = u.event_id
     LEFT JOIN audit_chain AS c ON c.event_id = u.event_id
     ORDER BY u.event_id`,
    [limit],
  );
  return rows.map(({ eventId, mac, sealed, ...columns }) => ({ eventId, mac, sealed, event: eventOf(columns) }));
}

export async function removeUnsealed(tx: EntityManager, eventIds: readonly string[]): Promise<void> {
  await rowsOf(tx, 'DELETE FROM audit_unsealed WHERE event_id = ANY($1)', [eventIds]);
}

export async function appendLinks(tx: EntityManager, links: readonly Omit<Link, 'event'>[]): Promise<void> {
  await rowsOf(
    tx,
    `INSERT INTO audit_chain (seq, event_id, event_mac, hash)
     SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[], $4::bytea[])`,
    [
      links.map(({ seq }) => seq),
      links.map(({ eventId }) => eventId),
      links.map(({ eventMac }) => eventMac),
      links.map(({ hash }) => hash),
    ],
  );
}

/** Where the chain ends; null before its first link. */
export async function findHead(db: EntityManager): Promise<ChainPlace | null> {
  const head = 'SELECT seq::float8 AS seq, hash FROM audit_chain ORDER BY audit_chain.seq DESC LIMIT 1';
  return (await firstRow<ChainPlace>(db, head, [])) ?? (await findAnchor(db));
}

export interface Anchor extends ChainPlace {
  mac: Buffer;
}

export function findAnchor(db: EntityManager): Promise<Anchor | null> {
  return firstRow<Anchor>(db, 'SELECT seq::float8 AS seq, hash, mac FROM audit_anchor', []);
}

/** Links in order, with their events. */
export async function findLinks(db: EntityManager, afterSeq: number, limit: number): Promise<Link[]> {
  const rows = await rowsOf<Omit<Link, 'event'> & Joined>(
    db,
    `SELECT c.seq::float8 AS seq, c.event_id AS "eventId", c.event_mac AS "eventMac", c.hash, ${EVENT_COLUMNS}
     FROM (SELECT * FROM audit_chain WHERE seq > $1 ORDER BY seq LIMIT $2) AS c
     LEFT JOIN audit_events AS e ON e.id = c.event_id
     ORDER BY c.seq`,
    [afterSeq, limit],
  );
  return rows.map(({ seq, eventId, eventMac, hash, ...columns }) => {
    return { seq, eventId, eventMac, hash, event: eventOf(columns) };
  });
}

/** Looks at the events after one in the order of their ids: which of them are neither in the chain nor wait for it. */
export function findUnchained(
  db: EntityManager,
  afterId: string,
  limit: number,
): Promise<{ lastId: string | null; unchained: string[] } | null> {
  return firstRow(
    db,
    `WITH looked_at AS (SELECT id FROM audit_events WHERE id > $1 ORDER BY id LIMIT $2)
     SELECT (SELECT id FROM looked_at ORDER BY id DESC LIMIT 1) AS "lastId",
            ARRAY(SELECT id FROM looked_at
                  WHERE NOT EXISTS (SELECT FROM audit_chain WHERE event_id = id)
                    AND NOT EXISTS (SELECT FROM audit_unsealed WHERE event_id = id)
                  ORDER BY id)::text[] AS unchained`,
    [afterId, limit],
  );
}

/** Removes the beginning of the chain and its events, and leaves the anchor in its place. */
export async function removeUpTo(tx: EntityManager, last: Anchor, eventIds: readonly string[]): Promise<void> {
  // Transaction-local, and the only thing that the triggers let pass.
  await rowsOf(tx, `SELECT set_config('countersign.removes_old_audit_events', 'on', true)`, []);
  await rowsOf(tx, 'DELETE FROM audit_events WHERE id = ANY($1)', [eventIds]);
  await rowsOf(tx, 'DELETE FROM audit_chain WHERE seq <= $1', [last.seq]);
  await rowsOf(
    tx,
    `INSERT INTO audit_anchor (seq, hash, mac) VALUES ($1, $2, $3)
     ON CONFLICT (one) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, mac = excluded.mac`,
    [last.seq, last.hash, last.mac],
  );
  await rowsOf(tx, `SELECT set_config('countersign.removes_old_audit_events', 'off', true)`, []);
}

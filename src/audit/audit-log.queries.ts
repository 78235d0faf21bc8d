import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';
import { EVENT_COLUMNS, preciseTime, type StoredEvent } from './stored-event.js';

/** What an event must be. Times are ISO 8601 with their offset: from is included, to is not. */
export interface EventFilter {
  userId?: string | undefined;
  actor?: string | undefined;
  actorId?: string | undefined;
  type?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
}

/** What events are ordered by. */
export type EventPlace = Pick<StoredEvent, 'at' | 'id'>;

const ORDERS = {
  'newest first': { past: '<', order: 'ORDER BY e.at DESC, e.id DESC' },
  'oldest first': { past: '>', order: 'ORDER BY e.at, e.id' },
} as const;

/** A page of events. Parameters that are null are gone when PostgreSQL plans: each filter finds its index. */
export function findEvents(
  db: EntityManager,
  { userId, actor, actorId, type, from, to }: EventFilter,
  order: keyof typeof ORDERS,
  after: EventPlace | null,
  limit: number,
): Promise<StoredEvent[]> {
  return rowsOf<StoredEvent>(
    db,
    `SELECT ${EVENT_COLUMNS} FROM audit_events AS e
     WHERE ($1::uuid IS NULL OR e.user_id = $1) AND ($2::text IS NULL OR e.actor = $2)
       AND ($3::uuid IS NULL OR e.actor_id = $3) AND ($4::text IS NULL OR e.type = $4)
       AND ($5::timestamptz IS NULL OR e.at >= $5) AND ($6::timestamptz IS NULL OR e.at < $6)
       AND ($7::timestamptz IS NULL OR (e.at, e.id) ${ORDERS[order].past} ($7, $8::uuid))
     ${ORDERS[order].order} LIMIT $9`,
    [userId, actor, actorId, type, from, to, after?.at, after?.id, limit],
  );
}

/** The time so many seconds ago, as events have it. */
export async function timeBefore(db: EntityManager, seconds: number): Promise<string> {
  const time = preciseTime('(now() - make_interval(secs => $1))');
  const row = await firstRow<{ time: string }>(db, `SELECT ${time} AS time`, [seconds]);
  if (!row) throw new Error('The database did not tell the time');
  return row.time;
}

import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';
import type { Verdict } from './verdict.js';

export interface Delivery {
  id: string;
  /** The order of the audit log; a number too large for JavaScript. */
  place: string;
  eventId: string;
  type: string;
  state: Verdict['state'];
  attempts: number;
  lastStatus: number | null;
  lastError: string | null;
  nextAttemptAt: Date | null;
  createdAt: Date;
  deliveredAt: Date | null;
}

const COLUMNS = `id, place, event_id AS "eventId", type, state, attempts, last_status AS "lastStatus",
  last_error AS "lastError", next_attempt_at AS "nextAttemptAt", created_at AS "createdAt", delivered_at AS "deliveredAt"`;

interface NewEvent {
  id: string;
  type: string;
  body: string;
}

/**
 * One delivery for every event and every active webhook that listens to it, in the order of the events; answers the
 * webhooks. The share lock makes {@link secondsUntilNext} wait, or else its answer would already be wrong.
 */
export function insertDeliveries(tx: EntityManager, events: readonly NewEvent[]): Promise<{ webhookId: string }[]> {
  return rowsOf<{ webhookId: string }>(
    tx,
    `WITH listeners AS (SELECT id, events FROM webhooks WHERE active FOR SHARE),
     planned AS (
       INSERT INTO webhook_deliveries
         (webhook_id, event_id, type, body, state, ticket, attempts, next_attempt_at, created_at)
       SELECT l.id, e.id, e.type, e.body, 'pending', gen_random_uuid(), 0, now(), now()
       FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS e (id, type, body, place)
       JOIN listeners l ON l.events = '{}' OR e.type = ANY (l.events)
       ORDER BY e.place
       ON CONFLICT (webhook_id, event_id) DO NOTHING
       RETURNING webhook_id
     )
     SELECT DISTINCT webhook_id AS "webhookId" FROM planned`,
    [events.map(({ id }) => id), events.map(({ type }) => type), events.map(({ body }) => body)],
  );
}

/** A delivery to one webhook, whatever it listens to; null where the webhook is not active. */
export function insertDelivery(tx: EntityManager, webhookId: string, event: NewEvent): Promise<Delivery | null> {
  return firstRow<Delivery>(
    tx,
    `WITH target AS (SELECT id FROM webhooks WHERE id = $1 AND active FOR SHARE)
     INSERT INTO webhook_deliveries
       (webhook_id, event_id, type, body, state, ticket, attempts, next_attempt_at, created_at)
     SELECT id, $2, $3, $4, 'pending', gen_random_uuid(), 0, now(), now() FROM target
     RETURNING ${COLUMNS}`,
    [webhookId, event.id, event.type, event.body],
  );
}

/** Begins from the first attempt again, also while another one is planned or made: what comes of that no longer counts. */
export function restartDelivery(tx: EntityManager, webhookId: string, deliveryId: string): Promise<Delivery | null> {
  return firstRow<Delivery>(
    tx,
    `WITH target AS (SELECT id AS webhook FROM webhooks WHERE id = $1 AND active FOR SHARE)
     UPDATE webhook_deliveries SET
       state = 'pending', ticket = gen_random_uuid(), attempts = 0, next_attempt_at = now(), delivered_at = NULL
     FROM target WHERE id = $2 AND webhook_id = webhook
     RETURNING ${COLUMNS}`,
    [webhookId, deliveryId],
  );
}

export interface DueDelivery {
  id: string;
  ticket: string;
  webhookId: string;
  eventId: string;
  body: string;
  attempts: number;
  url: string;
  active: boolean;
  sealedSecret: string;
  /** While it still signs. */
  sealedPreviousSecret: string | null;
}

/** What comes next at a webhook; null where nothing is due. */
export function findDueDelivery(db: EntityManager, webhookId: string): Promise<DueDelivery | null> {
  return firstRow<DueDelivery>(
    db,
    `SELECT d.id, d.ticket, d.webhook_id AS "webhookId", d.event_id AS "eventId", d.body, d.attempts, w.url, w.active,
       w.sealed_secret AS "sealedSecret",
       CASE WHEN w.previous_secret_until > now() THEN w.sealed_previous_secret END AS "sealedPreviousSecret"
     FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
     WHERE d.webhook_id = $1 AND d.state = 'pending' AND d.next_attempt_at <= now()
     ORDER BY d.next_attempt_at, d.place LIMIT 1`,
    [webhookId],
  );
}

/** When something is due next at a webhook, which is locked; null where nothing is planned. */
export async function secondsUntilNext(tx: EntityManager, webhookId: string): Promise<number | null> {
  const row = await firstRow<{ seconds: number | null }>(
    tx,
    `SELECT extract(epoch FROM min(next_attempt_at) - now())::float AS seconds
     FROM webhook_deliveries WHERE webhook_id = $1 AND state = 'pending'`,
    [webhookId],
  );
  return row?.seconds ?? null;
}

/**
 * Stores what an attempt came to. False where it does not count: somebody began again meanwhile, or another replica did
 * the same attempt because this one seemed dead.
 */
export async function settleDelivery(
  tx: EntityManager,
  due: DueDelivery,
  { state, status, error, wait }: Verdict,
  attempts: number,
): Promise<boolean> {
  const settled = await firstRow(
    tx,
    `UPDATE webhook_deliveries SET
       state = $3, last_status = $4, last_error = $5, attempts = $7, ticket = gen_random_uuid(),
       next_attempt_at = now() + make_interval(secs => $6), delivered_at = CASE WHEN $3 = 'delivered' THEN now() END
     WHERE id = $1 AND ticket = $2 AND state = 'pending'
     RETURNING id`,
    [due.id, due.ticket, state, status, error, wait, attempts],
  );
  return settled !== null;
}

/** The newest first. */
export function findDeliveries(
  db: EntityManager,
  webhookId: string,
  { limit, before }: { limit: number; before: string | null },
): Promise<Delivery[]> {
  return rowsOf<Delivery>(
    db,
    `SELECT ${COLUMNS} FROM webhook_deliveries
     WHERE webhook_id = $1 AND ($2::bigint IS NULL OR place < $2)
     ORDER BY place DESC LIMIT $3`,
    [webhookId, before, limit],
  );
}

/** How many were removed, `most` at a time: a statement must not outlast its limit. */
export async function deleteOldDeliveries(tx: EntityManager, days: number, most: number): Promise<number> {
  const removed = await rowsOf(
    tx,
    `DELETE FROM webhook_deliveries WHERE id IN (
       SELECT id FROM webhook_deliveries WHERE created_at < now() - make_interval(days => $1) LIMIT $2
     ) RETURNING id`,
    [days, most],
  );
  return removed.length;
}

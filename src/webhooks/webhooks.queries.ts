import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';
import type { WebhookEventType } from './webhook-events.js';

export interface Webhook {
  id: string;
  url: string;
  description: string;
  events: WebhookEventType[];
  active: boolean;
  disabledReason: 'failures' | 'gone' | null;
  failures: number;
  failingSince: Date | null;
  previousSecretUntil: Date | null;
  createdAt: Date;
  updatedAt: Date;
}

/** Everything but the secrets. */
const COLUMNS = `id, url, description, events, active, disabled_reason AS "disabledReason", failures,
  failing_since AS "failingSince",
  CASE WHEN previous_secret_until > now() THEN previous_secret_until END AS "previousSecretUntil",
  created_at AS "createdAt", updated_at AS "updatedAt"`;

export interface WebhookChanges {
  url?: string;
  events?: readonly WebhookEventType[];
  active?: boolean;
  description?: string;
}

export function findWebhooks(db: EntityManager): Promise<Webhook[]> {
  return rowsOf<Webhook>(db, `SELECT ${COLUMNS} FROM webhooks ORDER BY id`, []);
}

export function findWebhook(db: EntityManager, id: string): Promise<Webhook | null> {
  return firstRow<Webhook>(db, `SELECT ${COLUMNS} FROM webhooks WHERE id = $1`, [id]);
}

/** Null where there are `most` already. Two at the same time wait for each other, so that both cannot be the last. */
export async function insertWebhook(
  tx: EntityManager,
  webhook: { id: string; url: string; events: readonly string[]; description: string; sealedSecret: string },
  most: number,
): Promise<Webhook | null> {
  await rowsOf(tx, `SELECT pg_advisory_xact_lock(hashtextextended('webhooks', 0))`, []);
  return firstRow<Webhook>(
    tx,
    `INSERT INTO webhooks (id, url, description, events, active, failures, sealed_secret, created_at, updated_at)
     SELECT $1, $2, $3, $4::text[], true, 0, $5, now(), now()
     WHERE (SELECT count(*) FROM webhooks) < $6
     RETURNING ${COLUMNS}`,
    [webhook.id, webhook.url, webhook.description, webhook.events, webhook.sealedSecret, most],
  );
}

/** Switching on forgets the failures: whoever does it says that the receiver works again. */
export function updateWebhook(
  tx: EntityManager,
  id: string,
  { url, events, active, description }: WebhookChanges,
): Promise<Webhook | null> {
  return firstRow<Webhook>(
    tx,
    `UPDATE webhooks SET
       url = coalesce($2, url), events = coalesce($3::text[], events), description = coalesce($4, description),
       active = coalesce($5::boolean, active),
       disabled_reason = CASE WHEN $5::boolean IS NULL THEN disabled_reason END,
       failures = CASE WHEN $5::boolean THEN 0 ELSE failures END,
       failing_since = CASE WHEN $5::boolean THEN NULL ELSE failing_since END,
       updated_at = now()
     WHERE id = $1 RETURNING ${COLUMNS}`,
    [id, url ?? null, events ?? null, description ?? null, active ?? null],
  );
}

export async function deleteWebhook(tx: EntityManager, id: string): Promise<boolean> {
  return (await firstRow(tx, 'DELETE FROM webhooks WHERE id = $1 RETURNING id', [id])) !== null;
}

/** The present secret becomes the previous one, which signs for a while longer. */
export function rotateSecret(
  tx: EntityManager,
  id: string,
  sealedSecret: string,
  overlapSeconds: number,
): Promise<Webhook | null> {
  return firstRow<Webhook>(
    tx,
    `UPDATE webhooks SET
       sealed_previous_secret = sealed_secret, previous_secret_until = now() + make_interval(secs => $3),
       sealed_secret = $2, updated_at = now()
     WHERE id = $1 RETURNING ${COLUMNS}`,
    [id, sealedSecret, overlapSeconds],
  );
}

/** Before a delivery of it is touched: whoever removes a webhook takes the rows in this order too. */
export async function lockWebhook(tx: EntityManager, id: string): Promise<boolean> {
  return (await firstRow(tx, 'SELECT id FROM webhooks WHERE id = $1 FOR NO KEY UPDATE', [id])) !== null;
}

export async function recordSuccess(tx: EntityManager, id: string): Promise<void> {
  await rowsOf(tx, 'UPDATE webhooks SET failures = 0, failing_since = NULL WHERE id = $1 AND failures > 0', [id]);
}

/** When a webhook is given up. */
export interface Patience {
  /** So many failures in a row … */
  failures: number;
  /** … over so many seconds: a burst while the receiver restarts is no reason. */
  overSeconds: number;
  /** Or nothing but failures for so many seconds. */
  lastingSeconds: number;
}

/** Why a webhook is switched off by this failure; null where it is not. The webhook is locked. */
export async function recordFailure(
  tx: EntityManager,
  id: string,
  gone: boolean,
  patience: Patience,
): Promise<Webhook['disabledReason']> {
  const row = await firstRow<{ reason: Webhook['disabledReason'] }>(
    tx,
    `UPDATE webhooks AS w SET
       failures = w.failures + 1, failing_since = counted.since,
       active = counted.reason IS NULL, disabled_reason = counted.reason
     FROM (
       SELECT coalesce(failing_since, now()) AS since,
         CASE
           WHEN $2 THEN 'gone'
           WHEN failing_since <= now() - make_interval(secs => $5) THEN 'failures'
           WHEN failures + 1 >= $3 AND failing_since <= now() - make_interval(secs => $4) THEN 'failures'
         END AS reason
       FROM webhooks WHERE id = $1
     ) AS counted
     WHERE w.id = $1 AND w.active RETURNING w.disabled_reason AS reason`,
    [id, gone, patience.failures, patience.overSeconds, patience.lastingSeconds],
  );
  return row?.reason ?? null;
}

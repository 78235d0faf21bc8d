import type { EntityManager } from 'typeorm';
import type { Rate } from '../config/values.js';
import { firstRow, rowsOf } from '../database/sql.js';

/** How often, and how soon after each other, messages may go to what a key stands for. */
export interface SendLimits {
  cooldownSeconds: number;
  rates: readonly Rate[];
}

/** Counts a send unless one of the limits is reached; of parallel requests exactly as many get it as there is room for. */
export async function takeSend(tx: EntityManager, key: Buffer, limits: SendLimits): Promise<boolean> {
  const { points, seconds } = columnsOf(limits.rates);
  const taken = await firstRow(
    tx,
    `INSERT INTO destination_sends AS d (key, last_sent_at, sent_at) VALUES ($1, now(), ARRAY[now()])
     ON CONFLICT (key) DO UPDATE SET
       last_sent_at = now(),
       sent_at = ARRAY(SELECT t FROM unnest(d.sent_at) t WHERE t > now() - make_interval(secs => $5)) || now()
     WHERE ($2::int = 0 OR d.last_sent_at <= now() - make_interval(secs => $2))
       AND NOT EXISTS (
         SELECT 1 FROM unnest($3::int[], $4::int[]) AS rate (points, seconds)
         WHERE (SELECT count(*) FROM unnest(d.sent_at) t WHERE t > now() - make_interval(secs => rate.seconds))
           >= rate.points)
     RETURNING key`,
    [key, limits.cooldownSeconds, points, seconds, Math.max(0, ...seconds)],
  );
  return taken !== null;
}

/** After {@link takeSend} was refused. What took the send may have begun after us, so its time may be ahead of ours. */
export async function secondsUntilSend(tx: EntityManager, key: Buffer, limits: SendLimits): Promise<number> {
  const { points, seconds } = columnsOf(limits.rates);
  const row = await firstRow<{ seconds: number }>(
    tx,
    `SELECT greatest(1, ceil(extract(epoch FROM greatest(
         least(d.last_sent_at, now()) + make_interval(secs => $2),
         (SELECT max(oldest) FROM (
            SELECT (SELECT least(t, now()) FROM unnest(d.sent_at) t ORDER BY t DESC OFFSET rate.points - 1 LIMIT 1)
              + make_interval(secs => rate.seconds) AS oldest
            FROM unnest($3::int[], $4::int[]) AS rate (points, seconds)) AS ends)
       ) - now())))::int AS seconds
     FROM destination_sends d WHERE key = $1`,
    [key, limits.cooldownSeconds, points, seconds],
  );
  return row?.seconds ?? 1;
}

export async function forgetSends(tx: EntityManager, key: Buffer): Promise<void> {
  await rowsOf(tx, 'DELETE FROM destination_sends WHERE key = $1', [key]);
}

/** Gives the oldest send back. */
export async function forgetOneSend(tx: EntityManager, key: Buffer): Promise<void> {
  await rowsOf(tx, 'UPDATE destination_sends SET sent_at = sent_at[2:] WHERE key = $1', [key]);
}

function columnsOf(rates: readonly Rate[]): { points: number[]; seconds: number[] } {
  return { points: rates.map((rate) => rate.points), seconds: rates.map((rate) => rate.seconds) };
}

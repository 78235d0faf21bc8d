import { Injectable } from '@nestjs/common';
import { createHmac } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { Config } from '../config/config.js';
import { Keys } from '../crypto/keys.js';
import { firstRow, rowsOf } from '../database/sql.js';

/** How long until the next message to one destination may go out; 0 = now. */
export type SendPermission = { allowed: true } | { allowed: false; retryAfter: number };

/** Messages to one destination, all purposes together: a cooldown between two, and a few an hour and a day. */
@Injectable()
export class DestinationLimit {
  private readonly hashKey: Buffer;

  constructor(
    private readonly config: Config,
    keys: Keys,
  ) {
    this.hashKey = keys.for('counters');
  }

  /** Takes one send in the caller's transaction; of parallel requests exactly one gets it. */
  async take(tx: EntityManager, destination: string): Promise<SendPermission> {
    const { points, seconds } = this.windows();
    const key = this.keyOf(destination);
    const taken = await firstRow(
      tx,
      `INSERT INTO destination_sends AS d (key, last_sent_at, sent_at) VALUES ($1, now(), ARRAY[now()])
       ON CONFLICT (key) DO UPDATE SET
         last_sent_at = now(),
         sent_at = ARRAY(SELECT t FROM unnest(d.sent_at) t WHERE t > now() - make_interval(secs => $5)) || now()
       WHERE d.last_sent_at <= now() - make_interval(secs => $2)
         AND NOT EXISTS (
           SELECT 1 FROM unnest($3::int[], $4::int[]) AS rate (points, seconds)
           WHERE (SELECT count(*) FROM unnest(d.sent_at) t WHERE t > now() - make_interval(secs => rate.seconds))
             >= rate.points)
       RETURNING key`,
      [key, this.config.codes.resendCooldownSeconds, points, seconds, Math.max(0, ...seconds)],
    );
    if (taken) return { allowed: true };
    return { allowed: false, retryAfter: await this.secondsLeft(tx, key) };
  }

  /** The right code came back: whoever reads this destination asked for the messages, so they do not count. */
  async forgive(tx: EntityManager, destination: string): Promise<void> {
    await rowsOf(tx, 'DELETE FROM destination_sends WHERE key = $1', [this.keyOf(destination)]);
  }

  private async secondsLeft(tx: EntityManager, key: Buffer): Promise<number> {
    const { points, seconds } = this.windows();
    const row = await firstRow<{ seconds: number }>(
      tx,
      `SELECT greatest(1, ceil(extract(epoch FROM greatest(
           d.last_sent_at + make_interval(secs => $2),
           (SELECT max(oldest) FROM (
              SELECT (SELECT t FROM unnest(d.sent_at) t ORDER BY t DESC OFFSET rate.points - 1 LIMIT 1)
                + make_interval(secs => rate.seconds) AS oldest
              FROM unnest($3::int[], $4::int[]) AS rate (points, seconds)) AS ends)
         ) - now())))::int AS seconds
       FROM destination_sends d WHERE key = $1`,
      [key, this.config.codes.resendCooldownSeconds, points, seconds],
    );
    return row?.seconds ?? 1;
  }

  private windows(): { points: number[]; seconds: number[] } {
    const rates = this.config.limits.sendPerDestination;
    return { points: rates.map((rate) => rate.points), seconds: rates.map((rate) => rate.seconds) };
  }

  private keyOf(destination: string): Buffer {
    return createHmac('sha256', this.hashKey).update(`destination\0${destination}`).digest();
  }
}

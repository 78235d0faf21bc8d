import type { EntityManager } from 'typeorm';
import type { Rate } from '../config/values.js';
import { firstRow, rowsOf } from '../database/sql.js';

const TODAY = `(now() AT TIME ZONE 'UTC')::date`;
const LAST_HOUR = `sent_at > now() - interval '1 hour'`;
/** Time enough to type a code back: judged sooner, the first busy minute of a quiet hour would look like fraud. */
const SETTLED = `(answered OR sent_at <= now() - interval '2 minutes')`;

/**
 * Counts a destination as one that is new to an account, unless it was one within the time of the rate. Call it under
 * the lock of the user's row, which makes the count exact.
 * @returns false where the account has had its share
 */
export async function takeNewDestination(
  tx: EntityManager,
  { userId, key }: { userId: string; key: Buffer },
  { points, seconds }: Rate,
): Promise<boolean> {
  const taken = await firstRow(
    tx,
    `INSERT INTO account_destinations AS known (user_id, key, first_sent_at)
     SELECT $1, $2, now()
     WHERE $3 > (SELECT count(*) FROM account_destinations d
                 WHERE d.user_id = $1 AND d.key <> $2 AND d.first_sent_at > now() - make_interval(secs => $4))
     ON CONFLICT (user_id, key) DO UPDATE SET first_sent_at =
       CASE WHEN known.first_sent_at > now() - make_interval(secs => $4) THEN known.first_sent_at ELSE now() END
     RETURNING user_id`,
    [userId, key, points, seconds],
  );
  return taken !== null;
}

export async function secondsUntilNewDestination(
  tx: EntityManager,
  userId: string,
  { seconds }: Rate,
): Promise<number> {
  const row = await firstRow<{ seconds: number }>(
    tx,
    `SELECT greatest(1, ceil(extract(epoch FROM least(min(first_sent_at), now()) - now()) + $2))::int AS seconds
     FROM account_destinations WHERE user_id = $1 AND first_sent_at > now() - make_interval(secs => $2)`,
    [userId, seconds],
  );
  return row?.seconds ?? 1;
}

/**
 * Holds the row of a country that messages go to, so that its codes are sent and judged one at a time.
 * @returns false where it is paused; `never`: pauses do not count
 */
export async function enterCountry(tx: EntityManager, country: string, never: boolean): Promise<boolean> {
  const entered = await firstRow(
    tx,
    `INSERT INTO text_message_countries AS c (country) VALUES ($1)
     ON CONFLICT (country) DO UPDATE SET paused_until = NULL
     WHERE $2::boolean OR c.paused_until IS NULL OR c.paused_until <= now()
     RETURNING country`,
    [country, never],
  );
  return entered !== null;
}

export async function secondsUntilCountry(tx: EntityManager, country: string): Promise<number> {
  const row = await firstRow<{ seconds: number }>(
    tx,
    `SELECT greatest(1, ceil(extract(epoch FROM paused_until - now())))::int AS seconds
     FROM text_message_countries WHERE country = $1`,
    [country],
  );
  return row?.seconds ?? 1;
}

/**
 * Counts a message of today, in UTC.
 * @returns how much of the budget is used with it; null where all of it was. A `budget` of null has no end.
 */
export async function takeFromBudget(tx: EntityManager, budget: number | null): Promise<number | null> {
  const taken = await firstRow<{ used: number }>(
    tx,
    `INSERT INTO text_message_days AS d (day, sent) VALUES (${TODAY}, 1)
     ON CONFLICT (day) DO UPDATE SET sent = d.sent + 1 WHERE $1::int IS NULL OR d.sent - d.forgiven < $1
     RETURNING sent - forgiven AS used`,
    [budget],
  );
  return taken?.used ?? null;
}

export async function secondsUntilTomorrow(tx: EntityManager): Promise<number> {
  const row = await firstRow<{ seconds: number }>(
    tx,
    `SELECT greatest(1, ceil(extract(epoch FROM (${TODAY} + 1)::timestamp AT TIME ZONE 'UTC' - now())))::int AS seconds`,
    [],
  );
  return row?.seconds ?? 1;
}

export async function insertSentCode(tx: EntityManager, country: string, key: Buffer): Promise<void> {
  await rowsOf(tx, 'INSERT INTO sent_text_codes (country, key, sent_at) VALUES ($1, $2, now())', [country, key]);
}

/** A right code came back from a number: somebody reads there, so all that was sent there was wanted. */
export async function markAnswered(tx: EntityManager, key: Buffer): Promise<void> {
  await rowsOf(tx, `UPDATE sent_text_codes SET answered = true WHERE key = $1 AND NOT answered AND ${LAST_HOUR}`, [
    key,
  ]);
}

export interface Judged {
  sent: number;
  answered: number;
}

/**
 * Pauses a country where of at least `fewest` codes of the last hour fewer than `percent` came back, not counting those
 * that may still come. Call it after {@link enterCountry}, which lets one message at a time come here, so a pause begins
 * once.
 */
export function pauseIfIgnored(
  tx: EntityManager,
  country: string,
  { fewest, percent }: { fewest: number; percent: number },
): Promise<Judged | null> {
  return firstRow<Judged>(
    tx,
    `UPDATE text_message_countries c SET paused_until = now() + interval '1 hour'
     FROM (SELECT count(*)::int AS sent, (count(*) FILTER (WHERE answered))::int AS answered
           FROM sent_text_codes WHERE country = $1 AND ${LAST_HOUR} AND ${SETTLED}) AS codes
     WHERE c.country = $1 AND codes.sent >= $2 AND codes.answered * 100 < codes.sent * $3
     RETURNING codes.sent, codes.answered`,
    [country, fewest, percent],
  );
}

export interface CountryState {
  country: string;
  sent: number;
  answered: number;
  /** Null where it is not paused. */
  pausedUntil: Date | null;
}

/** Countries that codes went to in the last hour, or that are paused. */
export function findCountries(db: EntityManager): Promise<CountryState[]> {
  return rowsOf<CountryState>(
    db,
    `SELECT c.country, coalesce(codes.sent, 0) AS sent, coalesce(codes.answered, 0) AS answered,
            CASE WHEN c.paused_until > now() THEN c.paused_until END AS "pausedUntil"
     FROM text_message_countries c
     LEFT JOIN (SELECT country, count(*)::int AS sent, (count(*) FILTER (WHERE answered))::int AS answered
                FROM sent_text_codes WHERE ${LAST_HOUR} GROUP BY country) codes ON codes.country = c.country
     WHERE codes.sent > 0 OR c.paused_until > now() ORDER BY c.country`,
    [],
  );
}

/** `used`: what of it is held against the budget. */
export async function findToday(db: EntityManager): Promise<{ sent: number; used: number }> {
  const today = await firstRow<{ sent: number; used: number }>(
    db,
    `SELECT sent, sent - forgiven AS used FROM text_message_days WHERE day = ${TODAY}`,
    [],
  );
  return today ?? { sent: 0, used: 0 };
}

/** Ends the pause of a country, or of all (null), and forgets what it followed from: else the next code began another. */
export async function endPauses(tx: EntityManager, country: string | null): Promise<void> {
  await rowsOf(tx, 'UPDATE text_message_countries SET paused_until = NULL WHERE $1::text IS NULL OR country = $1', [
    country,
  ]);
  await rowsOf(tx, 'DELETE FROM sent_text_codes WHERE $1::text IS NULL OR country = $1', [country]);
}

/** The budget of today begins anew; what was sent stays known. */
export async function forgiveToday(tx: EntityManager): Promise<void> {
  await rowsOf(tx, `UPDATE text_message_days SET forgiven = sent WHERE day = ${TODAY}`, []);
}

/** What no limit looks at any more, of tables that grow with days and with what accounts add: a few rows each hour. */
export async function removeOldCounts(db: EntityManager, accountSeconds: number): Promise<void> {
  await rowsOf(db, `DELETE FROM text_message_days WHERE day < ${TODAY} - 31`, []);
  await rowsOf(db, 'DELETE FROM account_destinations WHERE first_sent_at < now() - make_interval(secs => $1)', [
    accountSeconds,
  ]);
}

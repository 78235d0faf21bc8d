import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';

const LIVE = 'ended_at IS NULL AND expires_at > now() AND idle_expires_at > now()';

export interface NewSession {
  id: string;
  userId: string;
  proved: readonly string[];
  amr: readonly string[];
  refreshSalt: Buffer;
  ip: string;
  userAgent: string | null;
  idleSeconds: number;
  maxSeconds: number;
  keep: number;
}

/** Inserts a session and ends the user's oldest ones past the limit, in one statement. */
export async function insertSession(tx: EntityManager, session: NewSession): Promise<{ authenticatedAt: Date }> {
  const row = await firstRow<{ authenticatedAt: Date }>(
    tx,
    `WITH surplus AS (
       UPDATE sessions SET ended_at = now(), end_reason = 'limit'
       WHERE id IN (SELECT id FROM sessions WHERE user_id = $2 AND ended_at IS NULL
                    ORDER BY created_at DESC OFFSET $10 - 1 FOR UPDATE))
     INSERT INTO sessions (id, user_id, proved, amr, authenticated_at, refresh_salt, refreshed_at, ip, user_agent,
                           created_at, idle_expires_at, expires_at)
     VALUES ($1, $2, $3, $4, now(), $5, now(), $6, $7, now(),
             now() + make_interval(secs => $8), now() + make_interval(secs => $9))
     RETURNING authenticated_at AS "authenticatedAt"`,
    [
      session.id,
      session.userId,
      session.proved,
      session.amr,
      session.refreshSalt,
      session.ip,
      session.userAgent,
      session.idleSeconds,
      session.maxSeconds,
      session.keep,
    ],
  );
  if (!row) throw new Error('A session was not inserted');
  return row;
}

/** Whether the session of an access token, and its user, still stand: one indexed look-up, before every authenticated request. */
export async function isSessionLive(db: EntityManager, sessionId: string): Promise<boolean> {
  const live = `SELECT 1 FROM sessions WHERE id = $1 AND ${LIVE}
    AND EXISTS (SELECT 1 FROM users u WHERE u.id = sessions.user_id AND u.active)`;
  return (await firstRow(db, live, [sessionId])) !== null;
}

export interface RefreshState {
  userId: string;
  proved: string[];
  amr: string[];
  authenticatedAt: Date;
  refreshSalt: Buffer;
  refreshCounter: number;
  live: boolean;
  secondsSinceRefresh: number;
  idleSecondsLeft: number;
}

export function findRefreshState(db: EntityManager, sessionId: string): Promise<RefreshState | null> {
  return firstRow<RefreshState>(
    db,
    `SELECT user_id AS "userId", proved, amr, authenticated_at AS "authenticatedAt", refresh_salt AS "refreshSalt",
            refresh_counter AS "refreshCounter", (${LIVE}) AS live,
            extract(epoch FROM now() - refreshed_at)::float AS "secondsSinceRefresh",
            floor(extract(epoch FROM idle_expires_at - now()))::int AS "idleSecondsLeft"
     FROM sessions WHERE id = $1`,
    [sessionId],
  );
}

/** Moves the family to its next token if `counter` is still the present one: of parallel refreshes one wins. */
export function advanceRefreshCounter(
  db: EntityManager,
  sessionId: string,
  counter: number,
  idleSeconds: number,
): Promise<{ idleSecondsLeft: number } | null> {
  return firstRow<{ idleSecondsLeft: number }>(
    db,
    `UPDATE sessions SET refresh_counter = refresh_counter + 1, refreshed_at = now(),
            idle_expires_at = least(now() + make_interval(secs => $3), expires_at)
     WHERE id = $1 AND refresh_counter = $2 AND ${LIVE}
     RETURNING floor(extract(epoch FROM idle_expires_at - now()))::int AS "idleSecondsLeft"`,
    [sessionId, counter, idleSeconds],
  );
}

/** Ends one session; null where it had ended before. */
export function endSession(tx: EntityManager, sessionId: string, reason: string): Promise<{ userId: string } | null> {
  return firstRow<{ userId: string }>(
    tx,
    `UPDATE sessions SET ended_at = now(), end_reason = $2 WHERE id = $1 AND ended_at IS NULL
     RETURNING user_id AS "userId"`,
    [sessionId, reason],
  );
}

/** Ends all sessions of a user but the one to keep. */
export async function endSessionsOf(
  tx: EntityManager,
  userId: string,
  reason: string,
  keep: string | null,
): Promise<void> {
  await rowsOf(
    tx,
    `UPDATE sessions SET ended_at = now(), end_reason = $2
     WHERE user_id = $1 AND ended_at IS NULL AND id IS DISTINCT FROM $3`,
    [userId, reason, keep],
  );
}

/** A factor was proved again within a session (step-up). */
export function renewAuthentication(
  tx: EntityManager,
  sessionId: string,
  proved: readonly string[],
  amr: readonly string[],
): Promise<{ authenticatedAt: Date } | null> {
  return firstRow<{ authenticatedAt: Date }>(
    tx,
    `UPDATE sessions SET authenticated_at = now(), proved = $2, amr = $3 WHERE id = $1 AND ${LIVE}
     RETURNING authenticated_at AS "authenticatedAt"`,
    [sessionId, proved, amr],
  );
}

import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';

const LIVE = 'ended_at IS NULL AND expires_at > now() AND idle_expires_at > now()';

export interface NewSession {
  id: string;
  userId: string;
  proved: readonly string[];
  amr: readonly string[];
  trustedMethod: string | null;
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
                           created_at, idle_expires_at, expires_at, trusted_method)
     VALUES ($1, $2, $3, $4, now(), $5, now(), $6, $7, now(),
             now() + make_interval(secs => $8), now() + make_interval(secs => $9), $11)
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
      session.trustedMethod,
    ],
  );
  if (!row) throw new Error('A session was not inserted');
  return row;
}

export interface LiveState {
  userId: string;
  roles: string[];
  /** When a factor was last proved in it, in whole seconds since 1970. */
  authTime: number;
  /** Until it ends if it is not refreshed. */
  secondsLeft: number;
}

/**
 * What the user of a live session may do now; null where the session, or its user, no longer stands. One indexed look-up:
 * a role that was taken away is gone, although tokens still name it.
 */
export function findLiveSession(db: EntityManager, sessionId: string): Promise<LiveState | null> {
  return firstRow<LiveState>(
    db,
    `SELECT users.id AS "userId", users.roles,
            floor(extract(epoch FROM sessions.authenticated_at))::int AS "authTime",
            extract(epoch FROM least(sessions.idle_expires_at, sessions.expires_at) - now())::float AS "secondsLeft"
     FROM sessions JOIN users ON users.id = sessions.user_id AND users.active
     WHERE sessions.id = $1 AND ${LIVE}`,
    [sessionId],
  );
}

export interface LiveSession {
  id: string;
  amr: string[];
  ip: string | null;
  userAgent: string | null;
  createdAt: Date;
  authenticatedAt: Date;
  refreshedAt: Date;
  expiresAt: Date;
}

/** The live sessions of a user, the last used first; never more than SESSIONS_PER_USER. */
export function findLiveSessionsOf(db: EntityManager, userId: string): Promise<LiveSession[]> {
  return rowsOf<LiveSession>(
    db,
    `SELECT id, amr, ip, user_agent AS "userAgent", created_at AS "createdAt",
            authenticated_at AS "authenticatedAt", refreshed_at AS "refreshedAt",
            least(idle_expires_at, expires_at) AS "expiresAt"
     FROM sessions WHERE user_id = $1 AND ${LIVE} ORDER BY refreshed_at DESC, id`,
    [userId],
  );
}

/** One that was disabled counts, too: a hundred wrong codes must not lift what it demands. */
const CONFIRMED = 'FROM otp_devices WHERE user_id = $1 AND type = ANY($2) AND confirmed_at IS NOT NULL';

export interface Provable {
  /**
   * Since when the user has a device of one of the methods, in seconds since 1970; null where he has none, or none but that
   * by which alone he is signed in, or chose the password that he is signed in by: no step-up could prove more.
   */
  deviceSince: number | null;
  /** Whether a known browser stood in for the second factor, and nothing was proved since. */
  trusted: boolean;
}

/** What the user of a session could prove, and what was not proved in it. */
export async function findProvable(
  db: EntityManager,
  { userId, sessionId }: { userId: string; sessionId: string },
  methods: readonly string[],
): Promise<Provable> {
  const provable = await firstRow<Provable>(
    db,
    `SELECT (SELECT extract(epoch FROM min(confirmed_at))::float ${CONFIRMED}
               AND NOT EXISTS (SELECT 1 FROM sessions WHERE id = $3 AND type = ANY (proved)
                               AND proved <@ ARRAY[type, 'password_by_' || type])) AS "deviceSince",
            EXISTS (SELECT 1 FROM sessions WHERE id = $3 AND trusted_method IS NOT NULL
                    AND authenticated_at = created_at) AS trusted`,
    [userId, methods, sessionId],
  );
  return provable ?? { deviceSince: null, trusted: false };
}

export interface RefreshState {
  userId: string;
  /** Of this moment. */
  roles: string[];
  proved: string[];
  amr: string[];
  authenticatedAt: Date;
  refreshSalt: Buffer;
  refreshCounter: number;
  /** Whether the session stands, and its user. */
  live: boolean;
  secondsSinceRefresh: number;
  idleSecondsLeft: number;
}

export function findRefreshState(db: EntityManager, sessionId: string): Promise<RefreshState | null> {
  return firstRow<RefreshState>(
    db,
    `SELECT users.id AS "userId", users.roles, proved, amr, authenticated_at AS "authenticatedAt",
            refresh_salt AS "refreshSalt", refresh_counter AS "refreshCounter", (users.active AND ${LIVE}) AS live,
            extract(epoch FROM now() - refreshed_at)::float AS "secondsSinceRefresh",
            floor(extract(epoch FROM idle_expires_at - now()))::int AS "idleSecondsLeft"
     FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = $1`,
    [sessionId],
  );
}

/** What the tokens of a refreshed session say, as of this moment. */
export type Refreshed = Pick<
  RefreshState,
  'userId' | 'roles' | 'proved' | 'amr' | 'authenticatedAt' | 'refreshSalt' | 'idleSecondsLeft'
>;

/**
 * Moves the family to its next token if `counter` is still the present one, and the session and its user stand: of parallel
 * refreshes one wins.
 */
export function advanceRefreshCounter(
  db: EntityManager,
  sessionId: string,
  counter: number,
  idleSeconds: number,
): Promise<Refreshed | null> {
  return firstRow<Refreshed>(
    db,
    `UPDATE sessions SET refresh_counter = refresh_counter + 1, refreshed_at = now(),
            idle_expires_at = least(now() + make_interval(secs => $3), expires_at)
     FROM users
     WHERE sessions.id = $1 AND refresh_counter = $2 AND ${LIVE} AND users.id = sessions.user_id AND users.active
     RETURNING users.id AS "userId", users.roles, proved, amr, authenticated_at AS "authenticatedAt",
               refresh_salt AS "refreshSalt", floor(extract(epoch FROM idle_expires_at - now()))::int AS "idleSecondsLeft"`,
    [sessionId, counter, idleSeconds],
  );
}

/** Ends one session, if it is that user's where one is named; null where it had ended before. */
export function endSession(
  tx: EntityManager,
  sessionId: string,
  reason: string,
  ownerId: string | null = null,
): Promise<{ userId: string } | null> {
  return firstRow<{ userId: string }>(
    tx,
    `UPDATE sessions SET ended_at = now(), end_reason = $2 WHERE id = $1 AND ended_at IS NULL
     AND ($3::uuid IS NULL OR user_id = $3) RETURNING user_id AS "userId"`,
    [sessionId, reason, ownerId],
  );
}

/** Ends all sessions of a user but the one to keep; which ones had been open. */
export async function endSessionsOf(
  tx: EntityManager,
  userId: string,
  reason: string,
  keep: string | null,
): Promise<string[]> {
  const ended = await rowsOf<{ id: string }>(
    tx,
    `UPDATE sessions SET ended_at = now(), end_reason = $2
     WHERE user_id = $1 AND ended_at IS NULL AND id IS DISTINCT FROM $3 RETURNING id`,
    [userId, reason, keep],
  );
  return ended.map(({ id }) => id);
}

/** A factor was proved again within a session (step-up). `earlier` is a second factor that it took back. */
export function renewAuthentication(
  tx: EntityManager,
  sessionId: string,
  { proved, amr, earlier }: { proved: readonly string[]; amr: readonly string[]; earlier: string | null },
): Promise<{ authenticatedAt: Date } | null> {
  return firstRow<{ authenticatedAt: Date }>(
    tx,
    `UPDATE sessions SET authenticated_at = now(), proved = $2, amr = $3, trusted_method = coalesce($4, trusted_method)
     WHERE id = $1 AND ${LIVE} RETURNING authenticated_at AS "authenticatedAt"`,
    [sessionId, proved, amr, earlier],
  );
}

import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';
import type { MethodType } from '../two-factor/policy.js';
import type { ChallengePurpose } from './challenge.entity.js';

/** From the fifth failure in a row a device pauses 30 s, doubling to 15 min (NIST SP 800-63B-4 §3.2.2). */
export const FAILURES_BEFORE_PAUSE = 5;
/** After so many in a row (the same section) it stays closed until it is enrolled anew or an administrator unlocks it. */
export const FAILURES_BEFORE_DISABLED = 100;

export interface NewChallenge {
  id: string;
  userId: string;
  deviceId: string;
  purpose: ChallengePurpose;
  firstFactor: readonly string[];
  codeHash: Buffer | null;
  ttlSeconds: number;
}

/**
 * Inserts a challenge. Call it while the user's row is held.
 * @returns its expiry, and the user's language for what is sent; null where `maxActive` others of the same purpose are open
 */
export function insertChallenge(
  tx: EntityManager,
  challenge: NewChallenge,
  maxActive: number | null,
): Promise<{ expiresAt: Date; locale: string | null } | null> {
  return firstRow<{ expiresAt: Date; locale: string | null }>(
    tx,
    `INSERT INTO challenges (id, user_id, device_id, purpose, first_factor, code_hash, created_at, expires_at, epoch)
     SELECT $1, u.id, $3, $4, $5, $6, now(), now() + make_interval(secs => $7), u.epoch
     FROM users u
     WHERE u.id = $2 AND u.active AND ($8::int IS NULL OR $8 > (
       SELECT count(*) FROM challenges c
       WHERE c.user_id = u.id AND c.purpose = $4 AND c.consumed_at IS NULL AND c.expires_at > now() AND c.epoch = u.epoch))
     RETURNING expires_at AS "expiresAt", (SELECT locale FROM users WHERE id = $2)`,
    [
      challenge.id,
      challenge.userId,
      challenge.deviceId,
      challenge.purpose,
      challenge.firstFactor,
      challenge.codeHash,
      challenge.ttlSeconds,
      maxActive,
    ],
  );
}

/** Seconds until the first of the user's open sign-ins expires. */
export async function secondsUntilOneExpires(db: EntityManager, userId: string): Promise<number> {
  const row = await firstRow<{ seconds: number }>(
    db,
    `SELECT greatest(1, ceil(extract(epoch FROM min(expires_at) - now())))::int AS seconds FROM challenges
     WHERE user_id = $1 AND purpose = 'sign_in' AND consumed_at IS NULL AND expires_at > now()`,
    [userId],
  );
  return row?.seconds ?? 1;
}

/** A challenge that was charged for one attempt, with its device as it was at that moment. */
export interface SpentAttempt {
  challengeId: string;
  userId: string;
  deviceId: string;
  type: MethodType;
  purpose: ChallengePurpose;
  firstFactor: string[];
  codeHash: Buffer | null;
  providerId: string | null;
  /** Failures in a row, this attempt included. */
  failures: number;
  disabled: boolean;
  /** The database's time. */
  now: Date;
}

/**
 * Charges one attempt to a challenge and to its device before anything is compared, in one statement of its own: of 50
 * parallel guesses exactly as many as there are attempts get an answer. The device's row is locked first, so that its
 * pause holds over all challenges; a refused attempt is charged to neither. Codes that stand for a password are counted
 * by their identifier and not here: a stranger can ask for one, and must not be able to close somebody's device. A
 * challenge of another purpose is refused: what proves an address must not complete a sign-in.
 * @returns null where it was refused; `Attempts.findRefusal` tells why
 */
export function spendAttempt(
  db: EntityManager,
  challengeId: string,
  purpose: ChallengePurpose,
  limits: { maxAttempts: number | null; retryWaitSeconds: number },
): Promise<SpentAttempt | null> {
  return firstRow<SpentAttempt>(
    db,
    `WITH device AS (
       SELECT d.id FROM challenges c JOIN otp_devices d ON d.id = c.device_id
       WHERE c.id = $1 AND c.purpose = $6 AND (d.blocked_until IS NULL OR d.blocked_until <= now())
       FOR UPDATE OF d),
     spent AS (
       UPDATE challenges c SET attempts = c.attempts + 1, last_attempt_at = now()
       FROM device
       WHERE c.id = $1 AND c.device_id = device.id AND c.consumed_at IS NULL AND c.expires_at > now()
         AND ($2::int IS NULL OR c.attempts < $2)
         AND ($3::float = 0 OR c.last_attempt_at IS NULL OR c.last_attempt_at <= now() - make_interval(secs => $3))
         AND c.epoch = (SELECT u.epoch FROM users u WHERE u.id = c.user_id AND u.active)
       RETURNING c.*, CASE WHEN c.purpose IN ('first_factor', 'reset') THEN 0 ELSE 1 END AS charge),
     charged AS (
       UPDATE otp_devices d SET failures = d.failures + spent.charge,
         blocked_until = CASE WHEN d.failures + spent.charge >= $4 AND spent.charge > 0 THEN now()
           + least(interval '30 seconds' * 2 ^ least(d.failures + 1 - $4, 10), interval '15 minutes') END,
         disabled_at = CASE WHEN d.failures + spent.charge >= $5 THEN coalesce(d.disabled_at, now()) ELSE d.disabled_at END
       FROM spent WHERE d.id = spent.device_id
       RETURNING d.id, d.type, d.failures, d.disabled_at)
     SELECT spent.id AS "challengeId", spent.user_id AS "userId", spent.device_id AS "deviceId", charged.type,
            spent.purpose, spent.first_factor AS "firstFactor", spent.code_hash AS "codeHash", spent.provider_id AS "providerId",
            charged.failures,
            charged.disabled_at IS NOT NULL AS disabled, now() AS now
     FROM spent JOIN charged ON charged.id = spent.device_id`,
    [
      challengeId,
      limits.maxAttempts,
      limits.retryWaitSeconds,
      FAILURES_BEFORE_PAUSE,
      FAILURES_BEFORE_DISABLED,
      purpose,
    ],
  );
}

/** Undoes the charge of an attempt that nobody could compare. The gap to the next one stays. */
export async function giveBackAttempt(
  db: EntityManager,
  { challengeId, deviceId, purpose }: Pick<SpentAttempt, 'challengeId' | 'deviceId' | 'purpose'>,
): Promise<void> {
  await rowsOf(
    db,
    `WITH returned AS (UPDATE challenges SET attempts = attempts - 1 WHERE id = $1 AND attempts > 0)
     UPDATE otp_devices SET failures = failures - 1,
       blocked_until = CASE WHEN failures > $3 THEN blocked_until END,
       disabled_at = CASE WHEN failures > $4 THEN disabled_at END
     WHERE id = $2 AND failures > 0 AND $5 NOT IN ('first_factor', 'reset')`,
    [challengeId, deviceId, FAILURES_BEFORE_PAUSE, FAILURES_BEFORE_DISABLED, purpose],
  );
}

export interface ChallengeState {
  firstFactor: string[];
  deviceId: string;
  purpose: ChallengePurpose;
  consumed: boolean;
  void: boolean;
  expired: boolean;
  attempts: number;
  secondsSinceAttempt: number | null;
  blockedSeconds: number | null;
  expiresAt: Date;
  /** The user's language. */
  locale: string | null;
}

/** Where a challenge stands; null where there is none. */
export function findChallengeState(db: EntityManager, challengeId: string): Promise<ChallengeState | null> {
  return firstRow<ChallengeState>(
    db,
    `SELECT c.first_factor AS "firstFactor", c.device_id AS "deviceId", c.purpose, c.consumed_at IS NOT NULL AS consumed,
            NOT (u.active AND u.epoch = c.epoch) AS void, c.expires_at <= now() AS expired, c.attempts,
            extract(epoch FROM now() - c.last_attempt_at)::float AS "secondsSinceAttempt",
            ceil(extract(epoch FROM d.blocked_until - now()))::int AS "blockedSeconds",
            c.expires_at AS "expiresAt", u.locale
     FROM challenges c JOIN users u ON u.id = c.user_id JOIN otp_devices d ON d.id = c.device_id
     WHERE c.id = $1`,
    [challengeId],
  );
}

/** Spends the challenge in the transaction that acts on it: of parallel right answers one gets true. */
export async function consumeChallenge(tx: EntityManager, challengeId: string): Promise<boolean> {
  const consumed = await firstRow(
    tx,
    `UPDATE challenges c SET consumed_at = now() WHERE id = $1 AND consumed_at IS NULL
       AND c.epoch = (SELECT u.epoch FROM users u WHERE u.id = c.user_id AND u.active)
     RETURNING id`,
    [challengeId],
  );
  return consumed !== null;
}

/**
 * Asks another device, or the same one again: the earlier code is forgotten, the attempts are not.
 * @returns false where the challenge is not open any more
 */
export async function retargetChallenge(
  tx: EntityManager,
  challengeId: string,
  deviceId: string,
  codeHash: Buffer | null,
): Promise<boolean> {
  const changed = await firstRow(
    tx,
    `UPDATE challenges SET device_id = $2, code_hash = $3, provider_id = NULL
     WHERE id = $1 AND consumed_at IS NULL AND expires_at > now() RETURNING id`,
    [challengeId, deviceId, codeHash],
  );
  return changed !== null;
}

/** The newest unanswered question of a purpose to a device. */
export function findLatestChallenge(
  db: EntityManager,
  deviceId: string,
  purpose: ChallengePurpose,
): Promise<{ id: string } | null> {
  return firstRow<{ id: string }>(
    db,
    `SELECT id FROM challenges WHERE device_id = $1 AND purpose = $2 AND consumed_at IS NULL
     ORDER BY created_at DESC, id DESC LIMIT 1`,
    [deviceId, purpose],
  );
}

/** The provider has sent its code; what it calls that is what an answer is checked by. */
export async function storeProviderId(db: EntityManager, challengeId: string, providerId: string): Promise<void> {
  await rowsOf(db, 'UPDATE challenges SET provider_id = $2 WHERE id = $1 AND consumed_at IS NULL', [
    challengeId,
    providerId,
  ]);
}

/** The newest unanswered question of a purpose to any device of a user. */
export function findLatestChallengeOf(
  db: EntityManager,
  userId: string,
  purpose: ChallengePurpose,
): Promise<{ id: string } | null> {
  return firstRow<{ id: string }>(
    db,
    `SELECT id FROM challenges WHERE user_id = $1 AND purpose = $2 AND consumed_at IS NULL AND expires_at > now()
     ORDER BY created_at DESC, id DESC LIMIT 1`,
    [userId, purpose],
  );
}

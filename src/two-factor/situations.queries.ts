import type { EntityManager } from 'typeorm';
import { rowsOf } from '../database/sql.js';
import { METHOD_TYPES, type MethodType } from './policy.js';
import type { RuleScope, StoredRule } from './requirement-rules.queries.js';

/**
 * Users are many, the situations that they can be in are few: the database groups users by all that decides about them
 * (roles, a rule of their own, what they can prove), and each group is decided upon once, by the very functions that
 * decide about a sign-in.
 */
export interface StoredSituation {
  /** Names the situation to the database. */
  key: string;
  roles: string[];
  rule: StoredRule | null;
  self: boolean;
  preferred: MethodType | 'none' | null;
  hasEmail: boolean;
  hasPhone: boolean;
  hasPassword: boolean;
  hasProvider: boolean;
  /** Kinds of confirmed devices, as {@link devicesIn} reads them. */
  devices: number;
  users: number;
}

/** The same for sessions: what of one, and of its user, decides whether a policy is met. */
export interface StoredSessionSituation {
  key: string;
  roles: string[];
  rule: StoredRule | null;
  proved: string[];
  trustedMethod: MethodType | null;
  sessions: number;
}

/** A bit for each method, and another for its devices that are disabled: they take part in no decision but the order. */
const DEVICE_BIT = `1 << (array_position(ARRAY['${METHOD_TYPES.join("', '")}'], type) - 1
  + CASE WHEN disabled_at IS NULL THEN 0 ELSE ${METHOD_TYPES.length} END)`;

export function devicesIn(bits: number): { type: MethodType; disabled: boolean }[] {
  return [false, true].flatMap((disabled) =>
    METHOD_TYPES.filter((_, index) => bits & (1 << (index + (disabled ? METHOD_TYPES.length : 0)))).map((type) => ({
      type,
      disabled,
    })),
  );
}

const RULE_COLUMNS = 'r.id IS NOT NULL AS has_rule, r.required, r.methods, r.deadline';
const RULE_KEY = 'has_rule, required, methods, deadline';
const RULE = `CASE WHEN has_rule THEN json_build_object('level', 'user', 'role', NULL, 'required', required,
  'methods', methods, 'deadline', deadline, 'inForce', deadline IS NULL OR deadline <= now()) END AS rule`;
const OWN_RULE = `LEFT JOIN requirement_rules r ON r.level = 'user' AND r.role IS NULL AND r.user_id = u.id`;

/** Active users in a scope ($1 role, $2 user id). */
const USERS = `
  SELECT u.id, u.email, u.username, u.phone_number, u.roles, ${RULE_COLUMNS}, u.two_factor_required AS self,
         u.preferred_method AS preferred, u.email_canonical IS NOT NULL AS has_email,
         u.phone_number IS NOT NULL AS has_phone, u.password_hash IS NOT NULL AS has_password,
         p.user_id IS NOT NULL AS has_provider,
         coalesce(d.devices, 0) AS devices
  FROM users u ${OWN_RULE}
  LEFT JOIN (SELECT user_id, bit_or(${DEVICE_BIT}) AS devices FROM otp_devices
             WHERE confirmed_at IS NOT NULL AND ($2::uuid IS NULL OR user_id = $2) GROUP BY user_id) d ON d.user_id = u.id
  LEFT JOIN (SELECT DISTINCT user_id FROM social_identities) p ON p.user_id = u.id
  WHERE u.active AND u.registering_until IS NULL AND ($1::text IS NULL OR u.roles @> ARRAY[$1]) AND ($2::uuid IS NULL OR u.id = $2)`;
const USER_KEY = `roles, ${RULE_KEY}, self, preferred, has_email, has_phone, has_password, has_provider, devices`;

export function countSituations(db: EntityManager, scope: RuleScope): Promise<StoredSituation[]> {
  return rowsOf<StoredSituation>(
    db,
    `SELECT ROW(${USER_KEY})::text AS key, roles, ${RULE}, self, preferred, has_email AS "hasEmail",
            has_phone AS "hasPhone", has_password AS "hasPassword", has_provider AS "hasProvider", devices, users
     FROM (SELECT ${USER_KEY}, count(*)::int AS users FROM (${USERS}) u GROUP BY ${USER_KEY}) situations`,
    inScope(scope),
  );
}

export interface SituatedUser {
  id: string;
  email: string | null;
  username: string | null;
  phoneNumber: string | null;
}

/** Users in one of these situations, in the order of their ids. */
export function findUsersIn(
  db: EntityManager,
  scope: RuleScope,
  keys: readonly string[],
  after: string | null,
  limit: number,
): Promise<SituatedUser[]> {
  return rowsOf<SituatedUser>(
    db,
    `SELECT id, email, username, phone_number AS "phoneNumber" FROM (${USERS}) u
     WHERE ROW(${USER_KEY})::text = ANY ($3) AND ($4::uuid IS NULL OR id > $4) ORDER BY id LIMIT $5`,
    [...inScope(scope), keys, after, limit],
  );
}

/** Live sessions of users in a scope ($1 role, $2 user ids). */
const SESSIONS = `
  SELECT s.id, s.user_id, u.roles, ${RULE_COLUMNS}, s.proved, s.trusted_method
  FROM sessions s JOIN users u ON u.id = s.user_id ${OWN_RULE}
  WHERE s.ended_at IS NULL AND s.expires_at > now() AND s.idle_expires_at > now()
    AND ($1::text IS NULL OR u.roles @> ARRAY[$1]) AND ($2::uuid[] IS NULL OR s.user_id = ANY ($2))`;
const SESSION_KEY = `roles, ${RULE_KEY}, proved, trusted_method`;

export type SessionScope = { role?: string; userIds?: readonly string[] };

export function countSessionSituations(
  db: EntityManager,
  { role, userIds }: SessionScope,
): Promise<StoredSessionSituation[]> {
  return rowsOf<StoredSessionSituation>(
    db,
    `SELECT ROW(${SESSION_KEY})::text AS key, roles, ${RULE}, proved, trusted_method AS "trustedMethod", sessions
     FROM (SELECT ${SESSION_KEY}, count(*)::int AS sessions FROM (${SESSIONS}) s GROUP BY ${SESSION_KEY}) situations`,
    [role ?? null, userIds ?? null],
  );
}

/** Ends the sessions in these situations. */
export function endSessionsIn(
  tx: EntityManager,
  { role, userIds }: SessionScope,
  keys: readonly string[],
): Promise<{ id: string; userId: string }[]> {
  return rowsOf<{ id: string; userId: string }>(
    tx,
    `UPDATE sessions SET ended_at = now(), end_reason = 'policy_changed' FROM (${SESSIONS}) unmet
     WHERE sessions.id = unmet.id AND ROW(unmet.${SESSION_KEY.replaceAll(', ', ', unmet.')})::text = ANY ($3)
       AND sessions.ended_at IS NULL
     RETURNING sessions.id, sessions.user_id AS "userId"`,
    [role ?? null, userIds ?? null, keys],
  );
}

function inScope(scope: RuleScope): [role: string | null, userId: string | null] {
  return [scope.level === 'role' ? scope.role : null, scope.level === 'user' ? scope.userId : null];
}

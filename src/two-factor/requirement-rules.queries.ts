import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';
import type { MethodType } from './policy.js';

/** Where a rule stands. */
export type RuleScope = { level: 'global' } | { level: 'role'; role: string } | { level: 'user'; userId: string };

/** A rule as JSON has it. */
export interface StoredRule {
  level: RuleScope['level'];
  role: string | null;
  required: boolean;
  methods: MethodType[] | null;
  deadline: string | null;
  inForce: boolean;
}

export interface RuleDemand {
  required: boolean;
  methods: readonly MethodType[] | null;
  deadline: Date | null;
}

/** A rule's row `r` as a {@link StoredRule}. */
const RULE = `json_build_object('level', r.level, 'role', r.role, 'required', r.required, 'methods', r.methods,
  'deadline', r.deadline, 'inForce', r.deadline IS NULL OR r.deadline <= now())`;

/** An expression for the rules that apply to a row of users: three looks into one index. */
export function rulesFor(user: string): string {
  return `(SELECT coalesce(json_agg(${RULE}), '[]') FROM (
     SELECT * FROM requirement_rules WHERE level = 'global' UNION ALL
     SELECT * FROM requirement_rules WHERE level = 'role' AND role = ANY(${user}.roles) UNION ALL
     SELECT * FROM requirement_rules WHERE level = 'user' AND role IS NULL AND user_id = ${user}.id) r)`;
}

/** The global rule and those of roles. Rules of users may be many; each is found with its user. */
export async function findGeneralRules(db: EntityManager): Promise<StoredRule[]> {
  const rows = await rowsOf<{ rule: StoredRule }>(
    db,
    `SELECT ${RULE} AS rule FROM requirement_rules r WHERE level IN ('global', 'role') ORDER BY level, role`,
    [],
  );
  return rows.map(({ rule }) => rule);
}

export async function findUserRule(db: EntityManager, userId: string): Promise<StoredRule | null> {
  const statement = `SELECT ${RULE} AS rule FROM requirement_rules r
    WHERE level = 'user' AND role IS NULL AND user_id = $1`;
  return (await firstRow<{ rule: StoredRule }>(db, statement, [userId]))?.rule ?? null;
}

/** Why a rule could not be put: there is no such user, or its deadline is not in the future. */
export async function findFaults(
  db: EntityManager,
  scope: RuleScope,
  { deadline }: Pick<RuleDemand, 'deadline'>,
): Promise<{ known: boolean; passed: boolean }> {
  const row = await firstRow<{ known: boolean; passed: boolean }>(
    db,
    `SELECT $1::uuid IS NULL OR EXISTS (SELECT 1 FROM users WHERE id = $1) AS known,
       coalesce($2::timestamptz <= now(), false) AS passed`,
    [userOf(scope), deadline],
  );
  if (!row) throw new Error('The database answered nothing');
  return row;
}

/** Puts a rule in the place of the one that stands there, if any. Null where its deadline is not in the future. */
export async function putRule(
  tx: EntityManager,
  id: string,
  scope: RuleScope,
  { required, methods, deadline }: RuleDemand,
): Promise<StoredRule | null> {
  const row = await firstRow<{ rule: StoredRule }>(
    tx,
    `WITH r AS (
       INSERT INTO requirement_rules (id, level, role, user_id, required, methods, deadline, updated_at, applied)
       SELECT $1, $2, $3, $4, $5, $6, $7, now(), false WHERE $7::timestamptz IS NULL OR $7 > now()
       ON CONFLICT (level, role, user_id) DO UPDATE SET required = excluded.required, methods = excluded.methods,
         deadline = excluded.deadline, updated_at = excluded.updated_at, applied = false
       RETURNING *)
     SELECT ${RULE} AS rule FROM r`,
    [id, scope.level, roleOf(scope), userOf(scope), required, methods, deadline],
  );
  return row?.rule ?? null;
}

/** One rule for many users, in one statement; how many of them exist and are active. */
export async function putUserRules(
  tx: EntityManager,
  rules: readonly { id: string; userId: string }[],
  { required, methods, deadline }: RuleDemand,
): Promise<string[]> {
  const rows = await rowsOf<{ userId: string }>(
    tx,
    `INSERT INTO requirement_rules (id, level, user_id, required, methods, deadline, updated_at, applied)
     SELECT wanted.id, 'user', u.id, $3, $4, $5, now(), false
     FROM unnest($1::uuid[], $2::uuid[]) AS wanted (id, user_id) JOIN users u ON u.id = wanted.user_id AND u.active
     WHERE $5::timestamptz IS NULL OR $5 > now()
     ON CONFLICT (level, role, user_id) DO UPDATE SET required = excluded.required, methods = excluded.methods,
       deadline = excluded.deadline, updated_at = excluded.updated_at, applied = false
     RETURNING user_id AS "userId"`,
    [rules.map(({ id }) => id), rules.map(({ userId }) => userId), required, methods, deadline],
  );
  return rows.map(({ userId }) => userId);
}

/** @returns whether there was one */
export async function deleteRule(tx: EntityManager, scope: RuleScope): Promise<boolean> {
  const deleted = await firstRow(
    tx,
    `DELETE FROM requirement_rules WHERE level = $1 AND role IS NOT DISTINCT FROM $2 AND user_id IS NOT DISTINCT FROM $3
     RETURNING id`,
    [scope.level, roleOf(scope), userOf(scope)],
  );
  return deleted !== null;
}

/**
 * Rules in force whose sessions have not been looked at since. A rule that was written this moment is looked at again: a
 * sign-in that was under way may have begun a session by the rules of before.
 */
export async function takeDueRules(tx: EntityManager): Promise<number> {
  const rows = await rowsOf(
    tx,
    `UPDATE requirement_rules SET applied = updated_at < now() - interval '30 seconds'
     WHERE NOT applied AND (deadline IS NULL OR deadline <= now()) RETURNING id`,
    [],
  );
  return rows.length;
}

function roleOf(scope: RuleScope): string | null {
  return scope.level === 'role' ? scope.role : null;
}

function userOf(scope: RuleScope): string | null {
  return scope.level === 'user' ? scope.userId : null;
}

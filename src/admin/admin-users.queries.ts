import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';
import type { MethodType } from '../two-factor/policy.js';

/** A user as administrators see him. No column of his passwords, devices or sessions is here but what tells nothing. */
export interface AdminUserRow {
  id: string;
  email: string | null;
  emailVerified: boolean;
  phoneNumber: string | null;
  phoneVerified: boolean;
  username: string | null;
  firstName: string;
  lastName: string;
  locale: string | null;
  profile: Record<string, string>;
  roles: string[];
  active: boolean;
  passwordSet: boolean;
  createdAt: Date;
  updatedAt: Date;
  lastSignInAt: Date | null;
  twoFactor: { required: boolean; enrolled: boolean; methods: MethodType[]; recoveryCodesLeft: number };
}

export const USER_SORTS = ['-createdAt', 'createdAt', '-email', 'email'] as const;
export const TWO_FACTOR_STATES = ['enrolled', 'required', 'missing'] as const;

export interface UserFilter {
  /** Anywhere in the address, number or names. */
  q?: string;
  role?: string;
  active?: boolean;
  twoFactor?: (typeof TWO_FACTOR_STATES)[number];
  method?: MethodType;
  /** Only those whose address has still to be proved; absent or false: only accounts. */
  registering?: boolean;
}

const WORKING = 'd.user_id = u.id AND d.confirmed_at IS NOT NULL AND d.disabled_at IS NULL';
/** Recovery codes stand in for a device, and are none. */
const DEVICES = `otp_devices d WHERE ${WORKING} AND d.type <> 'recovery_codes'`;
const ENROLLED = `EXISTS (SELECT 1 FROM ${DEVICES})`;

const IN_FORCE = 'r.required AND (r.deadline IS NULL OR r.deadline <= now())';
/** Whether anybody demands a second factor now; `$1`: the configuration does, of everybody. */
const REQUIRED = `($1::boolean OR u.two_factor_required
  OR EXISTS (SELECT 1 FROM requirement_rules r WHERE r.level = 'global' AND ${IN_FORCE})
  OR u.roles && ARRAY(SELECT r.role FROM requirement_rules r WHERE r.level = 'role' AND ${IN_FORCE})
  OR EXISTS (SELECT 1 FROM requirement_rules r WHERE r.user_id = u.id AND ${IN_FORCE}))`;

const TWO_FACTOR: Record<(typeof TWO_FACTOR_STATES)[number], string> = {
  enrolled: ENROLLED,
  required: REQUIRED,
  missing: `NOT ${ENROLLED}`,
};

/** One text of all that is searched: `ada love` finds Ada Lovelace. `users_search_idx` is over this very expression. */
const SEARCHED = `lower(coalesce(u.email, '') || ' ' || coalesce(u.username, '') || ' ' || coalesce(u.phone_number, '')
  || ' ' || u.first_name || ' ' || u.last_name)`;

const COLUMNS = `u.id, u.email, u.email_verified_at IS NOT NULL AS "emailVerified", u.phone_number AS "phoneNumber",
  u.phone_verified_at IS NOT NULL AS "phoneVerified", u.username, u.first_name AS "firstName",
  u.last_name AS "lastName", u.locale, u.profile, u.roles, u.active, u.password_hash IS NOT NULL AS "passwordSet",
  u.created_at AS "createdAt", u.updated_at AS "updatedAt",
  (SELECT max(s.created_at) FROM sessions s WHERE s.user_id = u.id) AS "lastSignInAt",
  json_build_object(
    'required', ${REQUIRED},
    'enrolled', ${ENROLLED},
    'methods', ARRAY(SELECT DISTINCT d.type FROM ${DEVICES} ORDER BY d.type),
    'recoveryCodesLeft', (SELECT count(*) FROM recovery_codes c JOIN otp_devices d ON d.id = c.device_id
                          WHERE d.user_id = u.id AND c.used_at IS NULL)) AS "twoFactor"`;

/** What rows are ordered by before their id, and how a cursor spells it. A time keeps its microseconds. */
const KEYS = {
  createdAt: {
    column: 'u.created_at',
    text: '(extract(epoch FROM u.created_at) * 1000000)::bigint::text',
    parse: (text: string) => `timestamptz 'epoch' + ${text}::bigint * interval '1 microsecond'`,
  },
  email: {
    column: `coalesce(u.email_canonical, '')`,
    text: `coalesce(u.email_canonical, '')`,
    parse: (text: string) => text,
  },
};

export interface UserPage {
  sort: (typeof USER_SORTS)[number];
  /** The key and the id of the last user of the page before. */
  after: readonly [key: string, id: string] | null;
  rows: number;
}

/**
 * One page in one statement: the page first, and then what is looked up for its rows alone. `requiredOfAll`: the
 * configuration demands a second factor of everybody.
 */
export function findUsers(
  db: EntityManager,
  requiredOfAll: boolean,
  filter: UserFilter,
  { sort, after, rows }: UserPage,
): Promise<(AdminUserRow & { sortKey: string })[]> {
  const parameters: unknown[] = [requiredOfAll];
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const descending = sort.startsWith('-');
  const key = sort.endsWith('email') ? KEYS.email : KEYS.createdAt;
  const direction = descending ? 'DESC' : 'ASC';
  const order = `ORDER BY ${key.column} ${direction}, u.id ${direction}`;

  const conditions = conditionsOf(filter, bind);
  if (after) {
    const last = `(${key.parse(bind(after[0]))}, ${bind(after[1])}::uuid)`;
    conditions.push(`(${key.column}, u.id) ${descending ? '<' : '>'} ${last}`);
  }
  return rowsOf(
    db,
    `SELECT ${COLUMNS}, ${key.text} AS "sortKey"
     FROM (SELECT * FROM users u WHERE ${conditions.join(' AND ')} ${order} LIMIT ${bind(rows)}) u ${order}`,
    parameters,
  );
}

/** The ids of all active users whom a filter finds, at most `limit`, in one statement. */
export async function findActiveUserIds(
  db: EntityManager,
  requiredOfAll: boolean,
  filter: UserFilter,
  limit: number,
): Promise<string[]> {
  const parameters: unknown[] = [requiredOfAll];
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  // $1 is named although not every filter asks for it: PostgreSQL wants to know its type.
  const conditions = ['$1::boolean IS NOT NULL', 'u.active', ...conditionsOf(filter, bind)];
  const rows = await rowsOf<{ id: string }>(
    db,
    `SELECT u.id FROM users u WHERE ${conditions.join(' AND ')} ORDER BY u.id LIMIT ${bind(limit)}`,
    parameters,
  );
  return rows.map(({ id }) => id);
}

function conditionsOf(filter: UserFilter, bind: (value: unknown) => string): string[] {
  const conditions = [`u.registering_until IS ${filter.registering ? 'NOT ' : ''}NULL`];
  if (filter.q !== undefined) conditions.push(`${SEARCHED} LIKE lower(${bind(containing(filter.q))})`);
  if (filter.role !== undefined) conditions.push(`u.roles @> ARRAY[${bind(filter.role)}]`);
  if (filter.active !== undefined) conditions.push(`u.active = ${bind(filter.active)}`);
  if (filter.twoFactor !== undefined) conditions.push(TWO_FACTOR[filter.twoFactor]);
  if (filter.method !== undefined) {
    conditions.push(`EXISTS (SELECT 1 FROM otp_devices d WHERE ${WORKING} AND d.type = ${bind(filter.method)})`);
  }
  return conditions;
}

export function findUser(db: EntityManager, requiredOfAll: boolean, id: string): Promise<AdminUserRow | null> {
  return firstRow<AdminUserRow>(db, `SELECT ${COLUMNS} FROM users u WHERE u.id = $2`, [requiredOfAll, id]);
}

/**
 * A LIKE pattern; what LIKE would take for a wildcard stands for itself. PostgreSQL makes it lower case, as it does what is
 * searched: JavaScript makes something else of İ and of Σ at the end of a word.
 */
function containing(text: string): string {
  return `%${text
    .normalize('NFC')
    .trim()
    .replace(/[\\%_]/g, '\\$&')}%`;
}

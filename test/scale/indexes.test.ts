import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { administrator, firstFactor, personWithTotp, secondFactor, type SignedIn } from '../support/people.js';
import { shiftedUrl } from '../support/test-clock.js';

/**
 * What grows with users and with what they do is found by an index: a request costs the same among a thousand users and
 * among a million. The plans are those of the statements that the service really sends, with their own parameters.
 */
const USERS = 20_000;
const LARGE = ['users', 'sessions', 'otp_devices', 'challenges', 'recovery_codes', 'audit_events'];

const FILL = `
  INSERT INTO users (id, email, email_canonical, username, username_canonical, username_skeleton, first_name, last_name,
                     roles, active, two_factor_required, created_at, updated_at)
  SELECT md5('user' || n)::uuid, 'user' || n || '@example.org', 'user' || n || '@example.org', 'user' || n, 'user' || n,
         'user' || n, 'Ada', md5(n::text), '{}', true, false, now() - n * interval '1 minute', now()
  FROM generate_series(1, ${USERS}) n;
  INSERT INTO otp_devices (id, user_id, type, name, address, created_at, confirmed_at)
  SELECT id, id, 'email', '', email, now(), now() FROM users WHERE email LIKE 'user%';
  INSERT INTO recovery_codes (device_id, hash) SELECT id, sha256(id::text::bytea) FROM otp_devices;
  INSERT INTO sessions (id, user_id, proved, amr, authenticated_at, refresh_salt, refreshed_at, created_at, idle_expires_at,
                        expires_at)
  SELECT id, id, '{password}', '{pwd}', now(), '\\x00', now(), now(), now() + interval '7 days', now() + interval '30 days'
  FROM users WHERE email LIKE 'user%';
  INSERT INTO challenges (id, user_id, device_id, purpose, first_factor, created_at, expires_at, epoch)
  SELECT id, id, id, 'sign_in', '{password}', now(), now(), 0 FROM users WHERE email LIKE 'user%';
  INSERT INTO audit_events (id, type, at, user_id, actor, details)
  SELECT id, 'sign-in.succeeded', created_at, id, 'user', '{}' FROM users WHERE email LIKE 'user%'`;

interface Statement {
  text: string;
  values: unknown[];
}

let app: TestApp;
let planner: pg.Client;
beforeAll(async () => {
  app = await startApp();
  planner = new pg.Client({ connectionString: shiftedUrl(app.database.url) });
  await planner.connect();
  await planner.query(FILL);
  await planner.query('VACUUM ANALYZE');
  // As on a disk without heads; and twenty thousand rows stand for millions.
  await planner.query('SET random_page_cost = 1');
});
afterAll(async () => {
  await planner?.end();
  await app?.close();
});

/** What the service asks the database meanwhile. */
async function statementsOf(action: () => Promise<unknown>): Promise<Statement[]> {
  const statements: Statement[] = [];
  const prototype = pg.Client.prototype as unknown as { query: (this: pg.Client, ...rest: unknown[]) => unknown };
  const { query } = prototype;
  prototype.query = function (config, values, ...rest) {
    const text = typeof config === 'string' ? config : (config as { text?: string }).text;
    if (text !== undefined) statements.push({ text, values: Array.isArray(values) ? (values as unknown[]) : [] });
    return query.call(this, config, values, ...rest);
  };
  try {
    await action();
  } finally {
    prototype.query = query;
  }
  return statements;
}

interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  Plans?: PlanNode[];
}

/** The large tables that a statement would read from their beginning to their end. */
async function scannedBy({ text, values }: Statement): Promise<string[]> {
  if (!/\b(SELECT|INSERT|UPDATE|DELETE)\b/.test(text) || text.includes('graphile_worker')) return [];
  const { rows } = await planner.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(`EXPLAIN (FORMAT JSON) ${text}`, values);
  const nodes = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodes)];
  return nodes(rows[0]?.['QUERY PLAN'][0].Plan ?? { 'Node Type': '' })
    .filter((node) => node['Node Type'] === 'Seq Scan' && LARGE.includes(node['Relation Name'] ?? ''))
    .map(
      (node) =>
        `${node['Relation Name']} by ${text.replace(/\s+/g, ' ').replace(/^.* FROM \(?SELECT/, '')} ${JSON.stringify(values)}`,
    );
}

async function scansOf(action: () => Promise<unknown>): Promise<{ scans: string[]; looked: number }> {
  const statements = await statementsOf(action);
  const scans: string[] = [];
  for (const statement of statements) scans.push(...(await scannedBy(statement)));
  return { scans, looked: statements.length };
}

it('what a user does all day reads no large table from its beginning to its end', async () => {
  const person = await personWithTotp(app);
  const { scans, looked } = await scansOf(async () => {
    const asked = await firstFactor(app, person.email);
    const { body } = await secondFactor(app, asked.body.codeToken, totpCode(person.secret, app.clock));
    const { body: session } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken: body.refreshToken });
    const token = session.accessToken;
    for (const path of ['/users/me', '/users/me/sessions', '/otp-devices', '/auth/forward']) {
      expect((await app.http.get(path, { token })).status).toBe(200);
    }
    await app.http.post('/auth/token/revoke', { refreshToken: session.refreshToken });
    await firstFactor(app, 'user77');
  });
  expect(scans).toEqual([]);
  expect(looked).toBeGreaterThan(30);
});

it('nor does what administrators look for', async () => {
  const { token } = await administrator(app);
  const id = '00000000-0000-7000-8000-000000000000';
  const cursor = Buffer.from(JSON.stringify(['-createdAt', '1700000000000000', id])).toString('base64url');
  const { scans, looked } = await scansOf(async () => {
    for (const path of [
      '/admin/users',
      `/admin/users?cursor=${cursor}`,
      '/admin/users?sort=email',
      '/admin/users?role=admin',
      '/admin/users?q=user4711@example.org',
      '/admin/users?q=nobody-has-this',
      '/admin/audit-events',
      `/admin/audit-events?userId=${id}`,
      '/admin/audit-events?type=user.deactivated',
    ]) {
      expect((await app.http.get(path, { token })).status, path).toBe(200);
    }
  });
  expect(scans).toEqual([]);
  expect(looked).toBeGreaterThanOrEqual(9);
});

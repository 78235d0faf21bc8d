import { randomBytes, randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Sealer } from '../../src/audit/sealer.js';
import { startApp, type TestApp } from '../support/app.js';
import { administrator, firstFactor, register, signInByMail } from '../support/people.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { startPostgresProxy, type PostgresProxy } from '../support/postgres-proxy.js';

// A second database holds other rows than the first: what is answered tells which one was read.

/** Longer than a read replica that failed is left alone. */
const REST_SECONDS = 15;

interface Listed {
  items: { id: string; email: string; type: string }[];
}

interface Replica {
  database: TestDatabase;
  userId: string;
}

/** A database with one user and one audit event, neither of which the primary has. */
async function createReplica(): Promise<Replica> {
  const database = await createDatabase();
  const userId = randomUUID();
  await runOn(
    database.url,
    `INSERT INTO users (id, email, email_canonical, first_name, last_name, roles, active, two_factor_required, created_at, updated_at)
     VALUES ($1, $2, $2, 'Only', 'There', '{}', true, false, now(), now())`,
    [userId, `there-${randomBytes(5).toString('hex')}@example.com`],
  );
  await runOn(
    database.url,
    `INSERT INTO audit_events (id, type, at, user_id, actor, details) VALUES ($1, 'user.created', now(), $2, 'user', '{}')`,
    [randomUUID(), userId],
  );
  return { database, userId };
}

async function runOn(url: string, statement: string, parameters: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement, parameters)).rows;
  } finally {
    await client.end();
  }
}

/** The lines of the file of all events. */
async function exported(app: TestApp, token: string): Promise<string[]> {
  const url = '/api/v1/admin/audit-events?format=ndjson';
  const { statusCode, body } = await app.app.inject({ url, headers: { authorization: `Bearer ${token}` } });
  expect(statusCode).toBe(200);
  return body.trimEnd().split('\n');
}

/** The ids of all users of the list, and whom the audit log and its file tell of. */
async function read(app: TestApp, token: string) {
  const users = await app.http.get<Listed>('/admin/users', { token });
  const events = await app.http.get<{ items: { userId: string }[] }>('/admin/audit-events', { token });
  const lines = await exported(app, token);
  expect([users.status, events.status]).toEqual([200, 200]);
  return {
    users: users.body.items.map(({ id }) => id),
    events: events.body.items.map(({ userId }) => userId),
    file: lines.slice(0, -1).map((line) => (JSON.parse(line) as { userId: string }).userId),
    head: JSON.parse(lines.at(-1) ?? '') as { head: { seq: number } | null },
  };
}

describe('with a read replica', () => {
  let app: TestApp;
  let token: string;
  let there: Replica;
  let proxy: PostgresProxy;
  let warnings: string[];

  beforeAll(async () => {
    there = await createReplica();
    proxy = await startPostgresProxy(there.database.url);
    app = await startApp({ DATABASE_REPLICA_URLS: proxy.url });
    ({ token } = await administrator(app));
  });
  afterAll(async () => {
    await app.close();
    await proxy.goAway().catch(() => undefined);
    await there.database.drop();
  });
  beforeEach(() => {
    warnings = [];
    const keep = (message: string) => void warnings.push(message);
    Logger.overrideLogger({ warn: keep, log: () => undefined, error: () => undefined });
  });
  afterEach(() => Logger.overrideLogger(false));

  const idsOfUsers = async () => (await app.http.get<Listed>('/admin/users', { token })).body.items.map(({ id }) => id);

  it('nothing connects to it before a list is asked for', async () => {
    await app.http.get('/users/me', { token });
    expect(proxy.connections).toBe(0);
  });

  it('the lists of administrators come from it, and the end of the chain from the primary', async () => {
    await app.app.get(Sealer).sealNow();
    const { users, events, file, head } = await read(app, token);
    expect([users, events, file]).toEqual([[there.userId], [there.userId], [there.userId]]);
    expect(head.head?.seq).toBeGreaterThan(0);
  });

  it('everything else is asked of the primary, and nothing is written to the replica', async () => {
    const before = await runOn(there.database.url, 'SELECT count(*)::int AS n FROM audit_events');
    const person = await register(app);
    const { accessToken } = await signInByMail(app, person);
    expect((await app.http.get('/users/me', { token: accessToken })).status).toBe(200);
    expect((await app.http.get(`/admin/users/${person.id}`, { token })).status).toBe(200);
    expect((await app.http.get(`/admin/users/${there.userId}`, { token })).status).toBe(404);
    const [{ email } = { email: '' }] = await runOn(there.database.url, 'SELECT email FROM users');
    expect((await firstFactor(app, String(email))).status).toBe(401);
    const changed = await app.http.patch(`/admin/users/${person.id}`, { firstName: 'Grace' }, { token });
    expect([changed.status, changed.body['firstName']]).toEqual([200, 'Grace']);
    await exported(app, token);
    expect(await runOn(there.database.url, 'SELECT count(*)::int AS n FROM audit_events')).toEqual(before);
    expect(await app.sql("SELECT FROM audit_events WHERE type = 'audit.exported'")).toHaveLength(2);
  });

  it('that dies is replaced by the primary, told once, and asked again after a while', async () => {
    expect(await idsOfUsers()).toEqual([there.userId]);
    await proxy.goAway();
    for (let each = 0; each < 3; each += 1) expect(await idsOfUsers()).not.toContain(there.userId);
    const { users, events, file } = await read(app, token);
    expect([...users, ...events, ...file]).not.toContain(there.userId);
    await app.clock.advance(REST_SECONDS);
    expect(await idsOfUsers()).not.toContain(there.userId);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/^Read replica 1 failed \(.+\): lists are read from the primary$/);

    await proxy.comeBack();
    const asked = proxy.connections;
    expect(await idsOfUsers()).not.toContain(there.userId);
    expect(proxy.connections, 'it is left alone for a while').toBe(asked);
    await app.clock.advance(REST_SECONDS);
    expect(await idsOfUsers()).toEqual([there.userId]);
    expect(await idsOfUsers()).toEqual([there.userId]);
  });

  it('that lacks a table or a column of this version is not asked for it', async () => {
    await runOn(there.database.url, 'ALTER TABLE users RENAME COLUMN locale TO locale_of_before');
    expect(await idsOfUsers()).not.toContain(there.userId);
    await runOn(there.database.url, 'ALTER TABLE users RENAME COLUMN locale_of_before TO locale');
    await app.clock.advance(REST_SECONDS);
    expect(await idsOfUsers()).toEqual([there.userId]);

    await runOn(there.database.url, 'ALTER TABLE requirement_rules RENAME TO rules_of_before');
    expect(await idsOfUsers()).not.toContain(there.userId);
    await runOn(there.database.url, 'ALTER TABLE rules_of_before RENAME TO requirement_rules');
  });
});

it('two read replicas are asked in turn, and one that refuses connections is none', async () => {
  const [one, other] = [await createReplica(), await createReplica()];
  const gone = await startPostgresProxy(one.database.url);
  await gone.goAway();
  const app = await startApp({ DATABASE_REPLICA_URLS: `${one.database.url}, ${gone.url},${other.database.url}` });
  const { token } = await administrator(app);
  const seen: string[] = [];
  for (let each = 0; each < 7; each += 1) {
    const { status, body } = await app.http.get<Listed>('/admin/users', { token });
    expect(status).toBe(200);
    seen.push(body.items.map(({ id }) => ({ [one.userId]: 'one', [other.userId]: 'other' })[id] ?? 'primary').join());
  }
  expect(seen.filter((each) => each === 'one').length).toBeGreaterThan(1);
  expect(seen.filter((each) => each === 'other').length).toBeGreaterThan(1);
  expect(seen.filter((each) => each === 'primary')).toHaveLength(1);
  await app.close();
  for (const { database } of [one, other]) {
    const left = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`;
    await expect.poll(() => runOn(database.url, left), { timeout: 2_000 }).toEqual([]);
    await database.drop();
  }
});

it('without a read replica lists come from the primary', async () => {
  const app = await startApp();
  const { id, token } = await administrator(app);
  expect((await read(app, token)).users).toEqual([id]);
  await app.close();
});

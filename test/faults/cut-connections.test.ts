import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { administrator, firstFactor, register, secondFactor, signInByMail } from '../support/people.js';

// Real: PostgreSQL ends connections of the pool, while nobody uses them and while it answers on them.

let app: TestApp;
let admin: Awaited<ReturnType<typeof administrator>>;
let operator: pg.Client;
/** Another one holds locks: within a transaction PostgreSQL shows who is connected as it was at the first look. */
let locker: pg.Client;

beforeAll(async () => {
  app = await startApp({ CODE_TOKEN_MAX_ATTEMPTS: '10', CODE_TOKEN_RETRY_WAIT: '0s' });
  operator = new pg.Client({ connectionString: app.database.url });
  locker = new pg.Client({ connectionString: app.database.url });
  await Promise.all([operator.connect(), locker.connect()]);
});
afterAll(async () => {
  await Promise.all([operator.end(), locker.end()]);
  await app.close();
});
beforeEach(async () => {
  admin = await administrator(app);
});

const POOL = `datname = current_database() AND application_name = 'countersign'`;
/** Not what seals the audit log every second, whoever asks. */
const WAITING = `${POOL} AND wait_event_type = 'Lock' AND query NOT LIKE 'SELECT u.event_id%'`;

/** Ends the connections that are such, and waits until their processes are gone; answers how many there were. */
async function cut(which: string): Promise<number> {
  const ended = await operator.query<{ pid: number }>(
    `SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${which}`,
  );
  const pids = ended.rows.map(({ pid }) => pid);
  const left = async () => (await operator.query('SELECT FROM pg_stat_activity WHERE pid = ANY ($1)', [pids])).rowCount;
  await expect.poll(left, { interval: 2, timeout: 10_000 }).toBe(0);
  return pids.length;
}

/** What is answered to `ask`, whose connection is cut while it waits for a lock on the table. */
async function cutInTheMiddle<Result>(table: string, ask: () => Promise<Result>): Promise<Result> {
  await locker.query('BEGIN');
  await locker.query(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
  const asked = ask();
  try {
    await expect.poll(() => cut(WAITING), { timeout: 5_000, interval: 5 }).toBe(1);
  } finally {
    await locker.query('COMMIT');
  }
  return asked;
}

it('reads are answered at the first use of connections that died while nobody used them', async () => {
  for (let each = 0; each < 10; each += 1) {
    // more than one connection, or there is nothing to stumble over
    await Promise.all(Array.from({ length: 6 }, () => app.http.get('/admin/users', { token: admin.token })));
    expect(await cut(POOL)).toBeGreaterThan(1);
    const me = await app.http.get('/users/me', { token: admin.token });
    expect(await cut(POOL)).toBeGreaterThan(0);
    const users = await app.http.get('/admin/users', { token: admin.token });
    expect([each, me.status, users.status]).toEqual([each, 200, 200]);
  }
});

it('a read whose connection is cut in the middle is asked once more', async () => {
  const me = () => app.http.get('/users/me', { token: admin.token });
  expect((await me()).status).toBe(200);
  expect((await cutInTheMiddle('users', me)).status).toBe(200);
  const events = () => app.http.get('/admin/audit-events', { token: admin.token });
  expect((await cutInTheMiddle('audit_events', events)).status).toBe(200);
});

it('so is the session of a request, before its handler is reached', async () => {
  const { accessToken: token } = await signInByMail(app, await register(app));
  expect((await cutInTheMiddle('sessions', () => app.http.get('/users/me', { token }))).status).toBe(200);
  const { accessToken: another } = await signInByMail(app, await register(app));
  const ended = await cutInTheMiddle('sessions', () => app.http.get('/users/me', { token: another }));
  expect(ended.status).toBe(200);
});

it('a guess that is cut is not made again, and exactly what was answered was counted', async () => {
  const { email } = await register(app);
  const { codeToken } = (await firstFactor(app, email)).body;
  const code = await app.mailbox.code(email);
  const wrong = code.startsWith('1') ? `2${code.slice(1)}` : `1${code.slice(1)}`;
  const attempts = async () =>
    (await operator.query<{ n: number }>('SELECT attempts AS n FROM challenges ORDER BY created_at DESC LIMIT 1'))
      .rows[0]?.n;

  const refused = await cutInTheMiddle('challenges', () => secondFactor(app, codeToken, wrong));
  expect(refused.status).toBe(503);
  expect(await attempts()).toBe(0);

  let counted = 0;
  for (let each = 0; each < 4; each += 1) {
    await cut(POOL);
    const { status } = await secondFactor(app, codeToken, wrong);
    expect([401, 503]).toContain(status);
    if (status === 401) counted += 1;
  }
  expect(await attempts()).toBe(counted);
});

it('nor is an export, which is written down: it is refused, and there is one event for each that was answered', async () => {
  const url = '/api/v1/admin/audit-events?format=ndjson';
  const file = async () =>
    (await app.app.inject({ url, headers: { authorization: `Bearer ${admin.token}` } })).statusCode;
  const events = () => app.sql(`SELECT FROM audit_events WHERE type = 'audit.exported'`);
  expect(await cutInTheMiddle('audit_events', file)).toBe(503);
  expect(await events()).toEqual([]);
  expect(await file()).toBe(200);
  expect(await events()).toHaveLength(1);
});

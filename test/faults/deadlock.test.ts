import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { resetLink, tokenOf } from '../support/links.js';
import { firstFactor, register, secondFactor, signInByMail, type Person } from '../support/people.js';

// Real: somebody else (an operator's own script, a statement of a later version) takes the locks of a person in the
// other order, and PostgreSQL ends the transaction of the service so that he can go on.

let app: TestApp;
let other: pg.Client;
let watcher: pg.Client;

beforeAll(async () => {
  app = await startApp({ CODE_TOKEN_RETRY_WAIT: '0s' });
});
afterAll(() => app.close());

beforeEach(async () => {
  other = new pg.Client({ connectionString: app.database.url });
  watcher = new pg.Client({ connectionString: app.database.url });
  await Promise.all([other.connect(), watcher.connect()]);
});
afterEach(() => Promise.all([other.end(), watcher.end()]));

const count = async (query: string, parameters: unknown[]): Promise<number> =>
  (await watcher.query<{ n: number }>(`SELECT count(*)::integer AS n FROM ${query}`, parameters)).rows[0]?.n ?? NaN;
const sessionsOf = ({ id }: Person) => count('sessions WHERE user_id = $1', [id]);
const events = (type: string, { id }: Person) => count('audit_events WHERE type = $1 AND user_id = $2', [type, id]);

async function deadlocks(): Promise<number> {
  const { rows } = await watcher.query<{ n: number }>(
    'SELECT deadlocks::integer AS n FROM pg_stat_database WHERE datname = current_database()',
  );
  return rows[0]?.n ?? NaN;
}

const WAITING = `pg_stat_activity WHERE datname = current_database() AND application_name = 'countersign'
  AND wait_event_type = 'Lock' AND query NOT LIKE 'SELECT u.event_id%'`;

/** What is answered to `ask`, which holds what the other one wants next, and waits for what the other one holds. */
async function inADeadlock<Result>(held: string, wanted: string, person: Person, ask: () => Promise<Result>) {
  const before = await deadlocks();
  // Whoever looks first gives way, and that is the service.
  await other.query(`SET deadlock_timeout = '60s'`);
  await other.query('BEGIN');
  await other.query(held.replace('$1', `'${person.id}'`));
  const asked = ask();
  try {
    await expect.poll(() => count(WAITING, []), { timeout: 5_000, interval: 5 }).toBe(1);
    await other.query(wanted.replace('$1', `'${person.id}'`));
  } finally {
    await other.query('COMMIT');
  }
  const result = await asked;
  await expect.poll(deadlocks, { timeout: 5_000 }).toBe(before + 1);
  return result;
}

/** What is answered to `ask`, which waits for a change of the person's row by the other one. */
async function afterAChange<Result>(person: Person, ask: () => Promise<Result>): Promise<Result> {
  await other.query('BEGIN');
  await other.query('UPDATE users SET first_name = $2 WHERE id = $1', [person.id, 'Changed']);
  const asked = ask();
  try {
    await expect.poll(() => count(WAITING, []), { timeout: 5_000, interval: 5 }).toBe(1);
  } finally {
    await other.query('COMMIT');
  }
  return asked;
}

/** For every connection from now on: those that there are go. */
async function setIsolation(level: string): Promise<void> {
  await watcher.query(`ALTER DATABASE ${new URL(app.database.url).pathname.slice(1)}
    SET default_transaction_isolation = '${level}'`);
  await watcher.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'countersign'`);
  const isServing = async () => (await firstFactor(app, 'nobody@example.com')).status === 401;
  await expect.poll(isServing, { timeout: 5_000 }).toBe(true);
}

const USER = 'SELECT FROM users WHERE id = $1 FOR UPDATE';
const SESSIONS = 'LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE';

describe('two transactions that wait for each other', { timeout: 30_000 }, () => {
  it('a second factor succeeds, its code is spent once, and there is one session', async () => {
    const person = await register(app);
    const { codeToken } = (await firstFactor(app, person.email)).body;
    const code = await app.mailbox.code(person.email);
    const { status } = await inADeadlock(SESSIONS, USER, person, () => secondFactor(app, codeToken, code));
    expect([status, await sessionsOf(person)]).toEqual([200, 1]);
    expect(await count('challenges, generate_series(1, attempts) WHERE user_id = $1', [person.id])).toBe(1);
    expect((await secondFactor(app, codeToken, code)).status).toBe(401);
  });

  it('the charge of a guess, a statement of its own, is made once', async () => {
    const person = await register(app);
    const { codeToken } = (await firstFactor(app, person.email)).body;
    await app.mailbox.code(person.email);
    const [challenge, device] = ['challenges', 'otp_devices'].map(
      (table) => `SELECT FROM ${table} WHERE user_id = $1 FOR UPDATE`,
    );
    const guess = await inADeadlock(challenge ?? '', device ?? '', person, () =>
      secondFactor(app, codeToken, '000000'),
    );
    expect(guess.status).toBe(401);
    const { rows } = await watcher.query('SELECT attempts FROM challenges WHERE user_id = $1', [person.id]);
    const devices = await watcher.query('SELECT failures FROM otp_devices WHERE user_id = $1', [person.id]);
    expect([rows, devices.rows]).toEqual([[{ attempts: 1 }], [{ failures: 1 }]]);
    expect(await events('second-factor.failed', person)).toBe(1);
  });

  it('a password reset changes the password, and tells of it once', async () => {
    const person = await register(app);
    await signInByMail(app, person);
    const token = tokenOf(await resetLink(app, person.email));
    const body = { token, newPassword: 'four other uncommon words' };
    const reset = () => app.http.post('/auth/password-reset/confirm', body);
    expect((await inADeadlock(SESSIONS, USER, person, reset)).status).toBe(204);
    expect(await events('user.password-reset', person)).toBe(1);
    expect((await firstFactor(app, person.email, body.newPassword)).status).toBe(200);
    expect((await reset()).status).toBe(400);
  });

  it('a first factor asks once', async () => {
    const person = await register(app);
    const asked = await inADeadlock('LOCK TABLE challenges IN ACCESS EXCLUSIVE MODE', USER, person, () =>
      firstFactor(app, person.email),
    );
    expect(asked.status).toBe(200);
    const code = await app.mailbox.code(person.email);
    expect(app.mailbox.all(person.email).filter(({ subject }) => subject.endsWith('verification code'))).toHaveLength(
      1,
    );
    expect((await secondFactor(app, asked.body.codeToken, code)).status).toBe(200);
  });
});

it('a change that came between, where an operator has set repeatable read: the transaction begins anew', async () => {
  await setIsolation('repeatable read');
  const person = await register(app);
  const { codeToken } = (await firstFactor(app, person.email)).body;
  const code = await app.mailbox.code(person.email);
  const { status } = await afterAChange(person, () => secondFactor(app, codeToken, code));
  expect([status, await sessionsOf(person)]).toEqual([200, 1]);
  expect((await secondFactor(app, codeToken, code)).status).toBe(401);
}, 30_000);

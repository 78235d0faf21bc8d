import { afterAll, beforeAll, expect, it } from 'vitest';
import { Outbox } from '../../src/notifications/outbox.js';
import { startApp, type TestApp } from '../support/app.js';
import { resetLink, tokenOf } from '../support/links.js';
import { Mailbox } from '../support/mailbox.js';
import { firstFactor, PASSWORD, register, secondFactor, signInByMail, type SignedIn } from '../support/people.js';
import { startPostgresProxy, type PostgresProxy } from '../support/postgres-proxy.js';

// Real: a replica whose connections to PostgreSQL are cut at the moment when a COMMIT was done and its answer is on the
// way. People ask that replica, and ask again.

/** Sees the database as it is. */
let direct: TestApp;
let proxy: PostgresProxy;
let app: TestApp;

beforeAll(async () => {
  direct = await startApp();
  proxy = await startPostgresProxy(direct.database.url);
  const database = { ...direct.database, url: proxy.url };
  const behind = await startApp({ CODE_TOKEN_RETRY_WAIT: '0s' }, { replicaOf: { ...direct, database } });
  const outboxes = [direct, behind].map((replica) => replica.app.get(Outbox));
  // Either may have sent a mail.
  app = { ...behind, mailbox: new Mailbox({ list: () => outboxes.flatMap((outbox) => outbox.list()) }) };
});
afterAll(async () => {
  await app.close();
  await proxy.goAway();
  await direct.close();
});

const count = async (query: string, parameters: unknown[]): Promise<number> =>
  (await direct.sql<{ n: number }>(`SELECT count(*)::integer AS n FROM ${query}`, parameters))[0]?.n ?? NaN;
const sessionsOf = (userId: string) => count('sessions WHERE user_id = $1', [userId]);
const events = (type: string, userId: string) => count('audit_events WHERE type = $1 AND user_id = $2', [type, userId]);

/** Asks once, and nobody hears that what contains this statement was committed. */
async function unheard<Result>(statement: RegExp, ask: () => Promise<Result>): Promise<Result> {
  const [answer] = await Promise.all([ask(), proxy.loseCommitOf(statement)]);
  return answer;
}

it('of a second factor: 503, and the code is spent by the one session that nobody has', async () => {
  const { id, email } = await register(app);
  const { codeToken } = (await firstFactor(app, email)).body;
  const code = await app.mailbox.code(email);
  const lost = await unheard(/INSERT INTO sessions/, () => secondFactor(app, codeToken, code));
  expect([lost.status, lost.headers['retry-after']]).toEqual([503, '2']);
  expect(await sessionsOf(id)).toBe(1);

  const again = await secondFactor<{ code: string }>(app, codeToken, code);
  expect([again.status, again.body.code]).toEqual([401, 'token_already_used']);
  expect(await sessionsOf(id)).toBe(1);
});

it('of the charge of a guess: 503, the guess was counted once, and the right code is still good', async () => {
  const { id, email } = await register(app);
  const { codeToken } = (await firstFactor(app, email)).body;
  const code = await app.mailbox.code(email);
  const attempts = () => count('challenges, generate_series(1, attempts) WHERE user_id = $1', [id]);
  expect((await unheard(/SET attempts = /, () => secondFactor(app, codeToken, code))).status).toBe(503);
  expect([await attempts(), await sessionsOf(id)]).toEqual([1, 0]);
  expect((await secondFactor(app, codeToken, code)).status).toBe(200);
  expect([await attempts(), await sessionsOf(id)]).toEqual([2, 1]);
});

it('of a refresh: 503, and who asks again gets the one successor', async () => {
  const person = await register(app);
  const { refreshToken } = await signInByMail(app, person);
  const refresh = (token: string) => app.http.post<SignedIn>('/auth/token/refresh', { refreshToken: token });
  const counter = () => count('sessions, generate_series(1, refresh_counter) WHERE user_id = $1', [person.id]);

  expect((await unheard(/SET refresh_counter/, () => refresh(refreshToken))).status).toBe(503);
  expect(await counter()).toBe(1);
  const [first, second] = [await refresh(refreshToken), await refresh(refreshToken)];
  expect([first.status, second.body.refreshToken]).toEqual([200, first.body.refreshToken]);
  expect(await counter()).toBe(1);
  expect((await refresh(first.body.refreshToken)).status).toBe(200);
  expect([await counter(), await sessionsOf(person.id)]).toEqual([2, 1]);

  // Now that its successor was used it is nobody's repetition.
  expect((await refresh(refreshToken)).status).toBe(401);
  expect(await count('sessions WHERE user_id = $1 AND ended_at IS NULL', [person.id])).toBe(0);
});

it('of a registration: 503, there is one account, and it signs in', async () => {
  const email = `lost-${Date.now()}@example.com`;
  const ask = () => app.http.post('/users', { email, password: PASSWORD });
  const lost = await unheard(/INSERT INTO users/, ask);
  const accounts = () => count('users WHERE email_canonical = $1', [email]);
  expect([lost.status, await accounts()]).toEqual([503, 1]);
  // As for everybody whose address has an account: nobody is told.
  expect((await ask()).status).toBe(201);
  expect(await accounts()).toBe(1);
  expect((await firstFactor(app, email)).status).toBe(200);
});

it('of a password reset: 503, the password is the new one, the link is used up, and every session has ended', async () => {
  const person = await register(app);
  await signInByMail(app, person);
  const body = { token: tokenOf(await resetLink(app, person.email)), newPassword: 'four other uncommon words' };
  const reset = () => app.http.post('/auth/password-reset/confirm', body);
  expect((await unheard(/SET password_hash/, reset)).status).toBe(503);
  expect(await count('sessions WHERE user_id = $1 AND ended_at IS NULL', [person.id])).toBe(0);
  expect((await reset()).status).toBe(400);
  expect(await events('user.password-reset', person.id)).toBe(1);
  expect((await firstFactor(app, person.email, body.newPassword)).status).toBe(200);
});

import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { firstFactor, PASSWORD, personWithTotp, register, secondFactor, signInByMail } from '../support/people.js';

/**
 * What a request costs the database, statement by statement, the ends of a transaction included. Signing in is what
 * everybody does at nine in the morning: one more round trip is a decision to be made here, not an accident.
 *
 * A request is followed through its asynchronous context, so what the job worker does meanwhile is not counted.
 */
const followed = new AsyncLocalStorage<string[]>();

type Query = (this: pg.Client, ...parameters: unknown[]) => unknown;
const prototype = pg.Client.prototype as unknown as { query: Query };
const query = prototype.query;

function follow(this: pg.Client, ...parameters: unknown[]): unknown {
  const [config] = parameters;
  const text = typeof config === 'string' ? config : (config as { text?: string }).text;
  if (text !== undefined) followed.getStore()?.push(summaryOf(text));
  return query.apply(this, parameters);
}

/** What a statement writes, locks or reads: `INSERT sessions`, `LOCK users`, `SELECT users, otp_devices`. */
function summaryOf(statement: string): string {
  const text = statement.trim().replaceAll('extract(epoch FROM', '(');
  if (/^(START|BEGIN|COMMIT|ROLLBACK)/.test(text)) return text.split(' ')[0] ?? '';
  if (text.includes('graphile_worker.add_job')) return 'ENQUEUE message';
  const written = text.matchAll(/\b(INSERT|(?<!FOR |KEY )UPDATE|DELETE)(?: INTO| FROM)? "?([a-z_]+)/g);
  const writes = [...written].map(([, verb, table]) => `${verb} ${table}`);
  if (writes.length > 0) return writes.join(', ');
  const tables = [...text.matchAll(/\b(?:FROM|JOIN) "?([a-z_]+)/g)].map(([, table]) => table);
  return `${/ FOR (NO KEY )?UPDATE/.test(text) ? 'LOCK' : 'SELECT'} ${tables.join(', ')}`;
}

async function statementsOf<T>(send: () => Promise<T>): Promise<{ answer: T; statements: string[] }> {
  const statements: string[] = [];
  const answer = await followed.run(statements, send);
  return { answer, statements };
}

/** Known or not, right or wrong: the same three. */
const REFUSED_PASSWORD = ['INSERT failure_counters', 'SELECT users', 'INSERT audit_events, INSERT audit_unsealed'];

/** Devices, addresses, recovery codes that are left, rules of three levels: all that a decision looks at. */
const FACTS =
  'SELECT recovery_codes, otp_devices, requirement_rules, requirement_rules, requirement_rules, users, otp_devices';

/** What every right password costs before it is clear what follows. */
const RIGHT_PASSWORD = [
  'INSERT failure_counters',
  'SELECT users',
  'DELETE failure_counters',
  'START',
  'LOCK users',
  FACTS,
];

const CHARGED_ATTEMPT = ['UPDATE challenges, UPDATE otp_devices', 'START', 'LOCK users', 'LOCK otp_devices'];

const NEW_SESSION = [
  'SELECT users',
  FACTS,
  'UPDATE sessions, INSERT sessions',
  'INSERT audit_events, INSERT audit_unsealed',
  'COMMIT',
];

beforeAll(() => {
  prototype.query = follow;
});
afterAll(() => {
  prototype.query = query;
});

describe('statements of a sign-in with a second factor', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  it('3 for an unknown identifier, and the same 3 for a wrong password', async () => {
    const person = await register(app);
    const unknown = await statementsOf(() => firstFactor(app, 'nobody@example.com'));
    const wrong = await statementsOf(() => firstFactor(app, person.email, 'not the password'));
    expect([unknown.answer.status, wrong.answer.status]).toEqual([401, 401]);
    expect(unknown.statements).toEqual(REFUSED_PASSWORD);
    expect(wrong.statements).toEqual(REFUSED_PASSWORD);
    expect(REFUSED_PASSWORD).toHaveLength(3);
  });

  it('12 for the first e-mailed code of a user, and 14 for the code that comes back and proves the address', async () => {
    const person = await register(app);
    const asked = await statementsOf(() => firstFactor(app, person.email));
    expect(asked.answer.body.codeSent).toBe(true);
    expect(asked.statements).toEqual([
      ...RIGHT_PASSWORD,
      'INSERT otp_devices',
      'INSERT destination_sends',
      'INSERT challenges',
      'ENQUEUE message',
      'INSERT audit_events, INSERT audit_unsealed',
      'COMMIT',
    ]);
    expect(asked.statements).toHaveLength(12);

    const code = await app.mailbox.code(person.email);
    const right = await statementsOf(() => secondFactor(app, asked.answer.body.codeToken, code));
    expect(right.answer.status).toBe(200);
    expect(right.statements).toEqual([
      ...CHARGED_ATTEMPT,
      'UPDATE challenges',
      'UPDATE otp_devices',
      'DELETE destination_sends',
      'UPDATE users',
      'UPDATE otp_devices',
      ...NEW_SESSION,
    ]);
    expect(right.statements).toHaveLength(14);
  });

  it('12 for every later e-mailed code, 6 for a wrong one, 12 for the right one', async () => {
    const person = await register(app);
    await signInByMail(app, person);
    const asked = await statementsOf(() => firstFactor(app, person.email));
    expect(asked.answer.body.codeSent).toBe(true);
    expect(asked.statements).toEqual([
      ...RIGHT_PASSWORD,
      'SELECT otp_devices',
      'INSERT destination_sends',
      'INSERT challenges',
      'ENQUEUE message',
      'INSERT audit_events, INSERT audit_unsealed',
      'COMMIT',
    ]);
    expect(asked.statements).toHaveLength(12);

    const { codeToken } = asked.answer.body;
    const wrong = await statementsOf(() => secondFactor(app, codeToken, 'wrong'));
    expect(wrong.answer.status).toBe(401);
    expect(wrong.statements).toEqual([...CHARGED_ATTEMPT, 'INSERT audit_events, INSERT audit_unsealed', 'COMMIT']);
    expect(wrong.statements).toHaveLength(6);

    await app.clock.advance(3);
    const code = await app.mailbox.code(person.email);
    const right = await statementsOf(() => secondFactor(app, codeToken, code));
    expect(right.answer.status).toBe(200);
    expect(right.statements).toEqual([
      ...CHARGED_ATTEMPT,
      'UPDATE challenges',
      'UPDATE otp_devices',
      'DELETE destination_sends',
      ...NEW_SESSION,
    ]);
    expect(right.statements).toHaveLength(12);
  });

  it('10 to ask an app, 11 for its right code', async () => {
    const person = await personWithTotp(app);
    const asked = await statementsOf(() => firstFactor(app, person.email));
    expect(asked.answer.body.device.type).toBe('totp');
    expect(asked.statements).toEqual([
      ...RIGHT_PASSWORD,
      'SELECT otp_devices',
      'INSERT challenges',
      'INSERT audit_events, INSERT audit_unsealed',
      'COMMIT',
    ]);
    expect(asked.statements).toHaveLength(10);

    const code = totpCode(person.secret, app.clock);
    const right = await statementsOf(() => secondFactor(app, asked.answer.body.codeToken, code));
    expect(right.answer.status).toBe(200);
    expect(right.statements).toEqual([...CHARGED_ATTEMPT, 'UPDATE challenges', 'UPDATE otp_devices', ...NEW_SESSION]);
    expect(right.statements).toHaveLength(11);
  });

  it('2 for an attempt that comes too soon, and no transaction', async () => {
    const person = await register(app);
    const { body } = await firstFactor(app, person.email);
    await secondFactor(app, body.codeToken, 'wrong');
    const tooSoon = await statementsOf(() => secondFactor(app, body.codeToken, 'wrong'));
    expect(tooSoon.answer.status).toBe(429);
    expect(tooSoon.statements).toEqual([
      'UPDATE challenges, UPDATE otp_devices',
      'SELECT challenges, users, otp_devices',
    ]);
  });
});

describe('statements of a sign-in without a second factor', () => {
  it('9', async () => {
    const app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp', TWO_FACTOR_FALLBACK_METHOD: 'none' });
    try {
      const person = await register(app);
      const { answer, statements } = await statementsOf(() => firstFactor<{ status: string }>(app, person.email));
      expect(answer.body.status).toBe('authenticated');
      expect(statements).toEqual([
        ...RIGHT_PASSWORD,
        'UPDATE sessions, INSERT sessions',
        'INSERT audit_events, INSERT audit_unsealed',
        'COMMIT',
      ]);
      expect(statements).toHaveLength(9);
    } finally {
      await app.close();
    }
  });
});

describe('statements of what happens all day', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  it('1 for a refresh, 2 for the same one again within its grace', async () => {
    const { refreshToken } = await signInByMail(app, await register(app));
    const refresh = () => app.http.post('/auth/token/refresh', { refreshToken });
    const first = await statementsOf(refresh);
    const repeated = await statementsOf(refresh);
    expect([first.answer.status, repeated.answer.status]).toEqual([200, 200]);
    expect(first.statements).toEqual(['UPDATE sessions']);
    expect(repeated.statements).toEqual(['UPDATE sessions', 'SELECT sessions, users']);
  });

  it('1 to verify an access token, none once its session is known, and none for text that is no token', async () => {
    const { accessToken } = await signInByMail(app, await register(app));
    const verified = await statementsOf(() => app.http.post('/auth/token/verify', { token: accessToken }));
    expect(verified.answer.body).toMatchObject({ active: true });
    expect(verified.statements).toEqual(['SELECT sessions, users']);
    const again = await statementsOf(() => app.http.post('/auth/token/verify', { token: accessToken }));
    expect(again.answer.body).toMatchObject({ active: true });
    expect(again.statements).toEqual([]);
    const garbage = await statementsOf(() => app.http.post('/auth/token/verify', { token: 'garbage' }));
    expect(garbage.statements).toEqual([]);
  });

  it('2 for GET /users/me: the session, and the user; 1 once the session is known', async () => {
    const { accessToken } = await signInByMail(app, await register(app));
    const me = await statementsOf(() => app.http.get('/users/me', { token: accessToken }));
    expect(me.answer.status).toBe(200);
    expect(me.statements).toEqual(['SELECT sessions, users', 'SELECT users']);
    const again = await statementsOf(() => app.http.get('/users/me', { token: accessToken }));
    expect(again.statements).toEqual(['SELECT users']);
  });
});

describe('statements of a refresh', () => {
  it('2 at a replica that has not seen the session, 1 from then on', async () => {
    const app = await startApp();
    const { refreshToken } = await signInByMail(app, await register(app));
    const other = await startApp({}, { replicaOf: app });
    try {
      const refresh = (token: unknown) => () => other.http.post('/auth/token/refresh', { refreshToken: token });
      const first = await statementsOf(refresh(refreshToken));
      expect(first.answer.status).toBe(200);
      expect(first.statements).toEqual(['SELECT sessions, users', 'UPDATE sessions']);
      const next = await statementsOf(refresh(first.answer.body['refreshToken']));
      expect(next.answer.status).toBe(200);
      expect(next.statements).toEqual(['UPDATE sessions']);
    } finally {
      await other.close();
      await app.close();
    }
  });
});

describe('statements of an invitation', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  it('8 to invite, 1 a page of the list, 18 to accept with a new account', async () => {
    const { accessToken: token } = await signInByMail(app, await register(app));
    await app.http.get('/users/me', { token });
    const email = 'invited@example.com';
    const invited = await statementsOf(() => app.http.post('/invitations', { email }, { token }));
    expect(invited.answer.status).toBe(201);
    expect(invited.statements).toEqual([
      'SELECT refused_addresses',
      'START',
      'LOCK users',
      'INSERT invitations',
      'INSERT destination_sends',
      'ENQUEUE message',
      'INSERT audit_events, INSERT audit_unsealed',
      'COMMIT',
    ]);
    expect(invited.statements).toHaveLength(8);

    const list = await statementsOf(() => app.http.get('/invitations', { token }));
    expect(list.statements).toEqual(['SELECT users, invitations']);

    const { text } = await app.mailbox.next(email, /invited/);
    const body = { token: /token=([\w-]+)/.exec(text)?.[1], password: PASSWORD };
    const accepted = await statementsOf(() => app.http.post('/invitations/accept', body));
    expect(accepted.answer.body['status']).toBe('enrollment_required');
    expect(accepted.statements).toEqual([
      // what the token opens, whether its address has an account, whether it may have one
      'SELECT users, invitations',
      'SELECT users',
      'SELECT refused_addresses',
      'START',
      'LOCK users',
      'INSERT users',
      'INSERT audit_events, INSERT audit_unsealed',
      'LOCK users',
      'UPDATE invitations',
      'UPDATE users',
      'INSERT audit_events, INSERT audit_unsealed',
      'ENQUEUE message',
      'LOCK users',
      FACTS,
      'INSERT enrollments',
      'INSERT audit_events, INSERT audit_unsealed',
      'COMMIT',
      // whether other replicas have heard of roles and sessions
      'SELECT ',
    ]);
    expect(accepted.statements).toHaveLength(18);
  });
});

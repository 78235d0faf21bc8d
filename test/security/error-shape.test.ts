import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { catalogue, type ProblemCode } from '../../src/problems/catalogue.js';
import { startApp, type TestApp } from '../support/app.js';
import { urlOf } from '../support/global-setup.js';
import { firstFactor, register, secondFactor, signInByMail, type Person, type SignedIn } from '../support/people.js';

const JSON_TYPE = { 'content-type': 'application/json' };
const SOME_ID = '0198c0de-0000-7000-8000-000000000000';

/** What no answer may tell: where the code is, what it is made of, what it said to the database. */
const INTERNALS =
  /node_modules|node:|\bat .+:\d+:\d+|\.[cm]?[jt]s\b|\/work\/|\/src\/|\bstack\b|\b(SELECT|INSERT|UPDATE|DELETE FROM)\b|relation "|typeorm|postgres|fastify|FST_|nestjs|express|\bpg\b|graphile|ECONN|\d+\.\d+\.\d+/i;

interface Refusal {
  status: number;
  headers: Record<string, string | string[] | number | undefined>;
  text: string;
}

let app: TestApp;
let person: Person;
let session: SignedIn;

beforeAll(async () => {
  app = await startApp({ PASSWORD_FREE_FAILURES: '3' });
  person = await register(app);
  session = await signInByMail(app, person);
});
afterAll(() => app.close());

describe('an error of the request', () => {
  const authorized = () => ({ authorization: `Bearer ${session.accessToken}` });
  const json = (body: unknown) => ({ payload: JSON.stringify(body), headers: JSON_TYPE });

  it.each<[string, string, () => object, ProblemCode]>([
    [
      'broken JSON',
      'POST /api/v1/auth/token',
      () => ({ payload: '{"identifier":', headers: JSON_TYPE }),
      'malformed_body',
    ],
    ['no object', 'POST /api/v1/auth/token', () => json([]), 'malformed_body'],
    ['no body', 'POST /api/v1/auth/token', () => ({}), 'validation_failed'],
    ['an empty body', 'POST /api/v1/auth/token', () => ({ payload: '', headers: JSON_TYPE }), 'validation_failed'],
    ['an unknown property', 'POST /api/v1/users', () => json({ isAdmin: true }), 'validation_failed'],
    ['an id that is none', 'GET /api/v1/otp-devices/7', () => ({ headers: authorized() }), 'validation_failed'],
    [
      'plain text',
      'POST /api/v1/auth/token',
      () => ({ payload: 'hello', headers: { 'content-type': 'text/plain' } }),
      'unsupported_media_type',
    ],
    [
      'a form',
      'POST /api/v1/auth/token',
      () => ({ payload: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
      'unsupported_media_type',
    ],
    [
      'a body without its type',
      'POST /api/v1/auth/token',
      () => ({ payload: '{}', headers: { 'content-type': '' } }),
      'unsupported_media_type',
    ],
    [
      'a type that is none',
      'POST /api/v1/auth/token',
      () => ({ payload: '{}', headers: { 'content-type': 'json' } }),
      'unsupported_media_type',
    ],
    [
      'a compressed body',
      'POST /api/v1/auth/token',
      () => ({ payload: '{}', headers: { ...JSON_TYPE, 'content-encoding': 'gzip' } }),
      'unsupported_media_type',
    ],
    ['too long a body', 'POST /api/v1/auth/token', () => json('x'.repeat(40_000)), 'payload_too_large'],
    ['no token', 'GET /api/v1/users/me', () => ({}), 'authentication_required'],
    ['a wrong token', 'GET /api/v1/users/me', () => ({ headers: { authorization: 'Bearer abc' } }), 'invalid_token'],
    [
      'a wrong password',
      'POST /api/v1/auth/token',
      () => json({ identifier: 'nobody', password: 'x' }),
      'invalid_credentials',
    ],
    [
      'a wrong refresh token',
      'POST /api/v1/auth/token/refresh',
      () => json({ refreshToken: 'x' }),
      'invalid_refresh_token',
    ],
    ['an unknown device', `GET /api/v1/otp-devices/${SOME_ID}`, () => ({ headers: authorized() }), 'not_found'],
    ['an unknown path', 'GET /api/v1/nothing', () => ({}), 'not_found'],
    ['an unknown path at the root', 'GET /nothing', () => ({}), 'not_found'],
    ['a path with a broken escape', 'GET /api/v1/otp-devices/%zz', () => ({}), 'not_found'],
    ['a path with a NUL', 'GET /api/v1/%00', () => ({}), 'not_found'],
    ['a path that climbs', 'GET /api/v1/../../etc/passwd', () => ({}), 'not_found'],
    ['a path without end', `GET /api/v1/otp-devices/${'a'.repeat(9_000)}`, () => ({}), 'not_found'],
  ])('%s', async (_name, route, request, code) => {
    const refusal = await send(route, request());
    expectProblem(refusal, code);
    expect(refusal.text).not.toContain('/api/v1/otp-devices/');
  });

  it('names the fields that are wrong, and only those', async () => {
    const { text } = await send('POST /api/v1/auth/token', json({ identifier: 'a', password: 5, extra: 1 }));
    const { errors } = JSON.parse(text) as { errors: { field: string; messages: string[] }[] };
    expect(errors.map(({ field }) => field).sort()).toEqual(['extra', 'password']);
    expect(errors.every(({ messages }) => messages.length > 0)).toBe(true);
  });

  it('repeats no value that was sent', async () => {
    const canary = 'canary-6f1d0b';
    const bodies = [
      { identifier: [canary], password: { [`x`]: canary } },
      { identifier: 'a', password: 'b', extra: canary },
      { type: canary },
      { preferredMethod: canary },
    ];
    for (const route of ['POST /api/v1/auth/token', 'POST /api/v1/otp-devices', 'PATCH /api/v1/users/me/two-factor']) {
      for (const body of bodies) {
        const { status, text } = await send(route, { ...json(body), headers: { ...JSON_TYPE, ...authorized() } });
        expect(status).toBe(400);
        expect(text).not.toContain(canary);
      }
    }
    const { text } = await send(`GET /api/v1/${canary}?q=${canary}`, { headers: { 'x-request-id': `<${canary}>` } });
    expect(text).not.toContain(canary);
  });

  it('is answered to HEAD without a body, and otherwise alike', async () => {
    const { status, headers, text } = await send('HEAD /api/v1/users/me', {});
    expect([status, text]).toEqual([401, '']);
    expect(headers['www-authenticate']).toMatch(/^Bearer /);
    expect(headers['cache-control']).toBe('no-store');
  });
});

describe('a method that a path does not know', () => {
  it.each([
    ['GET /api/v1/auth/token', 'POST'],
    ['PUT /api/v1/users/me', 'DELETE, GET, HEAD, PATCH'],
    ['DELETE /api/v1/users/me/two-factor?x=1', 'GET, HEAD, PATCH'],
    ['TRACE /api/v1/users/me/', 'DELETE, GET, HEAD, PATCH'],
    ['OPTIONS /api/v1/users', 'POST'],
    [`PUT /api/v1/otp-devices/${SOME_ID}`, 'DELETE, GET, HEAD, PATCH'],
    [`GET /api/v1/otp-devices/${SOME_ID}/confirm`, 'POST'],
    ['POST /health/live', 'GET, HEAD'],
    ['POST /.well-known/jwks.json', 'GET, HEAD'],
  ])('%s is refused with what the path knows', async (route, allowed) => {
    const refusal = await send(route, {});
    expectProblem(refusal, 'http_method_not_allowed');
    expect(String(refusal.headers['allow']).split(', ').sort()).toEqual(allowed.split(', ').sort());
  });

  it('is no reason to call an unknown path known', async () => {
    for (const route of ['PUT /api/v1/user', 'POST /api/v1', 'POST /api/v1/users/me/two-factor/x', 'OPTIONS /']) {
      const refusal = await send(route, {});
      expectProblem(refusal, 'not_found');
      expect(refusal.headers).not.toHaveProperty('allow');
    }
  });
});

describe('a refusal that passes says when', () => {
  it('after too many wrong passwords', async () => {
    const guess = () =>
      send('POST /api/v1/auth/token', { headers: JSON_TYPE, payload: '{"identifier":"guessed","password":"x"}' });
    for (let n = 0; n < 3; n += 1) expectProblem(await guess(), 'invalid_credentials');
    expect(expectProblem(await guess(), 'too_many_failures')).toBe(30);
  });

  it('after a guess a moment ago, and after a code that was sent a moment ago', async () => {
    const { body } = await firstFactor(app, (await register(app)).email);
    await secondFactor(app, body.codeToken, '0000000');
    const code = { codeToken: body.codeToken, code: '0000000' };
    const post = (path: string, payload: object) =>
      send(`POST /api/v1${path}`, { headers: JSON_TYPE, payload: JSON.stringify(payload) });
    expect(expectProblem(await post('/auth/token/second-factor', code), 'retry_too_soon')).toBeLessThanOrEqual(2);
    await app.clock.advance(3);
    expect(expectProblem(await post('/auth/otp', { codeToken: body.codeToken }), 'code_recently_sent')).toBe(57);
  });
});

describe('a trouble of the database', () => {
  let beside: pg.Client;
  beforeAll(async () => {
    const [row] = await app.sql<{ name: string }>('SELECT current_database() AS name');
    beside = new pg.Client({ connectionString: urlOf(inject('postgresUrl'), row?.name ?? '') });
    await beside.connect();
  });
  afterAll(() => beside.end());

  const signIn = () =>
    send('POST /api/v1/auth/token', {
      headers: JSON_TYPE,
      payload: JSON.stringify({ identifier: person.email, password: 'x' }),
    });

  it('that nobody foresaw is a 500 which tells nothing of it', async () => {
    await beside.query('ALTER TABLE users RENAME TO users_elsewhere');
    try {
      const refusal = await signIn();
      expectProblem(refusal, 'internal_error');
      expect(refusal.text).not.toMatch(/users|elsewhere|42P01|column|table/i);
    } finally {
      await beside.query('ALTER TABLE users_elsewhere RENAME TO users');
    }
    expectProblem(await signIn(), 'invalid_credentials');
  });

  it('that passes is a 503: a lock that is not granted', async () => {
    await beside.query('BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE');
    const refusal = await signIn().finally(() => beside.query('ROLLBACK'));
    expect(expectProblem(refusal, 'unavailable')).toBeGreaterThan(0);
    await beside.query('DELETE FROM failure_counters');
  });

  it('that passes is a 503: a connection that is cut in the middle of a request', async () => {
    await beside.query('BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE');
    const cut = signIn();
    await expect
      .poll(
        async () => {
          const { rowCount } = await beside.query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'countersign'`,
          );
          return rowCount;
        },
        { interval: 5, timeout: 5_000 },
      )
      .toBe(1);
    await beside.query('ROLLBACK');
    expect(expectProblem(await cut, 'unavailable')).toBeGreaterThan(0);
    await beside.query('DELETE FROM failure_counters');
  });

  it('is over as soon as the connections are back, idle ones that were cut included', async () => {
    await beside.query(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'countersign'`,
    );
    await expect.poll(async () => (await send('GET /health/ready', {})).status, { interval: 10 }).toBe(200);
    expectProblem(await signIn(), 'invalid_credentials');
  });
});

describe('every answer, the good ones included', () => {
  it.each([
    ['GET /api/v1/users/me', 'no-store'],
    ['GET /api/v1/otp-devices', 'no-store'],
    ['GET /health/live', 'no-store'],
    ['GET /health/ready', 'no-store'],
    ['GET /dev/outbox', 'no-store'],
    ['GET /dev/outbox.json', 'no-store'],
    ['GET /.well-known/jwks.json', 'public, max-age=300'],
    ['GET /.well-known/openid-configuration', 'public, max-age=300'],
    ['GET /problems', 'public, max-age=3600'],
  ])('%s: cached as it says, sniffed never, signed by nobody', async (route, caching) => {
    const answer = await send(route, { headers: { authorization: `Bearer ${session.accessToken}` } });
    expect(answer.status).toBe(200);
    expect(answer.headers['cache-control']).toBe(caching);
    expect(answer.headers['content-type']).toMatch(/; charset=utf-8$/);
    expectPlainHeaders(answer);
  });

  it('an answer with tokens is not stored', async () => {
    const answer = await firstFactor(app, (await register(app)).email);
    expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'no-store']);
  });

  it('a request id of the caller is kept where it looks like one', async () => {
    const idOf = async (id: string) =>
      (await send('GET /health/live', { headers: { 'x-request-id': id } })).headers['x-request-id'];
    expect(await idOf('caller-0123456789')).toBe('caller-0123456789');
    for (const id of ['short', 'a b c d e f g h', 'x'.repeat(65), '<script>alert(1)</script>', '${jndi:ldap://x}']) {
      expect(await idOf(id)).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

// Last: a second application takes the bearer tokens of the first one's place.
describe('a path that cannot be read', () => {
  let other: TestApp;
  beforeAll(async () => {
    other = await startApp({ CORS_ORIGINS: 'https://app.example.test' });
  });
  afterAll(() => other.close());

  it.each([
    ['GET', '/%zz'],
    ['POST', '/api/v1/%E0%A4%A'],
    ['PUT', '/api/v1/otp-devices/%'],
    ['GET', `/api/v1/otp-devices/${'a'.repeat(9_000)}`],
  ] as const)('has the headers of every other one that is not there: %s %.40s', async (method, url) => {
    const headers = { origin: 'https://app.example.test', 'x-request-id': 'caller-0123456789' };
    const unknown = await other.app.inject({ method, url: '/api/v1/nothing', headers });
    const unreadable = await other.app.inject({ method, url, headers });
    expectProblem({ status: unreadable.statusCode, headers: unreadable.headers, text: unreadable.body }, 'not_found');
    expect(unknown.headers['access-control-allow-origin']).toBe('https://app.example.test');
    expect({ ...unreadable.headers, date: '' }).toEqual({ ...unknown.headers, date: '' });
  });
});

async function send(route: string, request: object): Promise<Refusal> {
  const [method = '', url = ''] = route.split(' ');
  const { statusCode, headers, body } = await app.app.inject({ method: method as 'GET', url, ...request });
  return { status: statusCode, headers, text: body };
}

/** Holds an answer against the documented form of errors; answers `retryAfter`. */
function expectProblem({ status, headers, text }: Refusal, code: ProblemCode): number | undefined {
  const { retryAfter, errors, ...body } = JSON.parse(text) as Record<string, unknown>;
  expect({ status, ...body }).toEqual({
    ...catalogue[code],
    type: `/problems#${code}`,
    code,
    requestId: headers['x-request-id'],
    detail: body['detail'],
  });
  expect(body['detail']).toMatch(/^[A-Z].+\.$/);
  expect(headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(headers['cache-control']).toBe('no-store');
  expect(headers['x-request-id']).toMatch(/^[\w-]{8,64}$/);
  expect(headers['www-authenticate'] !== undefined).toBe(status === 401);
  expect(errors === undefined || code === 'validation_failed').toBe(true);

  const passes = status === 429 || status === 503;
  expect(headers['retry-after']).toBe(passes ? String(retryAfter) : undefined);
  if (passes) expect(Number.isInteger(retryAfter) && Number(retryAfter) > 0).toBe(true);
  expect(text).not.toMatch(INTERNALS);
  expectPlainHeaders({ status, headers, text });
  return retryAfter as number | undefined;
}

function expectPlainHeaders({ headers }: Refusal): void {
  expect(headers['x-content-type-options']).toBe('nosniff');
  expect(headers).not.toHaveProperty('server');
  expect(headers).not.toHaveProperty('x-powered-by');
}

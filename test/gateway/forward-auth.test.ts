import { createLocalJWKSet, decodeJwt, jwtVerify, type JSONWebKeySet } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { expectDocumented } from '../support/openapi.js';
import {
  enrollTotp,
  firstFactor,
  personWithTotp,
  register,
  secondFactor,
  signInByMail,
  signInByTotp,
  type Person,
} from '../support/people.js';
import { dialogue } from './wire.js';

const PATH = '/api/v1/auth/forward';
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

interface Question {
  token?: string | undefined;
  query?: string;
  method?: (typeof METHODS)[number];
  headers?: Record<string, string>;
  payload?: string;
  path?: string;
}

let app: TestApp;
beforeAll(async () => {
  app = await startApp({
    THROTTLE_OVERALL_PER_IP: '50/5m',
    CORS_ORIGINS: 'https://app.example.test',
  });
});
afterAll(() => app.close());

let person: Person;
let token: string;
beforeAll(async () => {
  person = await register(app);
  ({ accessToken: token } = await signInByMail(app, person));
});

function ask(question: Question = {}, server = app) {
  const { token: bearer, query = '', method = 'GET', headers = {}, payload, path = PATH } = question;
  return server.app.inject({
    method,
    url: `${path}${query}`,
    headers: { ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }), ...headers },
    ...(payload === undefined ? {} : { payload }),
  });
}

async function verdict(question: Question, server = app): Promise<string> {
  const { statusCode, body } = await ask(question, server);
  return statusCode === 200 ? '200' : `${statusCode} ${(JSON.parse(body) as { code: string }).code}`;
}

function identityOf(headers: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => /^(x-auth|remote)-/.test(name)));
}

describe('a request with a valid access token', () => {
  it('may pass, and the headers say who sends it', async () => {
    const { status, headers } = await app.http.get('/auth/forward', { token });
    const { sid } = decodeJwt(token);
    expect(status).toBe(200);
    expect(identityOf(headers)).toEqual({
      'x-auth-user-id': person.id,
      'x-auth-session-id': sid,
      'x-auth-roles': '',
      'x-auth-acr': 'aal1',
      'x-auth-amr': 'pwd,email',
    });
  });

  it('is told apart from every other by any cache, and kept by none', async () => {
    for (const bearer of [token, undefined, 'nonsense']) {
      const { headers } = await ask({ token: bearer });
      expect([headers['cache-control'], headers['vary']]).toEqual(['no-store', 'Authorization, Cookie']);
    }
  });

  it('tells the roles of this moment, not those of the token', async () => {
    const changed = await register(app);
    const session = await signInByMail(app, changed);
    await app.sql(`UPDATE users SET roles = '{support,admin}' WHERE id = $1`, [changed.id]);
    const { headers } = await ask({ token: session.accessToken });
    expect(headers['x-auth-roles']).toBe('support,admin');
  });

  it('says nothing that is not visible ASCII, and no more than fits', async () => {
    const odd = await register(app);
    const session = await signInByMail(app, odd);
    const roles = ['a\r\nX-Auth-User-Id: evil', 'b,admin', 'ü%', 'x'.repeat(2000), 'never'];
    await app.sql('UPDATE users SET roles = $2 WHERE id = $1', [odd.id, roles]);
    const { statusCode, headers } = await ask({ token: session.accessToken });
    expect(statusCode).toBe(200);
    expect(headers['x-auth-roles']).toBe('a%0D%0AX-Auth-User-Id:%20evil,b%2Cadmin,%C3%BC%25');
    expect(headers['x-auth-user-id']).toBe(odd.id);
  });

  it('ignores what the client writes about himself', async () => {
    const lies = {
      'x-auth-user-id': 'root',
      'x-auth-roles': 'admin',
      'x-user-id': 'root',
      'x-forwarded-user': 'root',
      'x-forwarded-method': 'GET',
      'x-forwarded-uri': '/public?role=admin',
      'x-original-url': '/health/live',
    };
    expect(await verdict({ headers: lies })).toBe('401 authentication_required');
    const { headers } = await ask({ token, headers: lies });
    expect([headers['x-auth-user-id'], headers['x-auth-roles']]).toEqual([person.id, '']);
    expect(await verdict({ token, query: '?role=admin', headers: lies })).toBe('403 role_required');
  });
});

describe('everything else is 401', () => {
  it.each<[string, () => Promise<string | undefined>]>([
    ['no token', () => Promise.resolve(undefined)],
    ['garbage', () => Promise.resolve('eyJhbGciOiJFUzI1NiJ9.e30.AAAA')],
    ['a refresh token', async () => (await signInByMail(app, await register(app))).refreshToken],
    ['a code token', async () => (await firstFactor(app, (await register(app)).email)).body.codeToken],
    [
      'the token of a session that was signed out',
      async () => {
        const { accessToken, refreshToken } = await signInByMail(app, await register(app));
        await app.http.post('/auth/token/revoke', { refreshToken });
        return accessToken;
      },
    ],
    [
      'the token of a user who was switched off',
      async () => {
        const gone = await register(app);
        const { accessToken } = await signInByMail(app, gone);
        await app.sql('UPDATE users SET active = false WHERE id = $1', [gone.id]);
        return accessToken;
      },
    ],
    [
      'the token of a user who removed his account',
      async () => {
        const { accessToken } = await signInByMail(app, await register(app));
        await app.sql('DELETE FROM users WHERE id = $1', [decodeJwt(accessToken).sub]);
        return accessToken;
      },
    ],
  ])('%s', async (_name, tokenOf) => {
    const { statusCode, headers } = await ask({ token: await tokenOf() });
    expect([statusCode, headers['www-authenticate'], identityOf(headers)]).toEqual([
      401,
      expect.stringMatching(/^Bearer realm="countersign"/),
      {},
    ]);
  });

  it('a token in a query, a cookie or a form', async () => {
    const questions: Question[] = [
      { query: `?access_token=${token}` },
      { headers: { cookie: `access_token=${token}; token=${token}` } },
      {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        payload: `access_token=${token}`,
      },
    ];
    for (const question of questions) {
      expect(await verdict(question)).toBe('401 authentication_required');
    }
  });
});

describe('what a gateway may demand', () => {
  it('acr: a session of less is told what to prove (RFC 9470)', async () => {
    expect(await verdict({ token, query: '?acr=aal1' })).toBe('200');
    const { statusCode, headers } = await ask({ token, query: '?acr=aal2' });
    expect(statusCode).toBe(401);
    expect(headers['www-authenticate']).toMatch(/error="insufficient_user_authentication".*, acr_values="aal2"$/);
    const strong = await signInByTotp(app, await personWithTotp(app));
    expect(await verdict({ token: strong.accessToken, query: '?acr=aal2' })).toBe('200');
  });

  it('maxAge: a proof of longer ago must be repeated', async () => {
    const { accessToken } = await signInByMail(app, await register(app));
    await app.clock.advance(100);
    expect(await verdict({ token: accessToken, query: '?maxAge=110' })).toBe('200');
    const { statusCode, headers } = await ask({ token: accessToken, query: '?maxAge=90&acr=aal1' });
    expect(statusCode).toBe(401);
    expect(headers['www-authenticate']).toMatch(
      /error="insufficient_user_authentication".*, acr_values="aal1", max_age="90"$/,
    );
  });

  it('role: one of a list, and each of several lists', async () => {
    const holder = await register(app);
    const { accessToken } = await signInByMail(app, holder);
    await app.sql(`UPDATE users SET roles = '{support,billing}' WHERE id = $1`, [holder.id]);
    const answers = await Promise.all(
      ['support', 'admin', 'admin,support', 'support&role=billing', 'support&role=admin'].map(
        async (roles) => `${roles} ${await verdict({ token: accessToken, query: `?role=${roles}` })}`,
      ),
    );
    expect(answers).toEqual([
      'support 200',
      'admin 403 role_required',
      'admin,support 200',
      'support&role=billing 200',
      'support&role=admin 403 role_required',
    ]);
  });

  it.each(['?acr=aal2&acr=aal1', '?acr=aal1&acr=aal2', '?maxAge=0&maxAge=999999', '?role=admin&role='])(
    'what comes twice never demands less: %s',
    async (query) => {
      const { accessToken } = await signInByMail(app, await register(app));
      await app.clock.advance(2);
      const { statusCode } = await ask({ token: accessToken, query });
      expect(statusCode).toBeGreaterThanOrEqual(401);
      expect(statusCode).toBeLessThanOrEqual(403);
    },
  );

  it.each([
    '?acr=foo',
    '?acr=',
    '?acr=AAL2',
    '?maxAge=-1',
    '?maxAge=5m',
    '?maxAge=1e3',
    '?maxAge=',
    '?max_age=300',
    '?role=',
    '?role=admin,',
    '?roles=admin',
    '?role[]=admin',
    '?__proto__=x',
    '?%zz',
    '?role=%00',
  ])('what makes no sense lets nobody through: %s', async (query) => {
    expect(await verdict({ token, query })).toBe('403 gateway_misconfigured');
  });
});

describe('whatever the request is', () => {
  it.each(METHODS)('%s is answered as GET is', async (method) => {
    const preflight = { origin: 'https://app.example.test', 'access-control-request-method': 'GET' };
    for (const headers of [{}, preflight] as Record<string, string>[]) {
      expect((await ask({ token, method, headers })).statusCode).toBe(200);
      expect((await ask({ method, headers })).statusCode).toBe(401);
      expect((await ask({ token, method, headers, query: '?role=admin' })).statusCode).toBe(403);
    }
  });

  it.each<[string, Record<string, string>]>([
    ['of ten megabytes', { 'content-length': '10485760', 'content-type': 'application/json' }],
    ['in XML', { 'content-length': '5', 'content-type': 'text/xml' }],
    ['of no type at all', { 'content-length': '5', 'content-type': ';;;' }],
    ['in chunks', { 'transfer-encoding': 'chunked', 'content-type': 'text/plain' }],
    ['compressed', { 'content-length': '5', 'content-type': 'application/json', 'content-encoding': 'zstd' }],
  ])('a body %s is not read, and nothing else comes by its connection', async (_name, headers) => {
    for (const method of METHODS) {
      const answer = await ask({ token, method, headers, payload: 'x' });
      expect([method, answer.statusCode, answer.headers['connection']]).toEqual([method, 200, 'close']);
    }
    expect((await ask({ token })).headers['connection']).not.toBe('close');
  });

  it('a body that is announced and never sent takes nothing from the next question', async () => {
    const url = new URL(await app.listen());
    const question = (bearer: string, length: number) =>
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${bearer}\r\nContent-Length: ${length}\r\n\r\n`;
    // The second question lies where the body of the first should be: it must not be answered as a third one's.
    const second = question(token, 0);
    const answers = await dialogue(url, question('nonsense', second.length) + second + question(token, 0));
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 401']);
    expect(answers).not.toContain(person.id);
  });

  it.each([
    '/',
    '/orders',
    '/orders/7?role=nobody&acr=foo',
    '/?x=1',
    '//double//slashes',
    '/%zz%00%',
    '/api/v1/auth/forward',
  ])('the path that Envoy puts behind ours (%s) changes nothing, and its query is the client’s', async (suffix) => {
    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS'] as const) {
      expect((await ask({ token, method, path: PATH + suffix })).statusCode).toBe(200);
      expect((await ask({ method, path: PATH + suffix })).statusCode).toBe(401);
    }
  });

  it('nor does a long one', async () => {
    expect((await ask({ token, path: `${PATH}/${'long'.repeat(2000)}` })).statusCode).toBe(200);
  });

  it('a path that only begins like ours is not ours', async () => {
    expect((await ask({ token, path: `${PATH}ed` })).statusCode).toBe(404);
    expect((await ask({ token, path: `/x${PATH}` })).statusCode).toBe(404);
  });

  it('one address may ask for everybody: there is no limit, and none of another route is used up', async () => {
    for (let n = 0; n < 120; n += 1) expect((await ask({ token })).statusCode).toBe(200);
    const others = { url: '/api/v1/users/me', remoteAddress: '192.0.2.77' };
    for (let n = 0; n < 50; n += 1) expect((await app.app.inject(others)).statusCode).toBe(401);
    expect((await app.app.inject(others)).statusCode).toBe(429);
    expect((await app.app.inject({ ...others, url: PATH })).statusCode).toBe(401);
  });
});

// From here on with applications of their own: passport knows only the strategies of the latest one.

describe('where a second factor is demanded', () => {
  let strict: TestApp;
  beforeAll(async () => {
    strict = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'totp', TWO_FACTOR_FALLBACK_METHOD: 'email' });
  });
  afterAll(() => strict.close());

  it('an enrollment token is 401 until the device is confirmed, and after it', async () => {
    const newcomer = await register(strict);
    const { body } = await firstFactor(strict, newcomer.email);
    const code = await strict.mailbox.code(newcomer.email);
    const { enrollmentToken } = (await secondFactor<{ enrollmentToken: string }>(strict, body.codeToken, code)).body;
    expect(await verdict({ token: enrollmentToken }, strict)).toBe('401 invalid_token');
    const device = await enrollTotp(strict, enrollmentToken);
    expect(await verdict({ token: enrollmentToken }, strict)).toBe('401 invalid_token');
    const session = await signInByTotp(strict, { ...newcomer, ...device });
    const { headers } = await ask({ token: session.accessToken, query: '?acr=aal2' }, strict);
    expect([headers['x-auth-acr'], headers['x-auth-amr']]).toEqual(['aal2', 'pwd,otp,mfa']);
  });
});

describe('while the database does not answer', () => {
  it('nobody passes: 403 with Retry-After, so that no client throws its token away', async () => {
    const away = await startApp();
    try {
      const { accessToken } = await signInByMail(away, await register(away));
      await away.sql('ALTER TABLE sessions RENAME TO sessions_away');
      const answer = await ask({ token: accessToken }, away);
      const { statusCode, headers, body } = answer;
      expect([statusCode, (JSON.parse(body) as { code: string }).code]).toEqual([403, 'authorization_unknown']);
      expectDocumented({ method: 'GET', url: '/api/v1/auth/forward' }, answer);
      expect([headers['retry-after'], headers['cache-control']]).toEqual(['2', 'no-store']);
      expect(identityOf(headers)).toEqual({});
      await away.sql('ALTER TABLE sessions_away RENAME TO sessions');
      expect(await verdict({ token: accessToken }, away)).toBe('200');
    } finally {
      await away.close();
    }
  });
});

describe('AUTH_FORWARD_HEADERS', () => {
  it.each([
    ['remote', ['remote-user', 'remote-email', 'remote-groups']],
    ['x-auth-request', ['x-auth-request-user', 'x-auth-request-email', 'x-auth-request-groups']],
  ])('%s: the id, the verified address and the roles', async (style, [user = '', email = '', groups = '']) => {
    const styled = await startApp({
      AUTH_FORWARD_HEADERS: style,
      TWO_FACTOR_TRUSTED_METHODS: 'none',
      TWO_FACTOR_FALLBACK_METHOD: 'none',
    });
    try {
      const one = await register(styled);
      const { body } = await firstFactor<{ accessToken: string }>(styled, one.email);
      await styled.sql(`UPDATE users SET roles = '{support,billing}' WHERE id = $1`, [one.id]);
      const unverified = await ask({ token: body.accessToken }, styled);
      expect(identityOf(unverified.headers)).toEqual({ [user]: one.id, [email]: '', [groups]: 'support,billing' });
      await styled.sql('UPDATE users SET email_verified_at = now() WHERE id = $1', [one.id]);
      expect((await ask({ token: body.accessToken }, styled)).headers[email]).toBe(one.email);
    } finally {
      await styled.close();
    }
  });
});

describe('AUTH_FORWARD_IDENTITY_AUDIENCE', () => {
  it('adds a token that others can verify for a minute, and that opens nothing here', async () => {
    const signing = await startApp({ AUTH_FORWARD_IDENTITY_AUDIENCE: 'https://services.example.test' });
    try {
      const one = await register(signing);
      const { accessToken } = await signInByMail(signing, one);
      const identity = String((await ask({ token: accessToken }, signing)).headers['x-auth-identity-token']);
      const keys = createLocalJWKSet(
        (await signing.http.get<JSONWebKeySet & Record<string, unknown>>('/.well-known/jwks.json')).body,
      );
      const verified = (audience: string) =>
        jwtVerify(identity, keys, {
          audience,
          issuer: 'https://id.example.test',
          typ: 'identity+jwt',
          currentDate: signing.clock.now(),
        });
      const { payload } = await verified('https://services.example.test');
      expect(payload).toMatchObject({ sub: one.id, sid: decodeJwt(accessToken)['sid'], acr: 'aal1', roles: [] });
      expect(Number(payload.exp) - Number(payload.iat)).toBe(60);
      await expect(verified('countersign')).rejects.toThrow('aud');
      expect(await verdict({ token: identity }, signing)).toBe('401 invalid_token');
      expect((await signing.http.get('/users/me', { token: identity })).status).toBe(401);
      expect((await signing.http.post('/auth/token/verify', { token: identity })).body).toEqual({ active: false });
    } finally {
      await signing.close();
    }
  });

  it.each<Record<string, string>>([
    { AUTH_FORWARD_IDENTITY_AUDIENCE: 'countersign' },
    { AUTH_FORWARD_IDENTITY_AUDIENCE: 'x', SIGNING_ALGORITHM: 'HS256' },
  ])('cannot be set so that one token passes for the other: %j', async (variables) => {
    await expect(startApp(variables)).rejects.toThrow('AUTH_FORWARD_IDENTITY_AUDIENCE');
  });
});

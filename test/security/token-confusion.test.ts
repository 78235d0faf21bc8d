import { getMetadataStorage } from 'class-validator';
import { createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SigningKeys } from '../../src/tokens/signing-keys.js';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { firstFactor, register, secondFactor, type Person, type SignedIn } from '../support/people.js';

/** Who may use a route, and what an empty request is answered once it was let in. */
type Row = readonly [who: 'everybody' | 'access' | 'access or enrollment' | 'access at a gateway', status: number];

/** Every route of the service. A new one fails here until somebody has decided who may use it. */
const ROUTES: Readonly<Record<string, Row>> = {
  'POST /api/v1/users': ['everybody', 400],
  'POST /api/v1/users/confirm': ['everybody', 400],
  'GET /api/v1/users/me': ['access', 200],
  'PATCH /api/v1/users/me': ['access', 200],
  'DELETE /api/v1/users/me': ['access', 204],
  'POST /api/v1/users/me/password': ['access', 400],
  'GET /api/v1/users/me/two-factor': ['access', 200],
  'PATCH /api/v1/users/me/two-factor': ['access', 200],
  'GET /api/v1/auth/options': ['everybody', 200],
  'POST /api/v1/auth/token': ['everybody', 400],
  'POST /api/v1/auth/token/second-factor': ['everybody', 400],
  'POST /api/v1/auth/token/refresh': ['everybody', 400],
  'POST /api/v1/auth/token/verify': ['everybody', 400],
  'POST /api/v1/auth/token/revoke': ['everybody', 400],
  'POST /api/v1/auth/otp': ['everybody', 400],
  'POST /api/v1/auth/magic-link': ['everybody', 400],
  'POST /api/v1/auth/magic-link/redeem': ['everybody', 400],
  'POST /api/v1/auth/password-reset': ['everybody', 400],
  'POST /api/v1/auth/password-reset/confirm': ['everybody', 400],
  'POST /api/v1/auth/social/:provider': ['everybody', 400],
  'POST /api/v1/auth/social/:provider/authorize': ['everybody', 400],
  'POST /api/v1/auth/social/:provider/nonce': ['everybody', 404],
  'GET /api/v1/users/me/identities': ['access', 200],
  'POST /api/v1/users/me/identities/:provider': ['access', 400],
  'DELETE /api/v1/users/me/identities/:provider': ['access', 404],
  'POST /api/v1/auth/step-up': ['access', 202],
  'GET /api/v1/users/me/sessions': ['access', 200],
  'DELETE /api/v1/users/me/sessions': ['access', 204],
  'DELETE /api/v1/users/me/sessions/:id': ['access', 404],
  'GET /api/v1/users/me/trusted-browsers': ['access', 200],
  'DELETE /api/v1/users/me/trusted-browsers': ['access', 204],
  'DELETE /api/v1/users/me/trusted-browsers/:id': ['access', 404],
  'GET /api/v1/otp-devices': ['access', 200],
  'POST /api/v1/otp-devices': ['access or enrollment', 400],
  'GET /api/v1/otp-devices/:id': ['access', 404],
  'PATCH /api/v1/otp-devices/:id': ['access', 404],
  'DELETE /api/v1/otp-devices/:id': ['access', 404],
  'POST /api/v1/otp-devices/:id/challenge': ['access or enrollment', 404],
  'POST /api/v1/otp-devices/:id/confirm': ['access or enrollment', 400],
  'GET /api/v1/invitations': ['access', 200],
  'POST /api/v1/invitations': ['access', 400],
  'GET /api/v1/invitations/:id': ['access', 404],
  'DELETE /api/v1/invitations/:id': ['access', 404],
  'POST /api/v1/invitations/:id/resend': ['access', 404],
  'POST /api/v1/invitations/preview': ['everybody', 400],
  'POST /api/v1/invitations/accept': ['everybody', 400],
  'GET /api/v1/admin/users': ['access', 403],
  'GET /api/v1/admin/users/:id': ['access', 403],
  'PATCH /api/v1/admin/users/:id': ['access', 403],
  'DELETE /api/v1/admin/users/:id': ['access', 403],
  'POST /api/v1/admin/users/:id/two-factor/reset': ['access', 403],
  'DELETE /api/v1/admin/users/:id/sessions': ['access', 403],
  'POST /api/v1/admin/users/:id/unlock': ['access', 403],
  'POST /api/v1/admin/users/:id/recovery-link': ['access', 403],
  'GET /api/v1/admin/two-factor/policy': ['access', 403],
  'PUT /api/v1/admin/two-factor/policy': ['access', 403],
  'GET /api/v1/admin/two-factor/policy/roles/:role': ['access', 403],
  'PUT /api/v1/admin/two-factor/policy/roles/:role': ['access', 403],
  'DELETE /api/v1/admin/two-factor/policy/roles/:role': ['access', 403],
  'POST /api/v1/admin/two-factor/policy/preview': ['access', 403],
  'GET /api/v1/admin/users/:id/two-factor': ['access', 403],
  'PATCH /api/v1/admin/users/:id/two-factor': ['access', 403],
  'POST /api/v1/admin/users/two-factor': ['access', 403],
  'GET /api/v1/admin/message-guard': ['access', 403],
  'POST /api/v1/admin/message-guard/reset': ['access', 403],
  'GET /api/v1/admin/webhooks': ['access', 403],
  'POST /api/v1/admin/webhooks': ['access', 403],
  'GET /api/v1/admin/webhooks/:id': ['access', 403],
  'PATCH /api/v1/admin/webhooks/:id': ['access', 403],
  'DELETE /api/v1/admin/webhooks/:id': ['access', 403],
  'POST /api/v1/admin/webhooks/:id/rotate-secret': ['access', 403],
  'POST /api/v1/admin/webhooks/:id/test': ['access', 403],
  'GET /api/v1/admin/webhooks/:id/deliveries': ['access', 403],
  'POST /api/v1/admin/webhooks/:id/deliveries/:deliveryId/redeliver': ['access', 403],
  // opened by a signature instead of a token
  'POST /api/v1/webhooks/twilio/status': ['everybody', 403],
  // Pages that post the token of a link; opening one does nothing.
  'GET /magic-link': ['everybody', 200],
  'GET /reset-password': ['everybody', 200],
  'GET /link-pages.js': ['everybody', 200],
  'GET /invitation': ['everybody', 200],
  'GET /invitation.js': ['everybody', 200],
  'GET /.well-known/jwks.json': ['everybody', 200],
  'GET /.well-known/openid-configuration': ['everybody', 200],
  'GET /.well-known/oauth-authorization-server': ['everybody', 200],
  // The gateway is told that nobody is signed in, whatever else the token may be for.
  'GET /api/v1/auth/forward': ['access at a gateway', 200],
  'GET /health/live': ['everybody', 200],
  'GET /health/ready': ['everybody', 200],
  'GET /problems': ['everybody', 200],
  'GET /dev/outbox': ['everybody', 200],
  'GET /dev/outbox.json': ['everybody', 200],
  'DELETE /dev/outbox': ['everybody', 204],
  'GET /api/v1/admin/audit-events': ['access', 403],
};

/** After these the token that was let in is worth nothing. */
const USES_UP_ITS_TOKEN = new Set(['DELETE /api/v1/users/me', 'DELETE /api/v1/users/me/sessions']);

const rows = Object.entries(ROUTES).map(([route, [who, status]]) => ({ route, who, status }));

const NOBODYS_ID = '00000000-0000-7000-8000-000000000000';

interface TokensOfEveryKind {
  access: string;
  code: string;
  enrollment: string;
  refresh: string;
  identity: string;
  garbage: string;
}

let app: TestApp;
let tokens: TokensOfEveryKind;
let holder: Person;

beforeAll(async () => {
  app = await startApp({
    TWO_FACTOR_TRUSTED_METHODS: 'totp',
    TWO_FACTOR_FALLBACK_METHOD: 'email',
    CODE_TOKEN_RETRY_WAIT: 'off',
    DOCS_ENABLED: 'off',
    AUTH_FORWARD_IDENTITY_AUDIENCE: 'services',
  });
  const { person, session } = await enrolledPerson();
  holder = person;
  tokens = {
    access: session.accessToken,
    refresh: session.refreshToken,
    enrollment: (await enrollmentTokenOf(await register(app))).enrollmentToken,
    code: (await firstFactor(app, person.email)).body.codeToken,
    identity: await identityTokenOf(session),
    garbage: 'eyJhbGciOiJFUzI1NiJ9.bm90aGluZw.bm90aGluZw',
  };
});
afterAll(() => app.close());

describe('one token of every kind, sent to every route', () => {
  it('knows who may use each route of the running server', () => {
    expect(routesOf(app).filter((route) => !route.startsWith('HEAD '))).toEqual(Object.keys(ROUTES).sort());
    const heads = routesOf(app).filter((route) => route.startsWith('HEAD '));
    expect(heads.every((route) => route.replace('HEAD', 'GET') in ROUTES)).toBe(true);
  });

  it.each(rows)('$route takes $who, and no other token', async ({ route, who, status }) => {
    // What ends an account must not end the one that the other rows need.
    const access = USES_UP_ITS_TOKEN.has(route) ? (await enrolledPerson()).session.accessToken : tokens.access;
    const answers = {
      none: await send(route),
      access: await send(route, bearer(access)),
      enrollment: await send(route, bearer(tokens.enrollment)),
      code: await send(route, bearer(tokens.code)),
      refresh: await send(route, bearer(tokens.refresh)),
      identity: await send(route, bearer(tokens.identity)),
      garbage: await send(route, bearer(tokens.garbage)),
      otherScheme: await send(route, { authorization: `Basic ${tokens.access}` }),
    };
    const refused = '401 invalid_token';
    expect(answers).toEqual(
      who === 'everybody'
        ? Object.fromEntries(Object.keys(answers).map((kind) => [kind, letIn(status)]))
        : {
            none: '401 authentication_required',
            // Of the routes for signed-in users only those for administrators refuse a token of this kind.
            access: status === 403 ? '403 admin_required' : letIn(status),
            enrollment:
              { access: '403 enrollment_required', 'access at a gateway': refused }[who as string] ?? letIn(status),
            code: refused,
            refresh: refused,
            identity: refused,
            garbage: refused,
            otherScheme: '401 authentication_required',
          },
    );
  });

  it('treats HEAD as it treats GET', async () => {
    const heads = routesOf(app).filter((route) => route.startsWith('HEAD '));
    for (const route of heads) {
      const who = ROUTES[route.replace('HEAD', 'GET')]?.[0];
      const { statusCode } = await inject(route);
      expect(`${route} ${statusCode}`).toBe(`${route} ${who === 'everybody' ? 200 : 401}`);
    }
  });

  it.each(rows.filter(({ who }) => who !== 'everybody'))(
    '$route reads no token from the query, a cookie or a form',
    async ({ route }) => {
      const missing = '401 authentication_required';
      for (const token of [tokens.access, tokens.enrollment]) {
        expect(await send(route, {}, `?access_token=${token}`)).toBe(missing);
        expect(await send(route, { cookie: `access_token=${token}; Authorization=Bearer ${token}` })).toBe(missing);
        expect(await send(route, { 'x-access-token': token, 'proxy-authorization': `Bearer ${token}` })).toBe(missing);
      }
      if (/^(GET|DELETE)/.test(route)) return;
      const form = await inject(route, {
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        payload: `access_token=${tokens.access}`,
      });
      expect(form.statusCode).toBe(415);
      const json = await inject(route, { payload: { access_token: tokens.access } });
      expect(json.statusCode).toBe(401);
    },
  );
});

describe('one token of every kind, in every field that takes a token', () => {
  // Some of the routes above made the first one void.
  beforeAll(async () => {
    tokens.code = (await firstFactor(app, holder.email)).body.codeToken;
  });

  it('knows the fields', () => {
    const storage = getMetadataStorage() as unknown as {
      validationMetadatas: Map<{ name: string }, { propertyName: string }[]>;
    };
    const fields = [...storage.validationMetadatas].flatMap(([target, rules]) =>
      rules
        .filter(({ propertyName }) => /token$/i.test(propertyName))
        .map((rule) => `${target.name}.${rule.propertyName}`),
    );
    expect([...new Set(fields)].sort()).toEqual([
      'AcceptInvitationDto.token',
      'AskForCodeDto.codeToken',
      'ConfirmRegistrationDto.codeToken',
      'ConfirmResetDto.token',
      'InvitationTokenDto.token',
      'RedeemLinkDto.token',
      'RefreshTokenDto.refreshToken',
      'SecondFactorDto.codeToken',
      'SignInDto.trustedBrowserToken',
      'SocialProofDto.accessToken',
      'SocialProofDto.idToken',
      'VerifyTokenDto.token',
    ]);
  });

  it('completes a sign-in with a code token only', async () => {
    const answer = (codeToken: string) => sendBody('/auth/token/second-factor', { codeToken, code: 'AAAAAA' });
    expect(await answerOfEach(answer)).toEqual({
      code: '401 invalid_code',
      access: '401 invalid_token',
      enrollment: '401 invalid_token',
      refresh: '401 invalid_token',
      identity: '401 invalid_token',
      garbage: '401 invalid_token',
    });
  });

  it('confirms a registration with none of them, not even with the code token of a sign-in', async () => {
    const answer = (codeToken: string) => sendBody('/users/confirm', { codeToken, code: 'AAAAAA' });
    const answers = await answerOfEach(answer);
    expect(answers).toEqual(Object.fromEntries(Object.keys(answers).map((kind) => [kind, '401 invalid_token'])));
  });

  it('asks again for a code token only', async () => {
    const answer = (codeToken: string) => sendBody('/auth/otp', { codeToken });
    expect(await answerOfEach(answer)).toEqual({
      code: '202',
      access: '401 invalid_token',
      enrollment: '401 invalid_token',
      refresh: '401 invalid_token',
      identity: '401 invalid_token',
      garbage: '401 invalid_token',
    });
  });

  it.each<[path: string, extra: object]>([
    ['/auth/magic-link/redeem', {}],
    ['/auth/password-reset/confirm', { newPassword: 'four other words here' }],
  ])('%s takes none of them', async (path, extra) => {
    const answer = (token: string) => sendBody(path, { token: token.slice(0, 200), ...extra });
    const answers = await answerOfEach(answer);
    expect(answers).toEqual(Object.fromEntries(Object.keys(answers).map((kind) => [kind, '400 invalid_link'])));
  });

  it('calls nothing but an access token active', async () => {
    const active = async (token: string) =>
      (await app.http.post<{ active: boolean }>('/auth/token/verify', { token })).body.active;
    expect(await answerOfEach(active)).toEqual({
      access: true,
      code: false,
      enrollment: false,
      refresh: false,
      identity: false,
      garbage: false,
    });
  });

  it('refreshes and revokes with a refresh token only, and nothing else ends a session', async () => {
    const { session } = await enrolledPerson();
    const others = Object.entries({ ...tokens, access: session.accessToken }).filter(([kind]) => kind !== 'refresh');
    for (const [, token] of others) {
      expect(await sendBody('/auth/token/refresh', { refreshToken: token })).toMatch(
        /^40[01] (invalid_refresh_token|validation_failed)$/,
      );
      expect(await sendBody('/auth/token/revoke', { refreshToken: token })).toMatch(/^(204|400 validation_failed)$/);
    }
    expect((await app.http.get('/users/me', { token: session.accessToken })).status).toBe(200);
    const { status, body } = await app.http.post('/auth/token/refresh', { refreshToken: session.refreshToken });
    expect(status).toBe(200);
    expect(await sendBody('/auth/token/revoke', { refreshToken: body['refreshToken'] })).toBe('204');
    expect((await app.http.get('/users/me', { token: session.accessToken })).status).toBe(401);
  });

  it('completes nothing with the code of another purpose', async () => {
    const { enrollmentToken } = await enrollmentTokenOf(await register(app));
    const created = await app.http.post<{ id: string; secret: string }>(
      '/otp-devices',
      { type: 'totp' },
      { token: enrollmentToken },
    );
    // the pending device's code, in the sign-in of somebody else
    const code = totpCode(created.body.secret, app.clock);
    const { body } = await firstFactor(app, holder.email);
    expect((await secondFactor(app, body.codeToken, code)).status).toBe(401);
    expect((await secondFactor(app, body.codeToken, code, { deviceId: created.body.id })).status).toBe(403);
  });
});

describe('a token whose signature proves nothing', () => {
  it.each(['none', 'None', 'NONE', 'nOnE', '', ' ', 'HS256', 'ES256'])(
    'with alg "%s" and no signature',
    async (alg) => {
      const { header, payload } = partsOf(tokens.access);
      const unsigned = `${encode({ ...header, alg })}.${payload}`;
      for (const token of [
        unsigned,
        `${unsigned}.`,
        `${unsigned}.AA`,
        `${unsigned}.${partsOf(tokens.access).signature}`,
      ]) {
        if (token === tokens.access) continue;
        await expectRefused(token);
      }
    },
  );

  it.each([
    ['two parts', (h: string, p: string) => `${h}.${p}`],
    ['one part', (h: string) => h],
    ['four parts', (h: string, p: string, s: string) => `${h}.${p}.${s}.${s}`],
    ['five parts', (h: string, p: string, s: string) => `${h}..${p}.${s}.${s}`],
    ['an empty signature', (h: string, p: string) => `${h}.${p}.`],
    ['an empty payload', (h: string, _p: string, s: string) => `${h}..${s}`],
    ['an empty header', (_h: string, p: string, s: string) => `.${p}.${s}`],
    ['a signature of zeros', (h: string, p: string) => `${h}.${p}.${Buffer.alloc(64).toString('base64url')}`],
    ['half a signature', (h: string, p: string, s: string) => `${h}.${p}.${s.slice(0, 43)}`],
    ['a newline inside', (h: string, p: string, s: string) => `${h}.${p}\n.${s}`],
    ['padding', (h: string, p: string, s: string) => `${h}.${p}.${s}==`],
  ])('with %s', async (_name, build) => {
    const [header = '', payload = '', signature = ''] = tokens.access.split('.');
    await expectRefused(build(header, payload, signature));
  });

  it('with another payload under a genuine signature', async () => {
    const { header, claims, signature } = partsOf(tokens.access);
    const promoted = encode({ ...claims, roles: ['admin'], acr: 'aal2' });
    await expectRefused(`${encode(header)}.${promoted}.${signature}`);
  });
});

describe('a token signed with a key that is not ours', () => {
  it('HMAC with the public key, in every form that it is published or exported in', async () => {
    const { verifyingKey: publicKey, kid } = app.app.get(SigningKeys, { strict: false }).current;
    const jwks = await app.app.inject('/.well-known/jwks.json');
    const jwk = (JSON.parse(jwks.body) as { keys: Record<string, string>[] }).keys[0] ?? {};
    const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString();
    const secrets: (string | Buffer)[] = [
      pem,
      pem.trim(),
      ` ${pem}`,
      pem.replaceAll('\n', '\r\n'),
      publicKey.export({ format: 'der', type: 'spki' }),
      JSON.stringify(jwk),
      ` ${JSON.stringify(jwk)}`,
      JSON.stringify({ kty: jwk['kty'], crv: jwk['crv'], x: jwk['x'], y: jwk['y'] }),
      jwks.body,
      Buffer.concat([Buffer.from(jwk['x'] ?? '', 'base64url'), Buffer.from(jwk['y'] ?? '', 'base64url')]),
      kid,
      '',
    ];
    for (const secret of secrets) {
      for (const typ of ['at+jwt', 'enrollment+jwt', 'code+jwt', 'JWT']) {
        for (const alg of ['HS256', 'HS384', 'HS512']) {
          const hash = `sha${alg.slice(2)}`;
          const token = signed({ alg, typ, kid }, partsOf(tokens.access).claims, (data) =>
            createHmac(hash, secret).update(data).digest(),
          );
          await expectRefused(token);
        }
      }
      const forged = signed({ alg: 'HS256', typ: 'code+jwt' }, partsOf(tokens.code).claims, (data) =>
        createHmac('sha256', secret).update(data).digest(),
      );
      expect(await sendBody('/auth/token/second-factor', { codeToken: forged, code: '123456' })).toBe(
        '401 invalid_token',
      );
    }
  });

  it('RSA, RSA-PSS and other curves under our key id, and our key under another algorithm', async () => {
    const { signingKey: ours, kid } = app.app.get(SigningKeys, { strict: false }).current;
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    const ed25519 = generateKeyPairSync('ed25519').privateKey;
    const { claims } = partsOf(tokens.access);
    const attempts: [string, (data: Buffer) => Buffer][] = [
      ['RS256', (data) => sign('sha256', data, rsa)],
      ['PS256', (data) => sign('sha256', data, { key: rsa, padding: 6, saltLength: 32 })],
      ['ES256', ecdsa(p256)],
      ['ES384', ecdsa(p384, 'sha384')],
      ['EdDSA', (data) => sign(null, data, ed25519)],
      ['RS256', ecdsa(ours)],
      ['PS256', ecdsa(ours)],
      ['ES384', ecdsa(ours)],
      ['HS256', ecdsa(ours)],
      ['es256', ecdsa(ours)],
      // ECDSA in DER, as libraries other than JOSE's write it
      ['ES256', (data) => sign('sha256', data, ours)],
    ];
    for (const [alg, signer] of attempts) await expectRefused(signed({ alg, typ: 'at+jwt', kid }, claims, signer));
  });

  it('named by the token itself (jku, x5u, jwk, x5c): nothing is fetched', async () => {
    let hits = 0;
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'attacker', alg: 'ES256', use: 'sig' };
    const listener = createServer((_request, response) => {
      hits += 1;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ keys: [jwk] }));
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/jwks.json`;
    const x5c = [publicKey.export({ format: 'der', type: 'spki' }).toString('base64')];
    const { kid: ourKid } = app.app.get(SigningKeys, { strict: false }).current;
    for (const kid of ['attacker', ourKid, url, '../../etc/passwd', "' OR 1=1 --", undefined]) {
      for (const extra of [{ jku: url }, { x5u: url }, { jwk }, { x5c }, { jku: url, jwk, x5u: url, x5c }]) {
        const header = { alg: 'ES256', typ: 'at+jwt', kid, ...extra };
        await expectRefused(signed(header, partsOf(tokens.access).claims, ecdsa(privateKey)));
      }
    }
    expect(hits).toBe(0);
    listener.close();
  });
});

describe('a token of our own key, which the service itself would never have issued', () => {
  it('is accepted as long as nothing is wrong with it', async () => {
    expect((await app.http.get('/users/me', { token: forge({}) })).status).toBe(200);
  });

  it.each([
    { crit: ['exp'] },
    { crit: ['https://example.com/unknown'], 'https://example.com/unknown': true },
    { crit: ['b64'], b64: false },
    { b64: false },
    { jku: 'https://id.example.test/.well-known/jwks.json' },
    { jwk: {} },
    { cty: 'JWT' },
    { zip: 'DEF' },
    { typ: 'JWT' },
    { typ: 'code+jwt' },
    { typ: 'enrollment+jwt' },
    { typ: ['at+jwt'] },
    { kid: 'unknown' },
    { kid: ['unknown'] },
    { alg: ['ES256'] },
  ])('with the header %j', async (header) => {
    await expectRefused(forge({}, header));
  });

  it.each(['typ', 'kid', 'alg'])('without %s in the header', async (name) => {
    await expectRefused(forge({}, { [name]: undefined }));
  });

  it.each(['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp', 'auth_time', 'amr', 'acr', 'roles'])(
    'without %s',
    async (name) => {
      await expectRefused(forge({ [name]: undefined }));
    },
  );

  it.each([
    { iss: 'https://evil.example' },
    { iss: ['https://id.example.test'] },
    { aud: 'another' },
    { aud: ['countersign'] },
    { sub: 'somebody' },
    { sid: '00000000-0000-7000-8000-000000000000' },
    { acr: 'aal3' },
    { roles: 'admin' },
    { auth_time: 'now' },
  ])('with the claims %j', async (claims) => {
    await expectRefused(forge(claims));
  });

  it('as long as its times hold, thirty seconds of leeway included', async () => {
    const now = app.clock.seconds();
    for (const claims of [{ exp: now - 28 }, { iat: now + 28 }, { nbf: now + 28 }, { nbf: now - 600 }]) {
      expect((await app.http.get('/users/me', { token: forge(claims) })).status, JSON.stringify(claims)).toBe(200);
    }
    const wrong = [
      { exp: now - 31 },
      { exp: null },
      { exp: String(now + 300) },
      { exp: -1 },
      { exp: now + 300.5 },
      { exp: [now + 300] },
      { exp: true },
      { nbf: now + 120 },
      { nbf: String(now) },
      { iat: now + 120 },
      { iat: -1 },
    ];
    for (const claims of wrong) await expectRefused(forge(claims));
    // numbers that JSON can write and no clock can show
    for (const number of ['1e400', '-1e400', '1e999999']) await expectRefused(forge({}, {}, { exp: number }));
  });

  it('an access token dies with its five minutes, and the leeway', async () => {
    const { session } = await enrolledPerson();
    await app.clock.advance(session.expiresIn - 60 + 28);
    expect((await app.http.get('/users/me', { token: session.accessToken })).status).toBe(200);
    await app.clock.advance(4);
    await expectRefused(session.accessToken);
  });
});

describe('an enrollment token', () => {
  it('creates and confirms one device of an allowed method, and dies with that', async () => {
    const person = await register(app);
    const { enrollmentToken, methods } = await enrollmentTokenOf(person);
    const asHolder = { token: enrollmentToken };
    expect(methods).toEqual(['totp']);

    const wrongMethod = await app.http.post('/otp-devices', { type: 'email', email: 'b@example.com' }, asHolder);
    expect([wrongMethod.status, wrongMethod.body['code']]).toEqual([403, 'method_not_allowed']);
    const created = await app.http.post<{ id: string; secret: string }>('/otp-devices', { type: 'totp' }, asHolder);
    expect(created.status).toBe(201);
    const confirm = () =>
      app.http.post(
        `/otp-devices/${created.body.id}/confirm`,
        { code: totpCode(created.body.secret, app.clock) },
        asHolder,
      );
    const confirmed = await confirm();
    expect([confirmed.status, confirmed.body['status']]).toEqual([200, 'authenticated']);

    await app.clock.advance(60);
    expect((await confirm()).status).toBe(401);
    expect((await app.http.post('/otp-devices', { type: 'totp' }, asHolder)).status).toBe(401);
    await expectRefused(enrollmentToken);

    // Who has a device of a trusted method is never offered another enrollment.
    const { body } = await firstFactor(app, person.email);
    const signedIn = await secondFactor(app, body.codeToken, totpCode(created.body.secret, app.clock));
    expect(signedIn.body.status).toBe('authenticated');
  });

  it('opens nothing after fifteen minutes, by the clock of the database, without leeway', async () => {
    const { enrollmentToken, expiresIn } = await enrollmentTokenOf(await register(app));
    expect(expiresIn).toBe(900);
    await app.clock.advance(898);
    expect((await app.http.post('/otp-devices', { type: 'totp' }, { token: enrollmentToken })).status).toBe(201);
    await app.clock.advance(3);
    expect((await app.http.post('/otp-devices', { type: 'totp' }, { token: enrollmentToken })).status).toBe(401);
  });
});

/** `METHOD /path` of everything that the running server answers. */
function routesOf({ app: nest }: TestApp): string[] {
  const parents: string[] = [];
  const tree = nest.getHttpAdapter().getInstance().printRoutes({ commonPrefix: false });
  return tree
    .split('\n')
    .flatMap((line) => {
      const [, indent, segment, methods] = /^([│ ]*)[├└]── (\S+)(?: \((.+)\))?$/.exec(line) ?? [];
      if (indent === undefined || segment === undefined) return [];
      const depth = indent.length / 4;
      const path = `${depth === 0 ? '' : (parents[depth - 1] ?? '')}${segment}`;
      parents[depth] = path;
      return methods?.split(', ').map((method) => `${method} ${path}`) ?? [];
    })
    .sort();
}

function inject(
  route: string,
  options: { headers?: Record<string, string>; payload?: string | object; query?: string } = {},
) {
  const [method = '', path = ''] = route.split(' ');
  const bodyless = /^(GET|HEAD|DELETE)$/.test(method);
  return app.app.inject({
    method: method as 'GET',
    url: `${path.replace(':id', NOBODYS_ID)}${options.query ?? ''}`,
    headers: { ...options.headers },
    ...(bodyless ? {} : { payload: options.payload ?? {} }),
  });
}

/** Status and problem code of an empty request. */
async function send(route: string, headers: Record<string, string> = {}, query = ''): Promise<string> {
  return describeAnswer(await inject(route, { headers, query }));
}

async function sendBody(path: string, body: object): Promise<string> {
  return describeAnswer(await inject(`POST /api/v1${path}`, { payload: body }));
}

function describeAnswer({ statusCode, headers, body }: { statusCode: number; headers: object; body: string }): string {
  const isProblem = String((headers as Record<string, unknown>)['content-type']).startsWith('application/problem+json');
  return isProblem ? `${statusCode} ${(JSON.parse(body) as { code: string }).code}` : String(statusCode);
}

const PROBLEM_OF_EMPTY: Readonly<Record<number, string>> = {
  400: '400 validation_failed',
  403: '403 invalid_signature',
  404: '404 not_found',
};
function letIn(status: number): string {
  return PROBLEM_OF_EMPTY[status] ?? String(status);
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

async function answerOfEach<T>(answer: (token: string) => Promise<T>): Promise<Record<string, T>> {
  const answers: Record<string, T> = {};
  for (const [kind, token] of Object.entries<string>({ ...tokens })) answers[kind] = await answer(token);
  return answers;
}

async function expectRefused(token: string): Promise<void> {
  // Sent as it is: what cannot be a header value at all is no token either.
  const { statusCode, headers } = await app.app.inject({ url: '/api/v1/users/me', headers: bearer(token) });
  expect(statusCode, `${token.slice(0, 120)}…`).toBe(401);
  expect(headers['www-authenticate']).toMatch(/^Bearer /);
  if (token === '' || token.length > 8192) return;
  const verified = await app.app.inject({ method: 'POST', url: '/api/v1/auth/token/verify', payload: { token } });
  expect(JSON.parse(verified.body)).toEqual({ active: false });
}

async function enrollmentTokenOf(
  person: Person,
): Promise<{ enrollmentToken: string; methods: string[]; expiresIn: number }> {
  const { body } = await firstFactor(app, person.email);
  const code = await app.mailbox.code(person.email);
  const result = await secondFactor<{ enrollmentToken: string; methods: string[]; expiresIn: number }>(
    app,
    body.codeToken,
    code,
  );
  return result.body;
}

/** What a gateway is given for the services behind it. */
async function identityTokenOf({ accessToken }: SignedIn): Promise<string> {
  const { headers } = await app.http.get('/auth/forward', { token: accessToken });
  return String(headers['x-auth-identity-token']);
}

/** Somebody who enrolled an authenticator app, a minute ago. */
async function enrolledPerson(): Promise<{ person: Person; session: SignedIn }> {
  const person = await register(app);
  const token = (await enrollmentTokenOf(person)).enrollmentToken;
  const created = await app.http.post<{ id: string; secret: string }>('/otp-devices', { type: 'totp' }, { token });
  const { id, secret } = created.body;
  const code = totpCode(secret, app.clock);
  const { body: session } = await app.http.post<SignedIn>(`/otp-devices/${id}/confirm`, { code }, { token });
  await app.clock.advance(60);
  return { person, session };
}

type Json = Record<string, unknown>;

function partsOf(token: string): { header: Json; claims: Json; payload: string; signature: string } {
  const [header = '', payload = '', signature = ''] = token.split('.');
  return { header: decode(header), claims: decode(payload), payload, signature };
}

function decode(part: string): Json {
  return JSON.parse(Buffer.from(part, 'base64url').toString()) as Json;
}

function encode(value: Json): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function signed(header: Json, claims: Json | string, signer: (data: Buffer) => Buffer): string {
  const payload = typeof claims === 'string' ? Buffer.from(claims).toString('base64url') : encode(claims);
  const data = `${encode(header)}.${payload}`;
  return `${data}.${signer(Buffer.from(data)).toString('base64url')}`;
}

function ecdsa(key: KeyObject, hash = 'sha256'): (data: Buffer) => Buffer {
  return (data) => sign(hash, data, { key, dsaEncoding: 'ieee-p1363' });
}

/** The holder's access token with other claims, signed with the service's own key; `raw` puts a number's spelling in. */
function forge(claims: Json, header: Json = {}, raw: Record<string, string> = {}): string {
  const { signingKey: privateKey, kid } = app.app.get(SigningKeys, { strict: false }).current;
  const now = app.clock.seconds();
  const all: Json = { ...partsOf(tokens.access).claims, iat: now, exp: now + 300, auth_time: now, ...claims };
  const text = Object.entries(raw).reduce(
    (json, [name, number]) => json.replace(new RegExp(`"${name}":\\d+`), `"${name}":${number}`),
    JSON.stringify(all),
  );
  return signed({ alg: 'ES256', typ: 'at+jwt', kid, ...header }, text, ecdsa(privateKey));
}

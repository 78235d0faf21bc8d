import { createHmac, createPublicKey, generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { inviteAndRead } from '../support/invitations.js';
import { magicLink, resetLink, tokenOf } from '../support/links.js';
import {
  firstFactor,
  personWithTotp,
  register,
  type Authenticator,
  type Person,
  type SignedIn,
} from '../support/people.js';
import { Invariants } from './invariants.js';
import { startReplicas, type Replicas } from './replicas.js';
import { serve } from '../gateway/wire.js';

type Json = Record<string, unknown>;

let service: Replicas;
let invariants: Invariants;
let owner: Person & Authenticator & { session: SignedIn };
/** The key of the service, so that what is wrong with a token is one thing and not its signature. */
const { privateKey: ours } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
beforeAll(async () => {
  const pem = ours.export({ format: 'pem', type: 'pkcs8' }).toString();
  service = await startReplicas({ SIGNING_KEY: pem });
  invariants = new Invariants(service);
  service.ledger.keep('the signing key', pem.split('\n')[1] ?? '');
  owner = await personWithTotp(service);
});
afterEach(() => invariants.expectAll());
afterAll(() => service.close());

const decode = (part = '') => JSON.parse(Buffer.from(part, 'base64url').toString()) as Json;
const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const ecdsa = (key: KeyObject) => (data: Buffer) => sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' });
const seconds = () => Math.floor(Date.now() / 1000);

/** The owner's access token with another header, other claims, or another signature. */
function forged(header: Json, claims: Json | string = {}, signer: (data: Buffer) => Buffer = ecdsa(ours)): string {
  const [head, payload] = owner.session.accessToken.split('.');
  const now = seconds();
  const all = { ...decode(payload), iat: now, exp: now + 300, auth_time: now };
  const data = `${encode({ ...decode(head), ...header })}.${encode(typeof claims === 'string' ? claims : { ...all, ...claims })}`;
  return `${data}.${signer(Buffer.from(data)).toString('base64url')}`;
}

async function statusOf(token: string, origin: string, url = '/api/v1/users/me'): Promise<number> {
  return (await service.wire({ url, headers: { authorization: `Bearer ${token}` }, origin })).status;
}

async function expectRefused(token: string, why: string): Promise<void> {
  for (const origin of service.origins) {
    expect([await statusOf(token, origin), await statusOf(token, origin, '/api/v1/auth/forward')], why).toEqual([
      401, 401,
    ]);
  }
  const verified = await service.http.post('/auth/token/verify', { token });
  expect([verified.status, verified.body], why).toEqual([200, { active: false }]);
}

describe('an access token', () => {
  it('is accepted with the key of the service, and within the thirty seconds that clocks may differ', async () => {
    for (const claims of [{}, { exp: seconds() - 25 }, { nbf: seconds() + 25 }, { iat: seconds() + 25 }]) {
      for (const origin of service.origins) expect(await statusOf(forged({}, claims), origin)).toBe(200);
    }
  });

  it('T02 is refused without a signature, by whatever name of an algorithm, and in other than three parts', async () => {
    const [header, payload, signature] = owner.session.accessToken.split('.');
    for (const alg of ['none', 'None', 'NONE', '', 'HS256']) {
      const unsigned = `${encode({ ...decode(header), alg })}.${payload}`;
      for (const token of [unsigned, `${unsigned}.`, `${unsigned}.${signature}`])
        await expectRefused(token, `alg "${alg}"`);
    }
    for (const token of [`${header}.${payload}`, `${header}..${payload}.${signature}.${signature}`]) {
      await expectRefused(token, 'two or five parts');
    }
  });

  it('T03 is refused when it is signed with the public key as a secret, or with another kind of key', async () => {
    const jwks = await service.wire({ url: '/.well-known/jwks.json' });
    const [jwk] = (JSON.parse(jwks.text) as { keys: Json[] }).keys;
    const publicKey = createPublicKey(ours);
    const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString();
    const secrets = [
      pem,
      pem.trim(),
      ` ${pem}`,
      publicKey.export({ format: 'der', type: 'spki' }),
      JSON.stringify(jwk),
      jwks.text,
    ];
    for (const secret of secrets) {
      const hmac = (data: Buffer) => createHmac('sha256', secret).update(data).digest();
      await expectRefused(forged({ alg: 'HS256' }, {}, hmac), 'HMAC with the public key');
    }
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    await expectRefused(
      forged({ alg: 'RS256' }, {}, (data) => sign('sha256', data, rsa)),
      'RS256',
    );
    await expectRefused(
      forged({ alg: 'PS256' }, {}, (data) => sign('sha256', data, { key: rsa, padding: 6, saltLength: 32 })),
      'PS256',
    );
    for (const alg of ['RS256', 'PS256', 'ES384', 'es256'])
      await expectRefused(forged({ alg }), `our key under ${alg}`);
  });

  it('T05 names no key of its own: nothing is fetched', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'attacker', alg: 'ES256', use: 'sig' };
    let asked = 0;
    const listener = await serve((_request, response) => {
      asked += 1;
      response.end(JSON.stringify({ keys: [jwk] }));
    });
    const x5c = [publicKey.export({ format: 'der', type: 'spki' }).toString('base64')];
    for (const header of [{ jku: listener.url }, { x5u: listener.url }, { jwk }, { x5c }]) {
      await expectRefused(forged({ kid: 'attacker', ...header }, {}, ecdsa(privateKey)), Object.keys(header).join());
      await expectRefused(forged(header), `${Object.keys(header).join()} over our own key`);
    }
    for (const header of [{ crit: ['exp'] }, { crit: ['b64'], b64: false }, { b64: false }])
      await expectRefused(forged(header), 'crit');
    await listener.stop();
    expect(asked).toBe(0);
  });

  it('T07 is refused when its times are over, not yet, or no times', async () => {
    const now = seconds();
    const [, payload] = owner.session.accessToken.split('.');
    const endless = JSON.stringify({ ...decode(payload), iat: now, exp: 0 }).replace('"exp":0', '"exp":1e400');
    await expectRefused(forged({}, endless), 'exp 1e400');
    for (const claims of [
      { exp: now - 32 },
      { exp: undefined },
      { exp: String(now + 300) },
      { exp: -1 },
      { exp: null },
      { nbf: now + 120 },
      { iat: now + 120 },
    ]) {
      await expectRefused(forged({}, claims), JSON.stringify(claims));
    }
  });

  it('T09 is read from the Authorization header and from nowhere else', async () => {
    const token = owner.session.accessToken;
    const cookie = `access_token=${token}; __Host-access=${token}`;
    const requests: { url: string; headers?: Record<string, string> }[] = [
      { url: `/api/v1/users/me?access_token=${token}` },
      { url: `/api/v1/auth/forward?access_token=${token}` },
      { url: '/api/v1/users/me', headers: { cookie, 'x-access-token': token } },
      { url: '/api/v1/auth/forward', headers: { cookie } },
    ];
    for (const request of requests) expect((await service.wire(request)).status).toBe(401);
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const form = { method: 'PATCH', url: '/api/v1/users/me', headers, body: `access_token=${token}` };
    expect((await service.wire(form)).status).toBe(415);
  });
});

describe('what was made for one purpose', () => {
  it('T13 T14 opens nothing of another, and neither does anything that only looks like it', async () => {
    const person = await register(service);
    const { body: asked } = await firstFactor(service, person.email);
    const [, payload] = asked.codeToken.split('.');
    await service.clock.advance(61);
    const tokens: Record<string, string> = {
      access: owner.session.accessToken,
      refresh: owner.session.refreshToken,
      code: asked.codeToken,
      'id of a challenge': String(decode(payload)['sub'] ?? decode(payload)['jti']),
      link: tokenOf(await magicLink(service, person.email)),
      'id of a session': String(decode(owner.session.accessToken.split('.')[1])['sid']),
      'id of a user': person.id,
      'a UUID': randomUUID(),
      'a number': '1',
      nothing: '0',
    };
    await service.clock.advance(61);
    tokens['reset'] = tokenOf(await resetLink(service, person.email));
    const token = owner.session.accessToken;
    tokens['invitation'] = (await inviteAndRead(service, token, 'invited-for-tokens@example.com')).token;
    const doors: Record<string, (value: string) => [string, Json]> = {
      code: (codeToken) => ['/auth/token/second-factor', { codeToken, code: 'ABCDEFGHJK' }],
      refresh: (refreshToken) => ['/auth/token/refresh', { refreshToken }],
      link: (value) => ['/auth/magic-link/redeem', { token: value }],
      reset: (value) => ['/auth/password-reset/confirm', { token: value, newPassword: 'four more uncommon words' }],
      invitation: (value) => ['/invitations/accept', { token: value, password: 'four more uncommon words' }],
    };
    for (const [door, knock] of Object.entries(doors)) {
      for (const [kind, value] of Object.entries(tokens)) {
        if (kind === door) continue;
        const [path, body] = knock(value);
        const { status } = await service.http.post(path, body);
        expect([400, 401], `${kind} at ${path} answered ${status}`).toContain(status);
      }
    }
    for (const [kind, value] of Object.entries(tokens)) {
      if (kind !== 'access') expect((await service.http.get('/users/me', { token: value })).status, kind).toBe(401);
    }
    // None of them was spent by being tried at the wrong door.
    expect((await service.http.post('/auth/magic-link/redeem', { token: tokens['link'] })).status).toBe(200);
  });
});

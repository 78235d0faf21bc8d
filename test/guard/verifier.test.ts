import { decodeJwt, exportJWK, SignJWT, UnsecuredJWT, type JWTHeaderParameters, type JWTPayload } from 'jose';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  createVerifier,
  type Requirements,
  type Verifier,
  type VerifierOptions,
} from '../../packages/guard/src/index.js';
import { SigningKeyRing } from '../../src/tokens/signing-key-ring.js';
import { SigningKeys } from '../../src/tokens/signing-keys.js';
import { TokenSigner } from '../../src/tokens/token.signer.js';
import { startApp, type TestApp } from '../support/app.js';
import { startJwksProxy, type JwksProxy } from '../support/jwks-proxy.js';
import { firstFactor, personWithTotp, register, signInByMail, signInByTotp, type SignedIn } from '../support/people.js';

const ISSUER = 'https://id.example.test';
const AUDIENCE = 'countersign';
const RULE = 'urn:example:rule';
const NOBODYS_ID = '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11';

let app: TestApp;
let origin: string;
let proxy: JwksProxy;
let session: SignedIn;
let strong: SignedIn;
let verifier: Verifier;

beforeAll(async () => {
  app = await startApp({ CODE_RESEND_COOLDOWN: 'off', CODE_TOKEN_RETRY_WAIT: 'off' });
  origin = await app.listen();
  proxy = await startJwksProxy(() => origin);
});
afterAll(async () => {
  await proxy.close();
  await app.close();
});
beforeEach(async () => {
  const person = await register(app);
  session = await signInByMail(app, person);
  verifier = verifierWith({});
  proxy.requests = 0;
});
afterEach(() => {
  proxy.mode = 'answers';
});

function verifierWith(options: Partial<VerifierOptions>): Verifier {
  return createVerifier({
    issuer: ISSUER,
    audience: AUDIENCE,
    jwksUrl: proxy.url,
    now: () => app.clock.now(),
    ...options,
  });
}

/** `ok`, or the status and code of the refusal. */
async function verdict(token: string | undefined, required?: Requirements, by = verifier): Promise<string> {
  const result = await by.verify(token, required);
  return result.ok ? 'ok' : `${result.refusal.status} ${result.refusal.code}`;
}

function ownKey(): { key: KeyObject; kid: string; alg: string } {
  const { signingKey, kid, algorithm } = app.app.get(SigningKeys).current;
  return { key: signingKey, kid, alg: algorithm };
}

/** A token as the service signs it, but for these changes. */
function signed(changes: {
  claims?: JWTPayload;
  header?: Partial<JWTHeaderParameters>;
  key?: KeyObject | Uint8Array;
}): Promise<string> {
  const { key, kid, alg } = ownKey();
  const claims = { ...decodeJwt(session.accessToken), ...changes.claims };
  const header = { alg, kid, typ: 'at+jwt', ...changes.header };
  return new SignJWT(claims).setProtectedHeader(header).sign(changes.key ?? key, { crit: { [RULE]: true } });
}

const seconds = () => app.clock.seconds();

describe('an access token', () => {
  it('is verified by the published keys, and says who signed in', async () => {
    const result = await verifier.verify(session.accessToken);
    const claims = decodeJwt(session.accessToken);
    expect(result).toEqual({
      ok: true,
      user: {
        userId: session.user.id,
        sessionId: claims['sid'],
        roles: [],
        acr: 'aal1',
        amr: claims['amr'],
        authTime: claims['auth_time'],
        expiresAt: claims.exp,
      },
    });
    expect(await verdict(await signed({}))).toBe('ok');
  });

  it.each([
    ['none', undefined],
    ['an empty one', ''],
  ])('is asked for where there is %s', async (_, token) => {
    const result = await verifier.verify(token);
    expect(result).toMatchObject({ ok: false, refusal: { code: 'authentication_required', status: 401 } });
    if (!result.ok) expect(result.refusal.headers['www-authenticate']).toBe('Bearer realm="countersign"');
  });

  it('is the only kind that is taken', async () => {
    const asked = await firstFactor(app, session.user.email);
    const enrolling = app.app.get(TokenSigner).signEnrollment(session.user.id, NOBODYS_ID, 300);
    for (const token of [
      asked.body.codeToken,
      session.refreshToken,
      enrolling,
      'nonsense',
      'a.b.c',
      'x'.repeat(9000),
    ]) {
      expect(await verdict(token)).toBe('401 invalid_token');
    }
  });

  it('is taken 30 seconds after its end and before its beginning, as clocks differ, and no longer', async () => {
    const now = seconds();
    expect(await verdict(await signed({ claims: { exp: now - 25 } }))).toBe('ok');
    expect(await verdict(await signed({ claims: { exp: now - 35 } }))).toBe('401 invalid_token');
    expect(await verdict(await signed({ claims: { nbf: now + 25 } }))).toBe('ok');
    expect(await verdict(await signed({ claims: { nbf: now + 35 } }))).toBe('401 invalid_token');
    expect(await verdict(await signed({ claims: { iat: now + 35, exp: now + 300 } }))).toBe('401 invalid_token');
  });

  it.each([
    ['another issuer', { iss: 'https://evil.example' }],
    ['another audience', { aud: 'somebody-else' }],
    ['no audience', { aud: undefined }],
    ['no subject', { sub: undefined }],
    ['no session', { sid: undefined }],
    ['no end', { exp: undefined }],
    ['no beginning', { iat: undefined }],
    ['no time of the proof', { auth_time: undefined }],
    ['an unknown assurance', { acr: 'aal3' }],
    ['roles that are a text', { roles: 'admin' }],
    ['no roles', { roles: undefined }],
  ])('with %s is refused, although the signature is right', async (_, claims) => {
    expect(await verdict(await signed({ claims }))).toBe('401 invalid_token');
  });

  it.each([
    ['an ID token', { typ: 'JWT' }],
    ['an identity token of the gateway', { typ: 'identity+jwt' }],
    ['no type', { typ: undefined }],
    ['no key id', { kid: undefined }],
    ['an own key', { jwk: { kty: 'EC' } }],
    ['a certificate', { x5c: ['MIIB'] }],
    ['an unknown rule', { crit: [RULE], [RULE]: 1 }],
  ])('whose header names %s is refused', async (_, header) => {
    expect(await verdict(await signed({ header: header }))).toBe('401 invalid_token');
  });
});

describe('a forged token', () => {
  it('without a signature (alg none) is refused', async () => {
    const [, payload = ''] = new UnsecuredJWT(decodeJwt(session.accessToken)).encode().split('.');
    const { kid } = ownKey();
    for (const alg of ['none', 'None', 'NONE']) {
      const header = Buffer.from(JSON.stringify({ alg, kid, typ: 'at+jwt' })).toString('base64url');
      expect(await verdict(`${header}.${payload}.`)).toBe('401 invalid_token');
      expect(await verdict(`${header}.${payload}.${session.accessToken.split('.')[2] ?? ''}`)).toBe(
        '401 invalid_token',
      );
    }
  });

  it('signed with the public key as the secret (HS256) is refused', async () => {
    const { kid } = ownKey();
    const jwks = (await (await fetch(proxy.url)).json()) as { keys: object[] };
    const pem = (app.app.get(SigningKeys).find(kid)?.verifyingKey as KeyObject).export({ type: 'spki', format: 'pem' });
    for (const secret of [String(pem), String(pem).trim(), JSON.stringify(jwks.keys[0])]) {
      const token = await signed({ header: { alg: 'HS256' }, key: new TextEncoder().encode(secret) });
      expect(await verdict(token)).toBe('401 invalid_token');
    }
  });

  it('signed by another key under a known id, with the right algorithm or another, is refused', async () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    expect(await verdict(await signed({ key: ec }))).toBe('401 invalid_token');
    for (const alg of ['RS256', 'PS256', 'RS512']) {
      expect(await verdict(await signed({ header: { alg }, key: rsa }))).toBe('401 invalid_token');
    }
  });

  it('that brings its own key is refused, and nobody is asked at the address it names', async () => {
    let hits = 0;
    const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = { ...(await exportJWK(attacker.publicKey)), kid: 'theirs', alg: 'ES256', use: 'sig' };
    const server = createServer((_request, response) => {
      hits += 1;
      response.end(JSON.stringify({ keys: [jwk] }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    for (const header of [{ jku: address }, { x5u: address }, { jwk }, { kid: address }]) {
      const token = await signed({ header: { kid: 'theirs', ...header }, key: attacker.privateKey });
      expect(await verdict(token)).toBe('401 invalid_token');
    }
    server.close();
    expect(hits).toBe(0);
  });

  it('that was changed after it was signed is refused', async () => {
    const [header = '', payload = '', signature = ''] = session.accessToken.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const changed = Buffer.from(JSON.stringify({ ...claims, roles: ['admin'] })).toString('base64url');
    expect(await verdict(`${header}.${changed}.${signature}`)).toBe('401 invalid_token');
    expect(await verdict(`${header}.${payload}.${signature}A`)).toBe('401 invalid_token');
  });
});

describe('the keys', () => {
  it('are read once for many tokens, and once more when their answer is five minutes old', async () => {
    await Promise.all(Array.from({ length: 20 }, () => verdict(session.accessToken)));
    expect(proxy.requests).toBe(1);
    await app.clock.advance(299);
    expect(await verdict(await signed({ claims: { exp: seconds() + 60 } }))).toBe('ok');
    expect(proxy.requests).toBe(1);
    await app.clock.advance(2);
    expect(await verdict(await signed({ claims: { exp: seconds() + 60 } }))).toBe('ok');
    expect(proxy.requests).toBe(2);
  });

  it('are read again for an unknown id, at most once in ten seconds', async () => {
    expect(await verdict(session.accessToken)).toBe('ok');
    const unknown = async () => verdict(await signed({ header: { kid: `unknown-${Math.random()}` } }));
    for (let i = 0; i < 20; i += 1) expect(await unknown()).toBe('401 invalid_token');
    expect(proxy.requests).toBe(1);
    await app.clock.advance(10);
    await Promise.all(Array.from({ length: 20 }, unknown));
    expect(proxy.requests).toBe(2);
    await app.clock.advance(10);
    await unknown();
    expect(proxy.requests).toBe(3);
    expect(await verdict(session.accessToken)).toBe('ok');
  });

  it('that are known go on for an hour while nobody answers, and no longer', async () => {
    expect(await verdict(session.accessToken)).toBe('ok');
    proxy.mode = 'fails';
    await app.clock.advance(400);
    const fresh = () => signed({ claims: { exp: seconds() + 300, iat: seconds() } });
    for (let i = 0; i < 5; i += 1) expect(await verdict(await fresh())).toBe('ok');
    expect(proxy.requests).toBe(2);
    await app.clock.advance(3_300);
    expect(await verdict(await fresh())).toBe('503 unavailable');
    proxy.mode = 'answers';
    await app.clock.advance(10);
    expect(await verdict(await fresh())).toBe('ok');
  });

  it('that were never read are a 503, not a 401 that would make every client sign in again', async () => {
    proxy.mode = 'fails';
    const result = await verifier.verify(session.accessToken);
    expect(result).toMatchObject({
      ok: false,
      refusal: { status: 503, code: 'unavailable', headers: { 'retry-after': '2' } },
    });
    proxy.mode = 'answers';
    await app.clock.advance(1);
    expect(await verdict(session.accessToken)).toBe('ok');
  });

  it('that come too slowly are not waited for', async () => {
    const impatient = verifierWith({ timeout: 200 });
    proxy.mode = 'hangs';
    const begun = performance.now();
    expect(await verdict(session.accessToken, {}, impatient)).toBe('503 unavailable');
    expect(performance.now() - begun).toBeLessThan(2_000);
  });

  it('are not read from an address that the answer redirects to', async () => {
    const redirecting = createServer((_request, response) => response.writeHead(302, { location: proxy.url }).end());
    await new Promise<void>((resolve) => redirecting.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(redirecting.address() as AddressInfo).port}/`;
    expect(await verdict(session.accessToken, {}, verifierWith({ jwksUrl: url }))).toBe('503 unavailable');
    redirecting.close();
    expect(proxy.requests).toBe(0);
  });
});

describe('what a route requires', () => {
  beforeAll(async () => {
    strong = await signInByTotp(app, await personWithTotp(app));
  });

  it('assurance: a session of one factor that counts is asked for more (RFC 9470)', async () => {
    expect(await verdict(await fresh(strong), { acr: 'aal2' })).toBe('ok');
    const result = await verifier.verify(session.accessToken, { acr: 'aal2' });
    expect(result).toMatchObject({ ok: false, refusal: { status: 401, code: 'insufficient_user_authentication' } });
    if (!result.ok) expect(result.refusal.headers['www-authenticate']).toMatch(/acr_values="aal2"$/);
  });

  it('freshness: a proof that is too old is asked for again', async () => {
    const token = (age: number) => signed({ claims: { auth_time: seconds() - age } });
    expect(await verdict(await token(290), { maxAge: 300 })).toBe('ok');
    const result = await verifier.verify(await token(310), { maxAge: 300 });
    expect(result).toMatchObject({ ok: false, refusal: { status: 401, code: 'insufficient_user_authentication' } });
    if (!result.ok) {
      expect(result.refusal.headers['www-authenticate']).toMatch(
        /^Bearer realm="countersign", error="insufficient_user_authentication".*acr_values="aal1", max_age="300"$/,
      );
    }
  });

  it('roles: one of each group, or 403 without a challenge', async () => {
    const token = (roles: string[]) => signed({ claims: { roles } });
    expect(await verdict(await token(['support']), { roles: [['admin', 'support']] })).toBe('ok');
    expect(await verdict(await token(['support']), { roles: [['admin', 'support'], ['admin']] })).toBe(
      '403 role_required',
    );
    const result = await verifier.verify(await token([]), { roles: [['admin']] });
    expect(result).toMatchObject({
      ok: false,
      refusal: { status: 403, problem: { type: `${ISSUER}/problems#role_required` } },
    });
    if (!result.ok) expect(Object.keys(result.refusal.headers)).not.toContain('www-authenticate');
  });
});

// Last: from here on the service signs with other keys.
describe('a rotation of the service', () => {
  it('is followed: the next key is known before it signs, and old tokens stay good', async () => {
    expect(await verdict(session.accessToken)).toBe('ok');
    const before = ownKey().kid;
    await app.app.get(SigningKeyRing).rotate({ kind: 'system' });
    await app.app.get(SigningKeys).ask('unknown');
    await app.clock.advance(355);
    const old = (await signInByMail(app, await register(app))).accessToken;
    expect(await verdict(old)).toBe('ok');
    const { requests } = proxy;
    await app.clock.advance(10);
    const next = (await signInByMail(app, await register(app))).accessToken;
    expect(ownKey().kid).not.toBe(before);
    expect([await verdict(old), await verdict(next), proxy.requests]).toEqual(['ok', 'ok', requests]);
  });

  it('in a hurry is followed too: a key that signs at once is asked for, and the one taken back is forgotten', async () => {
    const old = (await signInByMail(app, await register(app))).accessToken;
    expect(await verdict(old)).toBe('ok');
    await app.clock.advance(10);
    await new Promise((resolve) => setTimeout(resolve, 1_100)); // the service asks its database once a second
    await app.app.get(SigningKeyRing).retire(ownKey().kid, { kind: 'system' });
    await app.app.get(SigningKeys).ask('unknown');
    const next = (await signInByMail(app, await register(app))).accessToken;
    expect(await verdict(next)).toBe('ok');
    expect(await verdict(old)).toBe('401 invalid_token');
  });
});

/** The token of a session, as it would be signed now. */
async function fresh({ accessToken }: SignedIn): Promise<string> {
  const { key, kid, alg } = ownKey();
  const claims = { ...decodeJwt(accessToken), iat: seconds(), exp: seconds() + 300 };
  return new SignJWT(claims).setProtectedHeader({ alg, kid, typ: 'at+jwt' }).sign(key);
}

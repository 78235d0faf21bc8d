import { createRemoteJWKSet, customFetch, decodeJwt, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { register, signInByMail } from '../support/people.js';

const NAMES = ['openid-configuration', 'oauth-authorization-server'] as const;

interface Metadata {
  issuer: string;
  jwks_uri: string;
  id_token_signing_alg_values_supported: string[];
  claims_supported: string[];
  [name: string]: unknown;
}

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ PUBLIC_URL: 'https://example.com/auth', TOKEN_ISSUER: 'https://issuer.example.com/auth' });
});
afterAll(() => app.close());

const read = async (name: (typeof NAMES)[number]) =>
  (await app.http.get<Metadata & Record<string, unknown>>(`/.well-known/${name}`)).body;

describe.each(NAMES)('/.well-known/%s', (name) => {
  it('says what is true, whatever host it is asked at, and may be kept as long as the keys', async () => {
    const { headers } = await app.http.get(`/.well-known/${name}`);
    expect(headers['cache-control']).toBe('public, max-age=300');
    const { body } = await app.app.inject({ url: `/.well-known/${name}`, headers: { host: 'evil.test' } });
    expect(JSON.parse(body)).toEqual({
      issuer: 'https://issuer.example.com/auth',
      jwks_uri: 'https://example.com/auth/.well-known/jwks.json',
      response_types_supported: ['none'],
      grant_types_supported: [],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
      acr_values_supported: ['aal1', 'aal2'],
      claims_supported: ['iss', 'aud', 'sub', 'sid', 'jti', 'auth_time', 'amr', 'acr', 'roles', 'iat', 'exp'],
    });
  });

  it('is enough for an authorizer that knows nothing but the issuer', async () => {
    const metadata = await read(name);
    const { accessToken } = await signInByMail(app, await register(app));
    const keys = createRemoteJWKSet(new URL(metadata.jwks_uri), {
      [customFetch]: async (url) => {
        // what a gateway that takes the prefix off asks for
        const { body } = await app.app.inject(new URL(url).pathname.replace('/auth', ''));
        return new Response(body, { headers: { 'content-type': 'application/json' } });
      },
    });
    const { payload, protectedHeader } = await jwtVerify(accessToken, keys, {
      issuer: metadata.issuer,
      audience: 'countersign',
      algorithms: metadata.id_token_signing_alg_values_supported,
      currentDate: app.clock.now(),
    });
    expect(protectedHeader.typ).toBe('at+jwt');
    expect(Object.keys(payload).sort()).toEqual([...metadata.claims_supported].sort());
    expect(decodeJwt(accessToken).iss).toBe(metadata.issuer);
  });
});

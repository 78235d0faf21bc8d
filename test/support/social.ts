import { createHash, randomBytes } from 'node:crypto';
import type { TestApp } from './app.js';
import type { Answer } from './http.js';
import type { OpenIdProvider } from './openid-provider.js';
import type { SignedIn } from './people.js';

export const REDIRECT = 'https://app.example.test/back';

export type Claims = Record<string, unknown>;

/** What a browser keeps of a sign-in that it has begun. */
export interface Begun {
  url: string;
  nonce: string;
  codeVerifier: string;
}

/** A browser begins: it makes a verifier and a state, and asks where to go. */
export async function begin(app: TestApp, provider: string, state?: string): Promise<Begun> {
  const codeVerifier = randomBytes(32).toString('base64url');
  const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url');
  const { status, body, text } = await app.http.post<{ url: string; nonce: string }>(
    `/auth/social/${provider}/authorize`,
    { redirectUri: REDIRECT, codeChallenge, ...(state === undefined ? {} : { state }) },
  );
  if (status !== 200) throw new Error(`Beginning answered ${status}: ${text}`);
  return { ...body, codeVerifier };
}

/** It goes there, somebody signs in, and it comes back with what belongs into our request. */
export async function comeBack(idp: OpenIdProvider, begun: Begun, claims: Claims): Promise<Record<string, string>> {
  const back = await idp.visit(begun.url, claims);
  const { nonce, codeVerifier } = begun;
  return {
    code: back.searchParams.get('code') ?? '',
    issuer: back.searchParams.get('iss') ?? '',
    redirectUri: REDIRECT,
    nonce,
    codeVerifier,
  };
}

export async function signInByCode<Body = SignedIn>(
  app: TestApp,
  provider: string,
  idp: OpenIdProvider,
  claims: Claims,
): Promise<Answer<Body>> {
  const proof = await comeBack(idp, await begin(app, provider), claims);
  return app.http.post<Body>(`/auth/social/${provider}`, proof);
}

/** What an app has from a provider's SDK: an ID token, for the nonce that it asked us for. */
export async function idTokenFor(
  app: TestApp,
  provider: string,
  idp: OpenIdProvider,
  claims: Claims,
  header?: Parameters<OpenIdProvider['sign']>[1],
): Promise<{ idToken: string; nonce: string }> {
  const { body } = await app.http.post<{ nonce: string; nonceHash: string }>(`/auth/social/${provider}/nonce`);
  return { idToken: await idp.sign({ nonce: body.nonceHash, ...claims }, header), nonce: body.nonce };
}

export async function signInByIdToken<Body = SignedIn>(
  app: TestApp,
  provider: string,
  idp: OpenIdProvider,
  claims: Claims,
  extra: Record<string, unknown> = {},
): Promise<Answer<Body>> {
  const proof = await idTokenFor(app, provider, idp, claims);
  return app.http.post<Body>(`/auth/social/${provider}`, { ...proof, ...extra });
}

import { JwtService } from '@nestjs/jwt';
import passportJwt from 'passport-jwt';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { SigningKeyRing } from '../../src/tokens/signing-key-ring.js';
import { SigningKeys } from '../../src/tokens/signing-keys.js';
import { startApp, type TestApp } from '../support/app.js';
import { register, signInByMail, type SignedIn } from '../support/people.js';

/** A signature that was found good stays good. The key, the time and the session are asked every time. */
let app: TestApp;
beforeAll(async () => {
  app = await startApp({ ACCESS_TOKEN_TTL: '5m' });
});
afterAll(() => app.close());

const me = (token: string) => app.http.get('/users/me', { token });
const verify = (token: string) => app.http.post<{ active: boolean }>('/auth/token/verify', { token });

/** Signed in, and the token was used everywhere. */
async function known(): Promise<SignedIn> {
  const session = await signInByMail(app, await register(app));
  expect((await me(session.accessToken)).status).toBe(200);
  expect((await verify(session.accessToken)).body.active).toBe(true);
  return session;
}

async function expectRefused(token: string): Promise<void> {
  expect((await me(token)).status).toBe(401);
  expect((await verify(token)).body).toEqual({ active: false });
}

/** How many signatures are verified while something is done, by passport and by ourselves. */
async function verifications(action: () => Promise<unknown>): Promise<number> {
  const ours = vi.spyOn(JwtService.prototype, 'verify');
  const passports = vi.spyOn(passportJwt.Strategy as unknown as { JwtVerifier: () => void }, 'JwtVerifier');
  try {
    await action();
    return ours.mock.calls.length + passports.mock.calls.length;
  } finally {
    ours.mockRestore();
    passports.mockRestore();
  }
}

describe('the signature of an access token', () => {
  it('is verified by the first request that brings it, and by no other', async () => {
    const { accessToken } = await signInByMail(app, await register(app));
    expect(await verifications(() => me(accessToken))).toBe(1);
    expect(await verifications(() => me(accessToken))).toBe(0);
    expect(await verifications(() => verify(accessToken))).toBe(0);

    const another = await signInByMail(app, await register(app));
    expect(await verifications(() => verify(another.accessToken))).toBe(1);
    expect(await verifications(() => me(another.accessToken))).toBe(0);
  });

  it('is verified for every text that differs from a known token', async () => {
    const { accessToken } = await known();
    const [header = '', payload = '', signature = ''] = accessToken.split('.');
    const flipped = (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1);
    await expectRefused(`${header}.${payload}.${flipped}`);
    await expectRefused(`${header}.${payload}.`);
    const { roles: _roles, ...claims } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
      roles: string[];
    };
    const promoted = Buffer.from(JSON.stringify({ ...claims, roles: ['admin'] })).toString('base64url');
    await expectRefused(`${header}.${promoted}.${signature}`);
    expect((await me(accessToken)).status).toBe(200);
  });
});

describe('a token whose signature is known', () => {
  it('ends with its time', async () => {
    const { accessToken } = await known();
    await app.clock.advance(5 * 60 + 31);
    await expectRefused(accessToken);
  });

  it('ends with its session', async () => {
    const { accessToken, refreshToken } = await known();
    expect((await app.http.post('/auth/token/revoke', { refreshToken })).status).toBe(204);
    await expectRefused(accessToken);
  });

  it('ends with its key', async () => {
    const { accessToken } = await known();
    const keys = app.app.get(SigningKeys, { strict: false });
    await app.app.get(SigningKeyRing, { strict: false }).retire(keys.current.kid, { kind: 'cli' });
    await keys.ask('a key of another replica, which makes this one read the ring');
    await expectRefused(accessToken);
  });
});

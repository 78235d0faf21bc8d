import { createRemoteJWKSet, jwksCache, jwtVerify, type JWKSCacheInput } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SigningKeyRing } from '../../src/tokens/signing-key-ring.js';
import { startApp, type TestApp } from '../support/app.js';
import { firstFactor, register, type SignedIn } from '../support/people.js';

const ISSUER = 'https://id.example.test';
/** Seconds of the test's clock between two rounds of requests. */
const STEP = 15;
/** How many steps old a token may be: it lives five minutes, and the requests themselves take a while. */
const LIVE_STEPS = 17;
const ROTATION = 360 + 690 + 60;

let one: TestApp;
let two: TestApp;
let urls: string[];

beforeAll(async () => {
  const passwordOnly = { TWO_FACTOR_TRUSTED_METHODS: 'none', TWO_FACTOR_FALLBACK_METHOD: 'none' };
  one = await startApp(passwordOnly);
  two = await startApp(passwordOnly, { replicaOf: one });
  urls = [await one.listen(), await two.listen()];
});
afterAll(async () => {
  await two.close();
  await one.close();
});

/** A verifier of somebody else: it keeps a JWKS for as long as Cache-Control lets it, and asks for unknown keys rarely. */
class Stranger {
  private readonly cache: JWKSCacheInput = {};

  constructor(private readonly url: string) {}

  async verify(token: string, currentDate: Date): Promise<string | undefined> {
    const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', this.url), {
      [jwksCache]: this.cache,
      cacheMaxAge: 300_000,
      cooldownDuration: 30_000,
    });
    const { protectedHeader } = await jwtVerify(token, keys, { issuer: ISSUER, currentDate });
    return protectedHeader.kid;
  }

  /** What it keeps ages by the clock of the process, which the test's does not move. */
  age(seconds: number): void {
    if (this.cache.uat !== undefined) this.cache.uat -= seconds * 1_000;
  }
}

async function post<T>(url: string, path: string, body: unknown): Promise<T> {
  const response = await fetch(`${url}/api/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

it('a whole rotation under load: every token is verified by both replicas and by strangers, all the way', async () => {
  const sessions = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const { email } = await register(one);
      return (await firstFactor<SignedIn>(one, email)).body;
    }),
  );
  const strangers = urls.map((url) => new Stranger(url));
  const tokens: string[][] = sessions.map(() => []);
  const failures: string[] = [];
  const kids = new Set<string>();
  let verified = 0;

  /** As everybody does at this moment: refresh at either replica, and use the newest and the oldest that still lives everywhere. */
  async function round(index: number): Promise<void> {
    await Promise.all(
      sessions.map(async (session, place) => {
        const [url = ''] = urls.slice((index + place) % 2);
        const issued = tokens[place] ?? [];
        issued.push(session.accessToken);
        const [oldest = ''] = issued.slice(-LIVE_STEPS);
        Object.assign(
          session,
          await post<SignedIn>(url, '/auth/token/refresh', { refreshToken: session.refreshToken }),
        );
        for (const token of [oldest, session.accessToken]) await verifyEverywhere(token);
      }),
    );
  }

  async function verifyEverywhere(token: string): Promise<void> {
    for (const url of urls) {
      const { status } = await fetch(`${url}/api/v1/users/me`, { headers: { authorization: `Bearer ${token}` } });
      if (status !== 200) failures.push(`${one.clock.now().toISOString()} ${url}: ${status}`);
    }
    for (const stranger of strangers) {
      const currentDate = one.clock.now();
      try {
        kids.add((await stranger.verify(token, currentDate)) ?? '');
      } catch (error) {
        failures.push(`${currentDate.toISOString()} stranger: ${(error as Error).message}`);
      }
    }
    verified += 1;
  }

  await round(0);
  const ring = one.app.get(SigningKeyRing, { strict: false });
  expect((await ring.rotate({ kind: 'cli' })).made).toBe(true);
  // for real: the other replica reads the ring by a timer of its own
  await expect
    .poll(async () => (await two.http.get<{ keys: unknown[] }>('/.well-known/jwks.json')).body.keys.length, {
      timeout: 8_000,
    })
    .toBe(2);

  for (let passed = 0, index = 1; passed < ROTATION; passed += STEP, index += 1) {
    await one.clock.advance(STEP);
    for (const stranger of strangers) stranger.age(STEP);
    await round(index);
  }

  expect(failures).toEqual([]);
  expect(kids.size).toBe(2);
  expect(verified).toBe((1 + ROTATION / STEP) * sessions.length * 2);
  expect((await ring.list()).map(({ state }) => state)).toEqual(['current', 'expired']);
}, 120_000);

import { createPublicKey, generateKeyPairSync, randomBytes, verify, type KeyObject } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { SigningKeyRing, SigningKeyRefused, type KeyInRing } from '../../src/tokens/signing-key-ring.js';
import { SigningKeys } from '../../src/tokens/signing-keys.js';
import { TokenKeys } from '../../src/tokens/token-keys.js';
import { startApp, type TestApp } from '../support/app.js';
import { firstFactor, register, type SignedIn } from '../support/people.js';

type Jwk = Record<string, string>;

/** Published six minutes ahead; a token lives five, clocks differ by half a minute, answers are cached for five. */
const PUBLISHED_AHEAD = 360;
const VERIFIES_ON = 300 + 30 + 300 + 60;
/** A replica reads the keys again every five seconds. */
const FOLLOWED = { timeout: 8_000, interval: 100 };
const DAY = 86_400;
const ALONE = { kind: 'system' } as const;
const CLI = { kind: 'cli' } as const;

/** Signing in is a password here: the mail of one replica may be sent by the other. */
const PASSWORD_ONLY = { TWO_FACTOR_TRUSTED_METHODS: 'none', TWO_FACTOR_FALLBACK_METHOD: 'none' };

const start = (variables: Record<string, string> = {}, options: { replicaOf?: TestApp } = {}) =>
  startApp({ ...PASSWORD_ONLY, ...variables }, options);

const ringOf = ({ app }: TestApp) => app.get(SigningKeyRing, { strict: false });

async function jwksOf({ http }: TestApp): Promise<Jwk[]> {
  return (await http.get<{ keys: Jwk[] }>('/.well-known/jwks.json')).body.keys;
}

async function kidsOf(app: TestApp): Promise<string[]> {
  return (await jwksOf(app)).map(({ kid }) => kid ?? '').sort();
}

async function statesOf(app: TestApp): Promise<Record<string, string>> {
  return Object.fromEntries((await ringOf(app).list()).map(({ kid, state }) => [kid, state]));
}

async function currentOf(app: TestApp): Promise<KeyInRing> {
  const current = (await ringOf(app).list()).filter(({ state }) => state === 'current');
  expect(current).toHaveLength(1);
  return current[0] as KeyInRing;
}

function headerOf(token: string): Jwk {
  return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as Jwk;
}

async function opens(app: TestApp, token: string): Promise<number> {
  return (await app.http.get('/users/me', { token })).status;
}

async function refresh(app: TestApp, { refreshToken }: SignedIn): Promise<SignedIn> {
  const { status, body, text } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken });
  if (status !== 200) throw new Error(`Refreshing answered ${status}: ${text}`);
  return body;
}

async function newSession(app: TestApp): Promise<SignedIn> {
  const { email } = await register(app);
  return (await firstFactor<SignedIn>(app, email)).body;
}

describe('two replicas and a planned rotation', () => {
  let one: TestApp;
  let two: TestApp;
  beforeAll(async () => {
    one = await start();
    two = await start({}, { replicaOf: one });
  });
  afterAll(async () => {
    await two.close();
    await one.close();
  });

  it('publish, wait, sign, retire, remove: no token of an honest client is refused on the way', async () => {
    const first = await currentOf(one);
    let session = await newSession(one);
    const old = session.accessToken;
    expect(headerOf(old)).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: first.kid });

    const rotation = await ringOf(one).rotate(CLI);
    expect(rotation.made).toBe(true);
    for (const app of [one, two]) {
      await expect.poll(() => kidsOf(app), FOLLOWED).toEqual([first.kid, rotation.kid].sort());
      expect(headerOf((session = await refresh(app, session)).accessToken)['kid']).toBe(first.kid);
    }

    await one.clock.advance(PUBLISHED_AHEAD - 30);
    session = await refresh(two, session);
    expect(headerOf(session.accessToken)['kid']).toBe(first.kid);
    const lastOfFirst = session.accessToken;

    // not a second passes between the change and the requests: the replicas read nothing in between
    await one.clock.advance(30);
    expect(await statesOf(one)).toEqual({ [first.kid]: 'retired', [rotation.kid]: 'current' });
    for (const app of [one, two]) {
      session = await refresh(app, session);
      expect(headerOf(session.accessToken)['kid']).toBe(rotation.kid);
      for (const verifier of [one, two]) {
        expect(await opens(verifier, session.accessToken)).toBe(200);
        expect(await opens(verifier, lastOfFirst)).toBe(200);
      }
    }

    await one.clock.advance(VERIFIES_ON - 30);
    expect(await kidsOf(two)).toEqual([first.kid, rotation.kid].sort());
    await one.clock.advance(30);
    expect(await kidsOf(one)).toEqual([rotation.kid]);
    expect(await kidsOf(two)).toEqual([rotation.kid]);
    expect(await statesOf(one)).toEqual({ [first.kid]: 'expired', [rotation.kid]: 'current' });
    session = await refresh(two, session);
    expect(await opens(one, session.accessToken)).toBe(200);
    expect(await opens(one, old)).toBe(401);
  });

  it('asked for twice, and by both at once, makes one next key', async () => {
    const both = await Promise.all([one, two, one, two].map((app) => ringOf(app).rotate(ALONE)));
    expect(both.filter(({ made }) => made)).toHaveLength(1);
    expect(new Set(both.map(({ kid }) => kid)).size).toBe(1);
    expect(await ringOf(one).rotate(CLI)).toEqual({ ...both[0], made: false });
    expect(Object.values(await statesOf(one)).filter((state) => state === 'next')).toHaveLength(1);
  });

  it('a next key that is taken out leaves the present one in its place', async () => {
    const present = await currentOf(one);
    const { kid } = await ringOf(one).rotate(ALONE);
    await ringOf(one).retire(kid, CLI);
    expect(await currentOf(one)).toEqual({ ...present, retiresAt: null, expiresAt: null });
    await one.clock.advance(PUBLISHED_AHEAD + VERIFIES_ON);
    expect((await currentOf(one)).kid).toBe(present.kid);
    await expect.poll(() => kidsOf(two), FOLLOWED).toEqual([present.kid]);
  });

  it('tells who made and retired which key, and nothing of the keys themselves', async () => {
    const events = await one.sql<{ type: string; actor: string; details: Record<string, string> }>(
      "SELECT type, actor, details FROM audit_events WHERE type LIKE 'signing-key.%' ORDER BY at, id",
    );
    expect(events.slice(0, 3).map(({ type, actor }) => `${type} ${actor}`)).toEqual([
      'signing-key.created system',
      'signing-key.retired cli',
      'signing-key.created cli',
    ]);
    for (const { details } of events) {
      expect(
        Object.keys(details).filter((name) => !['kid', 'algorithm', 'activatesAt', 'expiresAt'].includes(name)),
      ).toEqual([]);
    }
  });
});

describe('a key that somebody else may have', () => {
  let one: TestApp;
  let two: TestApp;
  beforeAll(async () => {
    one = await start();
    two = await start({}, { replicaOf: one });
  });
  afterAll(async () => {
    await two.close();
    await one.close();
  });

  it('is refused everywhere within the time to follow, and another signs at once', async () => {
    const stolen = await currentOf(one);
    const session = await newSession(one);
    expect(await opens(two, session.accessToken)).toBe(200);

    await ringOf(one).retire(stolen.kid, CLI);
    const present = await currentOf(one);
    expect(present.kid).not.toBe(stolen.kid);
    expect(await statesOf(one)).toEqual({ [stolen.kid]: 'expired', [present.kid]: 'current' });
    for (const app of [one, two]) {
      await expect.poll(() => opens(app, session.accessToken), FOLLOWED).toBe(401);
      expect(await kidsOf(app)).toEqual([present.kid]);
      const { body } = await app.http.post('/auth/token/verify', { token: session.accessToken });
      expect(body).toEqual({ active: false });
    }
    const renewed = await refresh(two, session);
    expect(headerOf(renewed.accessToken)['kid']).toBe(present.kid);
    expect(await opens(one, renewed.accessToken)).toBe(200);

    await expect(ringOf(one).retire(stolen.kid, CLI)).rejects.toThrow(SigningKeyRefused);
    await expect(ringOf(one).retire('no-such-key', CLI)).rejects.toThrow(/list the keys/);
  });

  it('where the next one is published already, that one signs', async () => {
    const present = await currentOf(one);
    const { kid: next } = await ringOf(one).rotate(ALONE);
    await ringOf(one).retire(present.kid, CLI);
    expect((await currentOf(one)).kid).toBe(next);
    await expect.poll(() => kidsOf(two), FOLLOWED).toEqual([next]);
    const [event] = await one.sql("SELECT details, actor FROM audit_events WHERE type = 'signing-key.activated'");
    expect(event).toEqual({ details: { kid: next }, actor: 'cli' });
  });

  it('retired by two at once leaves one that signs', async () => {
    const { kid } = await currentOf(one);
    await Promise.allSettled([one, two].map((app) => ringOf(app).retire(kid, ALONE)));
    expect((await currentOf(one)).kid).not.toBe(kid);
    expect(Object.values(await statesOf(one)).filter((state) => state === 'next')).toEqual([]);
  });

  it('a token of a key that the other replica made a moment ago is not refused here', async () => {
    const { kid } = await currentOf(one);
    await ringOf(one).retire(kid, ALONE);
    const { kid: fresh } = await currentOf(one);
    // whichever of the two reads the keys first signs; the other one has to ask
    const session = await newSession(one);
    let token = '';
    await expect
      .poll(async () => headerOf((token = (await refresh(one, session)).accessToken))['kid'], { timeout: 8_000 })
      .toBe(fresh);
    expect(await opens(two, token)).toBe(200);
  });

  it('unknown key ids make a replica read its keys once a second, not once a request', async () => {
    const session = await newSession(one);
    const [, claims, signature] = session.accessToken.split('.');
    const reads = countReads();
    const begun = performance.now();
    let requests = 0;
    for (; performance.now() - begun < 2_500; requests += 1) {
      const kid = randomBytes(9).toString('base64url');
      const header = Buffer.from(JSON.stringify({ ...headerOf(session.accessToken), kid })).toString('base64url');
      expect(await opens(one, `${header}.${claims}.${signature}`)).toBe(401);
    }
    expect(requests).toBeGreaterThan(50);
    expect(reads.count).toBeGreaterThanOrEqual(2);
    // three seconds have begun, and each replica may have followed by itself among them
    expect(reads.count).toBeLessThanOrEqual(5);
    reads.stop();
  });
});

describe('by the calendar', () => {
  let app: TestApp;
  afterEach(() => app.close());

  it('a restart finds the key too old and publishes the next one; the night does the same', async () => {
    app = await start({ SIGNING_KEY_ROTATION: '30d' });
    const first = await currentOf(app);
    await app.clock.advance(30 * DAY - 60);
    await ringOf(app).rotateOnSchedule();
    expect(await statesOf(app)).toEqual({ [first.kid]: 'current' });
    await app.clock.advance(60);

    const another = await start({ SIGNING_KEY_ROTATION: '30d' }, { replicaOf: app });
    expect(Object.values(await statesOf(another)).sort()).toEqual(['current', 'next']);
    await another.close();

    await app.clock.advance(PUBLISHED_AHEAD + VERIFIES_ON);
    await ringOf(app).rotateOnSchedule();
    expect(Object.values(await statesOf(app))).toEqual(['current']);
    expect((await currentOf(app)).kid).not.toBe(first.kid);
  });

  it('never where it is switched off', async () => {
    app = await start({ SIGNING_KEY_ROTATION: 'off' });
    await app.clock.advance(3_650 * DAY);
    await ringOf(app).rotateOnSchedule();
    expect(Object.values(await statesOf(app))).toEqual(['current']);
  });
});

describe('SIGNING_ALGORITHM', () => {
  it.each(['ES256', 'RS256'])('%s: signs in, refreshes, and everybody can verify it', async (alg) => {
    const app = await start({ SIGNING_ALGORITHM: alg });
    try {
      const { accessToken } = await refresh(app, await newSession(app));
      expect(headerOf(accessToken)['alg']).toBe(alg);
      expect(await opens(app, accessToken)).toBe(200);
      const [jwk = {}] = await jwksOf(app);
      const members = alg === 'ES256' ? ['crv', 'x', 'y'] : ['e', 'n'];
      expect(Object.keys(jwk).sort()).toEqual(['alg', 'kid', 'kty', 'use', ...members].sort());
      expect(jwk).toMatchObject({ alg, use: 'sig', kid: headerOf(accessToken)['kid'] });
      expect(isSignedBy(accessToken, createPublicKey({ key: jwk, format: 'jwk' }))).toBe(true);
    } finally {
      await app.close();
    }
  });

  it('HS256: signs in and refreshes, and publishes nothing', async () => {
    const app = await start({ SIGNING_ALGORITHM: 'HS256' });
    try {
      const { accessToken } = await refresh(app, await newSession(app));
      expect(headerOf(accessToken)['alg']).toBe('HS256');
      expect(await opens(app, accessToken)).toBe(200);
      expect(await jwksOf(app)).toEqual([]);
      expect(await app.sql('SELECT public_jwk FROM signing_keys')).toEqual([{ public_jwk: null }]);
    } finally {
      await app.close();
    }
  });

  it('another one is a rotation: the keys before it verify what they signed', async () => {
    const one = await start();
    let session = await newSession(one);
    for (const [before, alg] of [
      ['ES256', 'RS256'],
      ['RS256', 'HS256'],
      ['HS256', 'ES256'],
    ] as const) {
      const two = await start({ SIGNING_ALGORITHM: alg }, { replicaOf: one });
      session = await refresh(two, session);
      expect(headerOf(session.accessToken)['alg']).toBe(before);
      for (const app of [one, two]) await expect.poll(() => knowsNextKey(app), FOLLOWED).toBe(true);
      await one.clock.advance(PUBLISHED_AHEAD - 10);
      const { accessToken: old } = (session = await refresh(one, session));
      await one.clock.advance(10);
      for (const app of [one, two]) {
        session = await refresh(app, session);
        expect(headerOf(session.accessToken)['alg']).toBe(alg);
        for (const token of [old, session.accessToken]) expect(await opens(app, token)).toBe(200);
      }
      await one.clock.advance(VERIFIES_ON);
      await two.close();
    }
    await one.close();
  });

  it('a token never chooses: the name of another algorithm over a key of ours is refused', async () => {
    const app = await start({ SIGNING_ALGORITHM: 'RS256' });
    try {
      const { accessToken } = await newSession(app);
      const [, claims, signature] = accessToken.split('.');
      const keys = app.app.get(TokenKeys, { strict: false });
      expect(keys.forVerifying('access', accessToken)?.algorithm).toBe('RS256');
      for (const alg of ['HS256', 'ES256', 'PS256', 'RS512', 'none']) {
        const header = Buffer.from(JSON.stringify({ ...headerOf(accessToken), alg })).toString('base64url');
        const forged = `${header}.${claims}.${signature}`;
        expect(await opens(app, forged)).toBe(401);
        // the library would refuse it as well; it is not even given a key
        expect(keys.forVerifying('access', forged)).toBeNull();
      }
    } finally {
      await app.close();
    }
  });
});

describe('keys of one’s own', () => {
  const pemOf = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs8' }).toString();
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

  it('sign instead of those of the database, which says so to whoever would rotate it', async () => {
    const app = await start({ SIGNING_KEY: pemOf(p256) });
    try {
      const { accessToken } = await refresh(app, await newSession(app));
      expect(await opens(app, accessToken)).toBe(200);
      expect(isSignedBy(accessToken, createPublicKey(p256))).toBe(true);
      expect(await jwksOf(app)).toEqual([expect.objectContaining({ kid: headerOf(accessToken)['kid'] })]);
      expect(await app.sql('SELECT kid FROM signing_keys')).toEqual([]);
      for (const ask of [
        () => ringOf(app).rotate(CLI),
        () => ringOf(app).retire('any', CLI),
        () => ringOf(app).list(),
      ]) {
        await expect(ask()).rejects.toThrow(/^SIGNING_KEY is set, so the keys of the database are not used/);
      }
    } finally {
      await app.close();
    }
  });

  it('a secret that services share: what they sign is ours, what they hold is not published', async () => {
    const secret = randomBytes(36).toString('base64');
    const app = await start({ SIGNING_ALGORITHM: 'HS256', SIGNING_KEY: secret });
    try {
      const { accessToken } = await newSession(app);
      expect(await opens(app, accessToken)).toBe(200);
      expect(await jwksOf(app)).toEqual([]);
      expect((await app.http.get('/.well-known/jwks.json')).text).not.toContain('oct');
    } finally {
      await app.close();
    }
  });
});

function isSignedBy(token: string, key: KeyObject): boolean {
  const [header, claims, signature = ''] = token.split('.');
  const options = { key, dsaEncoding: 'ieee-p1363' } as const;
  return verify('sha256', Buffer.from(`${header}.${claims}`), options, Buffer.from(signature, 'base64url'));
}

/** Whether this replica, and not only the database, knows a key that does not sign yet. */
async function knowsNextKey(app: TestApp): Promise<boolean> {
  const next = (await ringOf(app).list()).find(({ state }) => state === 'next');
  return app.app.get(SigningKeys, { strict: false }).find(next?.kid) !== null;
}

type Query = (this: pg.Client, ...parameters: unknown[]) => unknown;

/** Counts how often the keys are read from the database, by whichever replica of this process. */
function countReads(): { count: number; stop(): void } {
  const prototype = pg.Client.prototype as unknown as { query: Query };
  const { query } = prototype;
  const reads = {
    count: 0,
    stop() {
      prototype.query = query;
    },
  };
  prototype.query = function (this: pg.Client, ...parameters: unknown[]): unknown {
    const [statement] = parameters as [string | { text?: string }];
    const text = typeof statement === 'string' ? statement : statement.text;
    if (text?.includes('sealed_private_key')) reads.count += 1;
    return query.apply(this, parameters);
  };
  return reads;
}

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChainCheck } from '../../src/audit/chain-check.js';
import { Sealer } from '../../src/audit/sealer.js';
import { completeConfig } from '../../src/config/config.js';
import { readSettings } from '../../src/config/env.js';
import { Keys } from '../../src/crypto/keys.js';
import { Reencryption } from '../../src/database/reencryption.js';
import { isGenuine, parseRefreshToken } from '../../src/tokens/refresh-token.js';
import { startApp, TEST_SECRET, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import {
  firstFactor,
  PASSWORD,
  personWithTotp,
  register,
  secondFactor,
  signInByMail,
  signInByTotp,
  type Person,
  type SignedIn,
} from '../support/people.js';

const NEW_SECRET = 'Zq8Xw2Lr5Tn9Vb3Mk7Jh4Gf6Ds1Pa0Yc';
const pepper = (id: string) => `${id}:${randomBytes(32).toString('base64')}`;

describe('another SECRET_KEY, while the former one is accepted', () => {
  let before: TestApp;
  let app: TestApp;
  /** Made before the other replica is there, which would take every other mail. */
  let people: Veteran[];
  beforeAll(async () => {
    // The first of the two steps: it knows the new one before anything is made with it.
    before = await startApp({ SECRET_KEYS_ACCEPTED: NEW_SECRET });
    people = [];
    for (let count = 0; count < 5; count += 1) people.push(await personWithRecoveryCodes(before));
    app = await startApp({ SECRET_KEY: NEW_SECRET, SECRET_KEYS_ACCEPTED: TEST_SECRET }, { replicaOf: before });
  });
  afterAll(async () => {
    await app.close();
    await before.close();
  });

  it('lets sessions live: their refresh tokens are exchanged, once each', async () => {
    const { session } = next();
    const first = await refresh(app, session.refreshToken);
    expect(first.status).toBe(200);
    const second = await refresh(app, first.body.refreshToken);
    expect(second.status).toBe(200);
    await app.clock.advance(60);
    expect((await refresh(app, session.refreshToken)).body).toMatchObject({ code: 'refresh_token_reused' });
  });

  it('makes new refresh tokens with the new key: who has only the former one makes none', async () => {
    const { body } = await refresh(app, next().session.refreshToken);
    const token = parseRefreshToken(body.refreshToken);
    const [session] = await app.sql<{ salt: Buffer }>('SELECT refresh_salt AS salt FROM sessions WHERE id = $1', [
      token?.sessionId,
    ]);
    const madeWith = (secret: string) =>
      token && session && isGenuine(token, ringOf(secret).ring('refresh-token'), session.salt);
    expect([madeWith(NEW_SECRET), madeWith(TEST_SECRET)]).toEqual([true, false]);
  });

  it('completes what began before: code tokens, mailed codes, enrollments', async () => {
    const person = await register(before);
    const { body } = await firstFactor(before, person.email);
    expect((await secondFactor(app, body.codeToken, await codeTo(person))).body).toMatchObject({
      status: 'authenticated',
    });

    const newcomer = await register(before);
    await before.sql(
      `INSERT INTO requirement_rules (id, level, user_id, required, methods, updated_at, applied)
       VALUES ($1, 'user', $1, true, '{totp}', now(), true)`,
      [newcomer.id],
    );
    const { body: asked } = await firstFactor(before, newcomer.email);
    const mailed = await codeTo(newcomer);
    const { body: enrollment } = await secondFactor<{ enrollmentToken: string }>(before, asked.codeToken, mailed);
    const token = enrollment.enrollmentToken;
    const created = await app.http.post<{ id: string; secret: string }>('/otp-devices', { type: 'totp' }, { token });
    expect(created.status).toBe(201);
  });

  it('opens authenticators and recovery codes, each once', async () => {
    const { email, secret, codes } = next();
    const { body } = await firstFactor(app, email);
    expect((await secondFactor(app, body.codeToken, totpCode(secret, app.clock))).status).toBe(200);
    await app.clock.advance(60);
    expect(await recover(app, email, codes[0] ?? '')).toMatchObject({ status: 'authenticated' });
    expect(await recover(app, email, codes[0] ?? '')).toMatchObject({ code: 'invalid_code' });
  });

  it('keeps the audit log verifiable across the change', async () => {
    const person = next();
    await signInByTotp(before, person);
    await before.app.get(Sealer).sealNow();
    await signInByTotp(app, person);
    await app.app.get(Sealer).sealNow();
    expect(await app.app.get(ChainCheck).verify()).toMatchObject({ intact: true, faults: [], unsealed: 0 });
  });

  it('seals with the new key, and re-encrypts what the former one sealed', async () => {
    const person = next();
    await app.app.get(Reencryption, { strict: false }).run();
    const status = await app.app.get(Reencryption, { strict: false }).status();
    expect(status.filter(({ seals, place }) => !seals && place !== 'queued messages')).toEqual([]);
    expect((await signInByTotp(app, person)).status).toBe('authenticated');
  });

  /** Either replica may have sent it. */
  function codeTo({ email }: Person): Promise<string> {
    return Promise.any([before, app].map(({ mailbox }) => mailbox.code(email)));
  }

  function next(): Veteran {
    const person = people.pop();
    if (!person) throw new Error('Make more people');
    return person;
  }
});

describe('a pepper of passwords', () => {
  const first = pepper('first');
  const second = pepper('second');
  let plain: TestApp;
  let app: TestApp;
  let veteran: Person;
  let signedIn: Person & { session: SignedIn };
  beforeAll(async () => {
    plain = await startApp();
    veteran = await register(plain);
    signedIn = await personWithTotp(plain);
    app = await startApp({ PASSWORD_PEPPER: first }, { replicaOf: plain });
  });
  afterAll(async () => {
    await app.close();
    await plain.close();
  });

  it('hashes a new password: the database alone does not tell whether a guess is right', async () => {
    const person = await register(app);
    expect(await hashOf(person)).toMatch(/^first\$argon2id\$/);
    expect((await firstFactor(app, person.email)).status).toBe(200);
    expect((await firstFactor(app, person.email, 'three uncommon word')).status).toBe(401);
  });

  it('renews a hash from before at the next sign-in, also in two at once, and only with the right password', async () => {
    expect(await hashOf(veteran)).toMatch(/^\$argon2id\$/);
    expect((await firstFactor(app, veteran.email, 'wrong')).status).toBe(401);
    expect(await hashOf(veteran)).toMatch(/^\$argon2id\$/);
    const answers = await Promise.all([firstFactor(app, veteran.email), firstFactor(app, veteran.email)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    const renewed = await hashOf(veteran);
    expect(renewed).toMatch(/^first\$argon2id\$/);
    await firstFactor(app, veteran.email);
    expect(await hashOf(veteran)).toBe(renewed);
  });

  it('is replaced: the old key verifies, the new one hashes, and sessions live', async () => {
    expect((await firstFactor(app, signedIn.email)).status).toBe(200);
    expect(await hashOf(signedIn)).toMatch(/^first\$argon2id\$/);
    const later = await startApp({ PASSWORD_PEPPER: `${second},${first}` }, { replicaOf: plain });
    expect((await refresh(later, signedIn.session.refreshToken)).status).toBe(200);
    expect((await firstFactor(later, signedIn.email)).status).toBe(200);
    expect(await hashOf(signedIn)).toMatch(/^second\$argon2id\$/);
    await later.close();
  });

  it('stops a start that lacks a key which passwords still have, and one that gives its id to another key', async () => {
    await register(app);
    await expect(startApp({ PASSWORD_PEPPER: second }, { replicaOf: plain })).rejects.toThrow(/lacks the key "first"/);
    await expect(startApp({}, { replicaOf: plain })).rejects.toThrow(/PASSWORD_PEPPER lacks the key/);
    await expect(startApp({ PASSWORD_PEPPER: pepper('first') }, { replicaOf: plain })).rejects.toThrow(
      /the key "first" is not the one/,
    );
  });

  it('may be taken out once no password has it', async () => {
    await plain.sql(`UPDATE users SET password_hash = NULL WHERE password_hash LIKE 'first$%'`);
    const later = await startApp({ PASSWORD_PEPPER: second }, { replicaOf: plain });
    expect(await plain.sql('SELECT id FROM password_peppers')).toEqual([{ id: 'second' }]);
    await later.close();
  });

  it('is renewed together with the costs', async () => {
    const costly = { PASSWORD_PEPPER: `${second},${first}`, ARGON2_ITERATIONS: '6' };
    const person = await register(app);
    const later = await startApp(costly, { replicaOf: plain });
    expect((await firstFactor(later, person.email)).status).toBe(200);
    expect(await hashOf(person)).toMatch(/^second\$argon2id\$v=19\$m=7168,t=6,p=1\$/);
    await later.close();
  });

  async function hashOf({ id }: Person): Promise<string> {
    const [row] = await plain.sql<{ hash: string }>('SELECT password_hash AS hash FROM users WHERE id = $1', [id]);
    return row?.hash ?? '';
  }
});

function ringOf(secretKey: string): Keys {
  const settings = readSettings({ SECRET_KEY: secretKey });
  return new Keys(completeConfig(settings, { databaseUrl: 'postgres://x', secretKey }));
}

function refresh({ http }: TestApp, refreshToken: string) {
  return http.post<SignedIn>('/auth/token/refresh', { refreshToken });
}

type Veteran = Awaited<ReturnType<typeof personWithRecoveryCodes>>;

async function personWithRecoveryCodes(app: TestApp) {
  const person = await register(app);
  const session = await signInByMail(app, person);
  const token = session.accessToken;
  const { body } = await app.http.post<{ id: string; secret: string }>('/otp-devices', { type: 'totp' }, { token });
  const confirmed = await app.http.post<{ recoveryCodes: string[] }>(
    `/otp-devices/${body.id}/confirm`,
    { code: totpCode(body.secret, app.clock) },
    { token },
  );
  await app.clock.advance(60);
  return { ...person, session, deviceId: body.id, secret: body.secret, codes: confirmed.body.recoveryCodes };
}

async function recover(app: TestApp, identifier: string, code: string): Promise<unknown> {
  const asked = await app.http.post<{ codeToken: string; devices: { id: string; type: string }[] }>('/auth/token', {
    identifier,
    password: PASSWORD,
  });
  const sheet = asked.body.devices.find(({ type }) => type === 'recovery_codes');
  return (await secondFactor(app, asked.body.codeToken, code, { deviceId: sheet?.id })).body;
}

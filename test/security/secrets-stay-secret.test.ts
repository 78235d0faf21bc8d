import { Logger, type LoggerService } from '@nestjs/common';
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Keys, type KeyPurpose } from '../../src/crypto/keys.js';
import { AppLogger } from '../../src/logger.js';
import { Outbox } from '../../src/notifications/outbox.js';
import { SigningKeys } from '../../src/tokens/signing-keys.js';
import { startApp, TEST_SECRET, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { nextLink, tokenOf } from '../support/links.js';
import { OpenIdProvider } from '../support/openid-provider.js';
import { firstFactor, register, secondFactor, signInByMail, type Person, type SignedIn } from '../support/people.js';
import { begin, comeBack, idTokenFor, REDIRECT } from '../support/social.js';

const FIRST_PASSWORD = 'canary-of-the-first-password';
const SECOND_PASSWORD = 'canary-of-the-second-password';
const WRONG_PASSWORD = 'canary-of-a-wrong-password';

const CLIENT_SECRET = 'canary-of-the-client-secret';

let app: TestApp;
let idp: OpenIdProvider;
/** Everything that was written to the standard streams, in the form for people and in the form for machines. */
let output = '';
/** Everything that was ever put into the queue: finished jobs are deleted. */
let jobs: { payload: string }[];
/** Everything that the database holds afterwards. */
let dump: { name: string; text: string }[];
/** What must be nowhere, by a name that says what leaked. */
const secrets = new Map<string, string>();
let people: Person[];

beforeAll(async () => {
  capture(process.stdout);
  capture(process.stderr);
  vi.spyOn(console, 'log').mockImplementation((...said: unknown[]) => void (output += said.join(' ')));
  vi.spyOn(console, 'error').mockImplementation((...said: unknown[]) => void (output += said.join(' ')));
  idp = await OpenIdProvider.start();
  // Letters, because digits would also be found in times and ids.
  app = await startApp({
    LOG_LEVEL: 'debug',
    CODE_CHARACTERS: 'ABCDEFGHJKLMNPQRSTUVWXYZ',
    EMAIL_CODE_LENGTH: '10',
    CODE_TOKEN_RETRY_WAIT: 'off',
    REDIRECT_ALLOWLIST: REDIRECT,
    OIDC_CORP_ISSUER: idp.issuer,
    OIDC_CORP_CLIENT_ID: 'countersign',
    OIDC_CORP_CLIENT_SECRET: CLIENT_SECRET,
    SOCIAL_FACEBOOK_CLIENT_ID: '1234567890',
    SOCIAL_FACEBOOK_CLIENT_SECRET: CLIENT_SECRET,
    SOCIAL_FACEBOOK_API_URL: `${idp.issuer}/graph`,
  });
  idp.now = () => app.clock.seconds();
  Logger.overrideLogger(both(new AppLogger('debug', false), new AppLogger('debug', true)));
  await app.sql('CREATE TABLE public.seen_jobs (payload text NOT NULL)');
  await app.sql(`
    CREATE FUNCTION public.see_job() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO public.seen_jobs VALUES (NEW::text); RETURN NEW; END $$`);
  await app.sql(`
    CREATE TRIGGER see AFTER INSERT OR UPDATE ON graphile_worker._private_jobs
      FOR EACH ROW EXECUTE FUNCTION public.see_job()`);

  await runEveryFlow();

  jobs = await app.sql('SELECT payload FROM public.seen_jobs');
  dump = await dumpOf(app);
}, 30_000);

afterAll(async () => {
  vi.restoreAllMocks();
  Logger.overrideLogger(false);
  await app.close();
  await idp.stop();
});

describe('what the process writes, at its most talkative', () => {
  it('was captured: the flows, the failures and the mails left their lines', () => {
    for (const line of [
      /internal_error: database error 42P01/,
      /"level":"error"/,
      /is in the outbox/,
      /mailbox is full/,
      /Object\.<anonymous>|at .+\(.+:\d+:\d+\)/,
    ]) {
      expect(output).toMatch(line);
    }
    expect(leaksIn(`before ${FIRST_PASSWORD} after`)).toEqual(['first password']);
  });

  it('holds no password, code, token, secret or key, in no spelling', () => {
    expect(secrets.size).toBeGreaterThan(30);
    expect(leaksIn(output)).toEqual([]);
  });

  it('holds no address either', () => {
    for (const { email } of people) expect(output.toLowerCase()).not.toContain(email);
  });
});

describe('the queue', () => {
  it('was watched', () => {
    expect(jobs.length).toBeGreaterThan(5);
  });

  it('holds no code, no address and no other secret: what is to be sent is sealed', () => {
    const text = jobs.map(({ payload }) => payload).join('\n');
    expect(leaksIn(text)).toEqual([]);
    for (const { email } of people) expect(text.toLowerCase()).not.toContain(email);
    // The hourly clean-up names tables and keys.
    const sent = jobs.filter(({ payload }) => !payload.includes('remove-expired-rows-of'));
    expect(sent.length).toBeGreaterThan(5);
    expect(sent.every(({ payload }) => /v1\.[\w-]+\.[\w-]+/.test(payload))).toBe(true);
  });
});

describe('a dump of the database', () => {
  it('is complete', () => {
    const names = dump.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining(['public.users', 'public.otp_devices', 'public.sessions', 'public.challenges']),
    );
    expect(names.some((name) => name.startsWith('graphile_worker.'))).toBe(true);
    for (const { email } of people) expect(dump.some(({ text }) => text.includes(email))).toBe(true);
  });

  it('holds no password, code, token, secret or key, in no spelling', () => {
    expect(dump.flatMap(({ name, text }) => leaksIn(text).map((leak) => `${leak} in ${name}`))).toEqual([]);
  });

  it('holds addresses only where people, their devices, their identities and invitations are', () => {
    const places = dump.filter(({ text }) => people.some(({ email }) => text.toLowerCase().includes(email)));
    expect(places.map(({ name }) => name).sort()).toEqual([
      'public.invitations',
      'public.otp_devices',
      'public.social_identities',
      'public.users',
    ]);
  });

  it('holds passwords as argon2id with the configured cost, and a salt each', async () => {
    const rows = await app.sql<{ hash: string }>(
      'SELECT password_hash AS hash FROM users WHERE password_hash IS NOT NULL',
    );
    for (const { hash } of rows) expect(hash).toMatch(/^\$argon2id\$v=19\$m=7168,t=5,p=1\$[^$]{22,}\$[^$]{43,}$/);
    expect(new Set(rows.map(({ hash }) => hash.split('$')[4])).size).toBe(rows.length);
  });

  it('holds codes as hashes of 32 bytes that nobody can compute without the key', async () => {
    const rows = await app.sql<{ hash: Buffer }>(
      'SELECT code_hash AS hash FROM challenges WHERE code_hash IS NOT NULL',
    );
    // four sign-ins; the code of the device that was removed went with it
    expect(rows).toHaveLength(4);
    expect(rows.every(({ hash }) => hash.length === 32)).toBe(true);
    expect(new Set(rows.map(({ hash }) => hash.toString('hex'))).size).toBe(rows.length);
  });

  it('holds authenticator secrets and private keys sealed', async () => {
    const rows = await app.sql<{ sealed: string }>(
      `SELECT sealed_secret AS sealed FROM otp_devices WHERE type = 'totp'
       UNION ALL SELECT sealed_private_key FROM signing_keys`,
    );
    expect(rows.length).toBeGreaterThanOrEqual(2);
    for (const { sealed } of rows) expect(sealed).toMatch(/^v1\.[\w-]{1,16}\.[\w-]{40,}$/);
    const keys = await app.sql<{ jwk: Record<string, string> }>('SELECT public_jwk AS jwk FROM signing_keys');
    for (const { jwk } of keys) expect(Object.keys(jwk).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
  });
});

async function runEveryFlow(): Promise<void> {
  know('SECRET_KEY', TEST_SECRET);
  const purposes: KeyPurpose[] = ['secret-box', 'codes', 'code-token', 'enrollment-token', 'refresh-token', 'counters'];
  const keys = app.app.get(Keys, { strict: false });
  for (const purpose of purposes) knowBytes(`key of ${purpose}`, keys.for(purpose).export());
  const { signingKey: privateKey } = app.app.get(SigningKeys, { strict: false }).current;
  know('private key', privateKey.export({ format: 'jwk' }).d ?? '');
  knowBytes('private key as PKCS #8', privateKey.export({ format: 'der', type: 'pkcs8' }));
  know('first password', FIRST_PASSWORD);
  know('second password', SECOND_PASSWORD);
  know('wrong password', WRONG_PASSWORD);

  const person = await register(app, { password: FIRST_PASSWORD });
  const other = await register(app);
  people = [person, other];

  // by mail, with wrong guesses and a second code on the way
  await firstFactor(app, person.email, WRONG_PASSWORD);
  const asked = await firstFactor(app, person.email, FIRST_PASSWORD);
  know('code token', asked.body.codeToken);
  const first = await app.mailbox.code(person.email);
  know('first code', first);
  await secondFactor(app, asked.body.codeToken, 'WRONGCODEX');
  know('wrong code', 'WRONGCODEX');
  await app.clock.advance(61);
  await app.http.post('/auth/otp', { codeToken: asked.body.codeToken });
  const second = await app.mailbox.code(person.email);
  know('second code', second);
  const { body: session } = await secondFactor(app, asked.body.codeToken, second);
  knowSession('first session', session);
  const token = session.accessToken;

  // an authenticator app, a mailbox, a step-up with each
  const totp = await app.http.post<{ id: string; secret: string; otpauthUrl: string }>(
    '/otp-devices',
    { type: 'totp' },
    { token },
  );
  const { secret } = totp.body;
  know('TOTP secret', secret);
  knowBytes('TOTP secret in bytes', base32(secret));
  await app.http.post(`/otp-devices/${totp.body.id}/confirm`, { code: totpCode(secret, app.clock) }, { token });
  const mailbox = `second-${person.email}`;
  const created = await app.http.post<{ id: string }>('/otp-devices', { type: 'email', email: mailbox }, { token });
  const deviceCode = await app.mailbox.code(mailbox);
  know('code of a new device', deviceCode);
  await app.http.post(`/otp-devices/${created.body.id}/confirm`, { code: deviceCode }, { token });
  await app.clock.advance(60);
  const stepped = await app.http.post<{ accessToken: string }>(
    '/auth/step-up',
    { code: totpCode(secret, app.clock) },
    { token },
  );
  know('access token after step-up', stepped.body.accessToken);

  // a refresh token that comes back, a password that changes, a device that goes
  const rotated = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken: session.refreshToken });
  knowSession('refreshed session', rotated.body);
  const passwords = { currentPassword: FIRST_PASSWORD, newPassword: SECOND_PASSWORD };
  await app.http.post(
    '/users/me/password',
    { ...passwords, currentPassword: WRONG_PASSWORD },
    { token: stepped.body.accessToken },
  );
  const changed = await app.http.post('/users/me/password', passwords, { token: stepped.body.accessToken });
  expect(changed.status).toBe(204);
  await app.http.delete(`/otp-devices/${created.body.id}`, { token: stepped.body.accessToken });
  await app.clock.advance(60);
  await app.http.post('/auth/token/refresh', { refreshToken: rotated.body.refreshToken });
  await app.clock.advance(60);
  await app.http.post('/auth/token/refresh', { refreshToken: session.refreshToken });

  // a session that stays, for the failures below
  const theirs = await signInByMail(app, other);
  knowSession('second session', theirs);

  // an invitation, and who accepts it
  const invited = 'somebody-invited@example.com';
  await app.http.post('/invitations', { email: invited }, { token: theirs.accessToken });
  const invitation = tokenOf(await nextLink(app, invited, /You are invited/));
  know('token of an invitation', invitation);
  await app.http.post('/invitations/preview', { token: invitation });
  const accepted = { token: invitation, password: FIRST_PASSWORD };
  expect((await app.http.post('/invitations/accept', accepted)).status).toBe(200);
  people.push({ id: '', email: invited });

  // requests that fail in every way, each with secrets in them
  const secretful = { identifier: person.email, password: SECOND_PASSWORD };
  await withoutTable('users', () => app.app.inject({ method: 'POST', url: '/api/v1/auth/token', payload: secretful }));
  await withoutTable('challenges', () => app.http.post('/auth/token', secretful).catch(() => undefined));
  await withoutTable('sessions', () =>
    app.app.inject({
      method: 'POST',
      url: '/api/v1/auth/token/refresh',
      payload: { refreshToken: theirs.refreshToken },
    }),
  );
  await withoutTable('sessions', () =>
    app.app.inject({ url: '/api/v1/users/me', headers: { authorization: `Bearer ${theirs.accessToken}` } }),
  );
  await withoutTable('otp_devices', () =>
    app.app.inject({
      method: 'POST',
      url: '/api/v1/auth/token/second-factor',
      payload: { codeToken: asked.body.codeToken, code: second },
    }),
  );
  await withoutTable('users', () =>
    app.app.inject({
      method: 'POST',
      url: '/api/v1/users',
      payload: { email: 'z@example.com', password: SECOND_PASSWORD },
    }),
  );
  for (const payload of [
    `{"password":"${SECOND_PASSWORD}"`,
    JSON.stringify({ [SECOND_PASSWORD]: secretful }),
    `"${SECOND_PASSWORD}"`,
  ]) {
    await app.app.inject({
      method: 'POST',
      url: '/api/v1/auth/token',
      headers: { 'content-type': 'application/json' },
      payload,
    });
  }
  for (const url of [
    `/api/v1/users/me?access_token=${token}`,
    `/api/v1/${SECOND_PASSWORD}`,
    `/api/v1/otp-devices/${first}%zz`,
  ]) {
    await app.app.inject({ url, headers: { authorization: `Bearer ${token}x` } });
  }

  // a provider of identities that vouches, one that refuses our secret, and one that is away
  know('client secret', CLIENT_SECRET);
  const claims = { sub: 'somebody', aud: 'countersign', email: 'social@example.com', email_verified: true };
  const proof = await idTokenFor(app, 'corp', idp, claims);
  const fromProvider = await app.http.post<{ codeToken: string }>('/auth/social/corp', proof);
  know('code token after a provider', fromProvider.body.codeToken);
  people.push({ id: '', email: claims.email });
  const begun = await begin(app, 'corp');
  const brought = await comeBack(idp, begun, claims);
  expect((await app.http.post('/auth/social/corp', brought)).status).toBe(503);
  for (const name of ['code', 'nonce', 'codeVerifier'] as const) know(`${name} for a provider`, brought[name] ?? '');
  know('nonce of an ID token', proof.nonce);
  for (const part of proof.idToken.split('.').slice(1)) know(`ID token from ${part.slice(0, 3)}`, part);
  const accessToken = 'canary-of-an-access-token';
  know('access token of a provider', accessToken);
  for (const trouble of [null, 'fails', 'refuses', 'nonsense'] as const) {
    if (trouble) idp.trouble.set('/', trouble);
    const { status } = await app.http.post('/auth/social/facebook', { accessToken });
    expect(status).toBe(trouble ? 503 : 401);
  }

  // a mail that cannot be sent the first time
  vi.spyOn(app.app.get(Outbox), 'send').mockRejectedValueOnce(new Error('The mailbox is full'));
  await app.clock.advance(600);
  const late = await register(app);
  people.push(late);
  const { body } = await firstFactor(app, late.email);
  know('code token of a late mail', body.codeToken);
  await vi.waitFor(() => expect(output).toContain('mailbox is full'), { timeout: 8_000, interval: 10 });
}

/** A table is away while something is asked of it. */
async function withoutTable(table: string, request: () => Promise<unknown>): Promise<void> {
  await app.sql(`ALTER TABLE ${table} RENAME TO ${table}_away`);
  await request();
  await app.sql(`ALTER TABLE ${table}_away RENAME TO ${table}`);
}

function know(name: string, secret: string): void {
  if (secret.length < 8) throw new Error(`"${name}" is too short to be told from chance`);
  knowBytes(name, Buffer.from(secret));
  secrets.set(name, secret);
  // an unkeyed hash of something short is as good as the thing itself
  secrets.set(`SHA-256 of ${name}`, createHash('sha256').update(secret).digest('hex'));
}

function knowBytes(name: string, bytes: Buffer): void {
  secrets.set(`${name} in hex`, bytes.toString('hex'));
  secrets.set(`${name} in base64url`, bytes.toString('base64url'));
  secrets.set(`${name} in base64`, bytes.toString('base64').replace(/=+$/, ''));
}

function knowSession(name: string, { accessToken, refreshToken }: SignedIn): void {
  know(`access token of the ${name}`, accessToken);
  know(`refresh token of the ${name}`, refreshToken);
  // the part that is secret, without the session's id in front
  knowBytes(`secret of the refresh token of the ${name}`, Buffer.from(refreshToken, 'base64url').subarray(20));
}

function leaksIn(text: string): string[] {
  return [...secrets].filter(([, secret]) => text.includes(secret)).map(([name]) => name);
}

function base32(text: string): Buffer {
  const bits = [...text]
    .map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0'))
    .join('');
  return Buffer.from(bits.match(/.{8}/g)?.map((byte) => parseInt(byte, 2)) ?? randomBytes(0));
}

function capture(stream: NodeJS.WriteStream): void {
  vi.spyOn(stream, 'write').mockImplementation((chunk) => {
    output += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
    return true;
  });
}

/** Writes every entry in both forms. */
function both(...loggers: AppLogger[]): LoggerService {
  const each =
    (method: 'log' | 'error' | 'warn' | 'debug' | 'verbose' | 'fatal') =>
    (message: unknown, ...rest: unknown[]) => {
      for (const logger of loggers) logger[method](message, ...rest);
    };
  return {
    log: each('log'),
    error: each('error'),
    warn: each('warn'),
    debug: each('debug'),
    verbose: each('verbose'),
    fatal: each('fatal'),
  };
}

/** Every row of every table of every schema, as text. */
async function dumpOf({ sql }: TestApp): Promise<{ name: string; text: string }[]> {
  const tables = await sql<{ schema: string; table: string }>(
    `SELECT table_schema AS schema, table_name AS table FROM information_schema.tables
     WHERE table_schema NOT IN ('pg_catalog', 'information_schema', 'test_clock')
       AND table_type = 'BASE TABLE' AND table_name <> 'seen_jobs'`,
  );
  return Promise.all(
    tables.map(async ({ schema, table }) => {
      const rows = await sql<{ row: string }>(`SELECT t::text AS row FROM "${schema}"."${table}" t`);
      return { name: `${schema}.${table}`, text: rows.map(({ row }) => row).join('\n') };
    }),
  );
}

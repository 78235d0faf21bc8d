import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, inject, it, vi } from 'vitest';
import { SystemClock } from '../../src/clock/clock.js';
import { migrate } from '../../src/database/migrate.js';
import { explainStartFailure } from '../../src/start-failure.js';
import { totpCode } from '../support/authenticator.js';
import { administer, urlOf } from '../support/global-setup.js';
import { PASSWORD, type Asked, type SignedIn } from '../support/people.js';
import {
  endProcesses,
  newFolder,
  refusedStart,
  REPOSITORY,
  startProcess,
  type ServerProcess,
} from '../support/server-process.js';

const NOBODY = { uid: 65534, gid: 65534 };
const isRoot = process.getuid?.() === 0;
/** Only root can become someone else, who must be able to read this repository. */
const canBecome =
  isRoot && spawnSync('test', ['-r', join(REPOSITORY, 'package.json')], { ...NOBODY, cwd: '/' }).status === 0;
const STACK = /^ +at /m;

/** Every test starts processes that load the whole application and make a database. */
vi.setConfig({ testTimeout: 60_000 });

describe('starts on one folder, one after the other', () => {
  const DATA_DIR = newFolder();
  afterAll(() => endProcesses());

  let server: ServerProcess;
  let email: string;
  let accessToken: string;
  let code: string;
  let keys: unknown;

  it('the first needs nothing else, and says where the documents and the mails are', async () => {
    server = await startProcess({ DATA_DIR });

    const ready = await fetch(`${server.url}/health/ready`);
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready' }]);
    expect(server.output()).toMatch(/Try the API: http:\/\/localhost:\d+\/docs$/m);
    expect(server.output()).toMatch(/mails are shown at http:\/\/localhost:\d+\/dev\/outbox$/m);
    expect(server.output()).not.toMatch(/warn|error/i);
  });

  it('SIGTERM ends it within five seconds with exit code 0, and leaves no PostgreSQL behind', async () => {
    email = await register(server);
    ({ accessToken } = await signInByMail(server, email));
    code = await enrollAuthenticator(server, accessToken);
    keys = await get(server, '/.well-known/jwks.json');
    expect(processesNaming(DATA_DIR).length).toBeGreaterThan(0);

    const asked = Date.now();
    expect(await server.end('SIGTERM')).toBe(0);
    expect(Date.now() - asked).toBeLessThan(5_000);
    await vi.waitFor(() => expect(processesNaming(DATA_DIR)).toEqual([]), { timeout: 5_000 });
  });

  it('the next knows the users, their secrets and the signing keys', async () => {
    server = await startProcess({ DATA_DIR });
    expect(await get(server, '/.well-known/jwks.json')).toEqual(keys);
    const { body: claims } = await post(server, '/auth/token/verify', { token: accessToken });
    expect(claims).toMatchObject({ active: true });
    const { body: asked } = await post<Asked>(server, '/auth/token', { identifier: email, password: PASSWORD });
    const signedIn = await post(server, '/auth/token/second-factor', { codeToken: asked.codeToken, code });
    expect(signedIn).toMatchObject({ status: 200, body: { status: 'authenticated' } });
  });

  it('another works beside it on another port, and one more after kill -9 of both', async () => {
    const beside = await startProcess({ DATA_DIR });
    expect(await get(beside, '/.well-known/jwks.json')).toEqual(keys);
    const other = await register(beside);
    await knows(server, other);

    await Promise.all([server.end('SIGKILL'), beside.end('SIGKILL')]);
    const after = await startProcess({ DATA_DIR });
    await knows(after, other);
  });
});

describe('DATABASE_URL', () => {
  afterEach(() => endProcesses());

  it('replaces the embedded database: an empty one gets its tables, the folder keeps no other', async () => {
    const DATA_DIR = newFolder();
    await withEmptyDatabase(async (DATABASE_URL) => {
      const server = await startProcess({ DATA_DIR, DATABASE_URL });
      expect(await register(server)).toContain('@');
      expect(readdirSync(DATA_DIR)).toEqual(['secret-key']);
      expect(await server.end('SIGTERM')).toBe(0);
    });
  });

  it('that leads nowhere stops the start, and its password is not shown', async () => {
    const password = randomBytes(9).toString('hex');
    const refused = await refusedStart({
      DATA_DIR: newFolder(),
      DATABASE_URL: `postgres://countersign:${password}@127.0.0.1:1/countersign`,
    });
    expect(refused.code).toBe(1);
    expect(refused.output).toMatch(/DATABASE_URL: the database cannot be reached \(ECONNREFUSED\)/);
    expect(refused.output).not.toContain(password);
    expect(refused.output).not.toMatch(STACK);
  });

  it('that names no existing database is explained', async () => {
    const cause: unknown = await migrate(urlOf(inject('postgresUrl'), 'never_created')).catch(
      (error: unknown) => error,
    );
    expect(explainStartFailure(cause)).toMatch(/^DATABASE_URL: its database does not exist/);
  });
});

describe('a start that cannot succeed', () => {
  afterEach(() => endProcesses());

  it('says PORT where the port is taken', async () => {
    const occupant = createServer().listen(0, '127.0.0.1');
    await once(occupant, 'listening');
    const { port } = occupant.address() as AddressInfo;

    await withEmptyDatabase(async (DATABASE_URL) => {
      const refused = await refusedStart({ DATA_DIR: newFolder(), DATABASE_URL, PORT: String(port) });
      expect(refused.code).toBe(1);
      expect(refused.output).toMatch(/PORT is in use by another process/);
      expect(refused.output).not.toMatch(STACK);
    });
    occupant.close();
  });

  it('says METRICS_PORT where that one is in use, and not PORT', async () => {
    const occupant = createServer().listen(0, '127.0.0.1');
    await once(occupant, 'listening');
    const METRICS_PORT = String((occupant.address() as AddressInfo).port);
    await withEmptyDatabase(async (DATABASE_URL) => {
      const refused = await refusedStart({ DATA_DIR: newFolder(), DATABASE_URL, METRICS_PORT });
      expect(refused.code).toBe(1);
      expect(refused.output).toMatch(/METRICS_PORT.* another process listens there/);
      expect(refused.output).not.toMatch(/- PORT|^PORT/m);
      expect(refused.output).not.toMatch(STACK);
    });
    occupant.close();
  });

  it('says what to run where MIGRATE_ON_START is off and there are no tables', async () => {
    await withEmptyDatabase(async (DATABASE_URL) => {
      const refused = await refusedStart({ DATA_DIR: newFolder(), DATABASE_URL, MIGRATE_ON_START: 'off' });
      expect(refused.code).toBe(1);
      expect(refused.output).toMatch(/countersign migrate up/);
      expect(refused.output).not.toMatch(STACK);
    });
  });

  it.each([
    ["ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", null, /encoding of the database is LATIN1/],
    ['TEMPLATE template0', "DateStyle = 'German, DMY'", /DateStyle of the database or its user is German/],
  ])('says what is wrong with a database that was made with %s and set to %s', async (made, set, said) => {
    const name = `countersign_start_${randomBytes(6).toString('hex')}`;
    const server = inject('postgresUrl');
    await administer(server, `CREATE DATABASE ${name} ${made}`);
    try {
      if (set) await administer(server, `ALTER DATABASE ${name} SET ${set}`);
      const refused = await refusedStart({ DATA_DIR: newFolder(), DATABASE_URL: urlOf(server, name) });
      expect(refused.code).toBe(1);
      expect(refused.output).toMatch(said);
      expect(refused.output).not.toMatch(STACK);
    } finally {
      await administer(server, `DROP DATABASE ${name} WITH (FORCE)`);
    }
  });

  it('names everything that production lacks, in one go, and makes nothing up', async () => {
    const DATA_DIR = join(newFolder(), 'never-made');
    const refused = await refusedStart({ NODE_ENV: 'production', DATA_DIR });
    expect(refused.code).toBe(1);
    for (const name of ['PUBLIC_URL', 'SECRET_KEY', 'SMTP_URL']) {
      expect(refused.output).toMatch(new RegExp(`- ${name} is required in production`));
    }
    expect(refused.output).not.toMatch(STACK);
    expect(existsSync(DATA_DIR)).toBe(false);
  });

  it('names settings that are wrong, and none of their values', async () => {
    const wrong = {
      SECRET_KEY: 'changeme-changeme-changeme-changeme-0123',
      SMTP_URL: 'http://mailer:mail-password@mail.example.com',
      ACCESS_TOKEN_TTL: '5-fortnights',
    };
    const refused = await refusedStart({ NODE_ENV: 'production', PUBLIC_URL: 'https://id.example.com', ...wrong });
    expect(refused.code).toBe(1);
    expect(refused.output).toMatch(/- SMTP_URL: must be/);
    expect(refused.output).toMatch(/- ACCESS_TOKEN_TTL: must be/);
    for (const value of Object.values(wrong)) expect(refused.output).not.toContain(value);
  });

  it('refuses a SECRET_KEY that is guessable', async () => {
    const guessable = 'changeme-changeme-changeme-changeme-0123';
    const refused = await refusedStart({ DATA_DIR: newFolder(), SECRET_KEY: guessable });
    expect(refused.code).toBe(1);
    expect(refused.output).toMatch(/- SECRET_KEY is guessable/);
    expect(refused.output).not.toContain(guessable);
  });

  it('says SECRET_KEY where the database was sealed with another one', async () => {
    const DATA_DIR = newFolder();
    await withEmptyDatabase(async (DATABASE_URL) => {
      const [first, other] = [newSecret(), newSecret()];
      const sealing = await startProcess({ DATA_DIR, DATABASE_URL, SECRET_KEY: first });
      await sealing.end('SIGTERM');

      const refused = await refusedStart({ DATA_DIR, DATABASE_URL, SECRET_KEY: other });
      expect(refused.code).toBe(1);
      expect(refused.output).toMatch(/SECRET_KEY .* is not the one that this database was sealed with/);
      for (const secret of [first, other]) expect(refused.output).not.toContain(secret);
      expect(refused.output).not.toMatch(STACK);
    });
  });

  it.runIf(canBecome)('tells an ordinary user whose folder is read-only what to do', async () => {
    const DATA_DIR = newFolder();
    chmodSync(DATA_DIR, 0o755);
    const refused = await refusedStart({ DATA_DIR }, NOBODY);
    expect(refused.code).toBe(1);
    expect(refused.output).toMatch(/DATA_DIR: .*\(EACCES\); point DATA_DIR to a writable folder/);
    expect(refused.output).not.toMatch(STACK);
  });
});

const newSecret = (): string => randomBytes(48).toString('base64url');

async function register(server: ServerProcess): Promise<string> {
  const email = `person-${randomBytes(5).toString('hex')}@example.com`;
  const { status, body } = await post(server, '/users', { email, password: PASSWORD });
  if (status !== 201) throw new Error(`Registering answered ${status}: ${JSON.stringify(body)}`);
  return email;
}

async function knows(server: ServerProcess, email: string): Promise<void> {
  const asked = await post(server, '/auth/token', { identifier: email, password: PASSWORD });
  expect(asked).toMatchObject({ status: 200, body: { status: 'second_factor_required' } });
}

async function signInByMail(server: ServerProcess, email: string): Promise<SignedIn> {
  const { body: asked } = await post<Asked>(server, '/auth/token', { identifier: email, password: PASSWORD });
  const code = await vi.waitFor(() => mailedCode(server, email), { timeout: 8_000, interval: 50 });
  const { status, body } = await post<SignedIn>(server, '/auth/token/second-factor', {
    codeToken: asked.codeToken,
    code,
  });
  if (status !== 200) throw new Error(`Signing in answered ${status}: ${JSON.stringify(body)}`);
  return body;
}

async function mailedCode(server: ServerProcess, email: string): Promise<string> {
  const { items } = await get<{ items: { to: string; subject: string }[] }>(server, '/dev/outbox.json');
  const code = /^(\d+): /.exec(items.find(({ to }) => to === email)?.subject ?? '')?.[1];
  if (!code) throw new Error(`No code for ${email} has arrived`);
  return code;
}

/** Answers the app's next code, which is good for the half minute to come. */
async function enrollAuthenticator(server: ServerProcess, token: string): Promise<string> {
  const { body } = await post<{ id: string; secret: string }>(server, '/otp-devices', { type: 'totp' }, token);
  const [code, next] = [0, 1].map((steps) => totpCode(body.secret, new SystemClock(), steps));
  const { status } = await post(server, `/otp-devices/${body.id}/confirm`, { code }, token);
  if (status !== 200 || !next) throw new Error(`Confirming answered ${status}`);
  return next;
}

async function post<Body = Record<string, unknown>>(server: ServerProcess, path: string, body: object, token?: string) {
  const response = await fetch(`${server.url}/api/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Body };
}

async function get<Body>(server: ServerProcess, path: string): Promise<Body> {
  return (await (await fetch(server.url + path)).json()) as Body;
}

async function withEmptyDatabase(use: (url: string) => Promise<void>): Promise<void> {
  const name = `countersign_start_${randomBytes(6).toString('hex')}`;
  await administer(inject('postgresUrl'), `CREATE DATABASE ${name}`);
  try {
    await use(urlOf(inject('postgresUrl'), name));
  } finally {
    await administer(inject('postgresUrl'), `DROP DATABASE ${name} WITH (FORCE)`);
  }
}

/** Processes whose command line names the folder: PostgreSQL and its supervisor do. */
function processesNaming(folder: string): string[] {
  const { stdout } = spawnSync('ps', ['-eww', '-o', 'pid=,args='], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line.includes(folder));
}

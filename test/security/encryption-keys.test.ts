import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { completeConfig } from '../../src/config/config.js';
import { readSettings } from '../../src/config/env.js';
import { Keys } from '../../src/crypto/keys.js';
import { sealedColumns } from '../../src/crypto/sealed-columns.js';
import { SecretBox } from '../../src/crypto/secret-box.js';
import { Reencryption } from '../../src/database/reencryption.js';
import { startApp, TEST_SECRET, type TestApp } from '../support/app.js';
import { personWithTotp, register, signInByTotp } from '../support/people.js';
import { REPOSITORY } from '../support/server-process.js';

type Person = Awaited<ReturnType<typeof personWithTotp>>;

const OLD = `old:${randomBytes(32).toString('base64')}`;
const NEW = `new:${randomBytes(32).toString('base64')}`;
const CROWD = 450;

vi.setConfig({ testTimeout: 60_000 });

const reencryptionOf = ({ app }: TestApp) => app.get(Reencryption, { strict: false });

/** How many devices each key seals. */
async function devicesOf(app: TestApp): Promise<Record<string, number>> {
  const status = await reencryptionOf(app).status();
  return Object.fromEntries(
    status.filter(({ place }) => place === 'otp_devices.sealed_secret').map(({ keyId, count }) => [keyId, count]),
  );
}

async function signsIn(app: TestApp, person: Person): Promise<void> {
  expect((await signInByTotp(app, person)).status).toBe('authenticated');
}

function crowdId(index: number): string {
  return `00000000-0000-7000-8000-${String(index).padStart(12, '0')}`;
}

/** Devices that nobody uses, so that there is something to do. */
async function addCrowd(app: TestApp, encryptionKeys: string): Promise<void> {
  const settings = readSettings({ SECRET_KEY: TEST_SECRET, ENCRYPTION_KEYS: encryptionKeys });
  const config = completeConfig(settings, { databaseUrl: 'postgres://x', secretKey: TEST_SECRET });
  const box = new SecretBox(config, new Keys(config));
  const { id: userId } = await register(app);
  const ids = Array.from({ length: CROWD }, (_, index) => crowdId(index));
  await app.sql(
    `INSERT INTO otp_devices (id, user_id, type, name, sealed_secret, created_at, confirmed_at)
     SELECT id, $1, 'totp', 'one of many', sealed, now(), now() FROM unnest($2::uuid[], $3::text[]) AS d (id, sealed)`,
    [userId, ids, ids.map((id) => box.seal('JBSWY3DPEHPK3PXP', sealedColumns.deviceSecrets.purpose, id))],
  );
}

describe('the list of sealed columns', () => {
  it('has every column that is called so', async () => {
    const app = await startApp();
    const columns = await app.sql<{ place: string }>(
      `SELECT table_name || '.' || column_name AS place FROM information_schema.columns
       WHERE table_schema = 'public' AND column_name LIKE 'sealed%' ORDER BY 1`,
    );
    const listed = Object.values(sealedColumns).map(({ table, column }) => `${table}.${column}`);
    expect(listed.sort()).toEqual(columns.map(({ place }) => place));
    await app.close();
  });
});

describe('another key of ENCRYPTION_KEYS', () => {
  let before: TestApp;
  let app: TestApp;
  let people: Person[];
  beforeAll(async () => {
    before = await startApp({ ENCRYPTION_KEYS: OLD });
    people = [await personWithTotp(before), await personWithTotp(before)];
    await addCrowd(before, OLD);
    app = await startApp({ ENCRYPTION_KEYS: `${NEW},${OLD}` }, { replicaOf: before });
  });
  afterEach(() => endProcesses());
  afterAll(async () => {
    await app.close();
    await before.close();
  });

  it('opens what the one before sealed, and seals what is new', async () => {
    for (const person of people) await signsIn(app, person);
    expect(await devicesOf(app)).toEqual({ old: CROWD + people.length });
    const status = await reencryptionOf(app).status();
    expect(status).toContainEqual({ place: 'signing_keys.sealed_private_key', keyId: 'old', count: 1, seals: false });
  });

  it('dropping the old one too early stops the start, and says which setting and which key', async () => {
    const refused = startApp({ ENCRYPTION_KEYS: NEW }, { replicaOf: before });
    await expect(refused).rejects.toThrow(/ENCRYPTION_KEYS.*"old"/);
  });

  it('re-encrypts while people sign in, is killed in the middle, and goes on where it was', async () => {
    const hold = new pg.Client({ connectionString: before.database.url });
    await hold.connect();
    await hold.query('BEGIN');
    const middle = crowdId(CROWD / 2);
    await hold.query('SELECT FROM otp_devices WHERE id = $1 FOR UPDATE', [middle]);
    const child = reencryptInProcess(before.database.url, `${NEW},${OLD}`);
    // it stands at the row that is held; a second later it would give up by itself
    const waiting = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    await expect.poll(() => before.sql(`SELECT pid ${waiting}`), { interval: 10, timeout: 30_000 }).not.toHaveLength(0);
    child.kill('SIGKILL');
    await once(child, 'exit');
    // PostgreSQL does not hear of the kill while it waits, and would do that batch as soon as it may
    await before.sql(`SELECT pg_terminate_backend(pid, 5000) ${waiting}`);
    await hold.query('ROLLBACK');
    await hold.end();

    const halfway = await devicesOf(app);
    expect(halfway['new']).toBeGreaterThan(0);
    expect(halfway['old']).toBeGreaterThan(0);
    for (const person of people) await signsIn(app, person);
    // the signing key is done, so only people would notice
    await expect(startApp({ ENCRYPTION_KEYS: NEW }, { replicaOf: before })).rejects.toThrow(
      /ENCRYPTION_KEYS lacks keys that still seal what is stored: "old"/,
    );

    const [result] = await Promise.all([reencryptionOf(app).run(), signInInTurns(app, people, 3)]);
    expect(result).toEqual({ resealed: halfway['old'], changedMeanwhile: 0, unopenable: 0 });
    expect(await devicesOf(app)).toEqual({ new: CROWD + people.length });
    expect(await reencryptionOf(app).run()).toEqual({ resealed: 0, changedMeanwhile: 0, unopenable: 0 });
  });

  it('then the old one may go: every authenticator still works, and so do tokens that are out', async () => {
    const status = await reencryptionOf(app).status();
    expect(status.filter(({ place }) => place !== 'queued messages').every(({ keyId }) => keyId === 'new')).toBe(true);
    const { accessToken } = await signInByTotp(app, people[0] as Person);
    const after = await startApp({ ENCRYPTION_KEYS: NEW }, { replicaOf: before });
    expect((await after.http.get('/users/me', { token: accessToken })).status).toBe(200);
    for (const person of people) await signsIn(after, person);
    await after.close();
  });

  it('two at once do no more than one, and a row that was tampered with is left alone and counted', async () => {
    await before.sql(
      `UPDATE otp_devices SET sealed_secret = replace(sealed_secret, 'v1.new.', 'v1.old.') WHERE name = 'one of many' AND id::text LIKE '%42'`,
    );
    const tampered = (await devicesOf(app))['old'] ?? 0;
    const back = await startApp({ ENCRYPTION_KEYS: `${OLD},${NEW}` }, { replicaOf: before });
    const results = await Promise.all([reencryptionOf(back).run(), reencryptionOf(back).run()]);
    const resealed = results.reduce((sum, each) => sum + each.resealed, 0);
    expect(resealed).toBe(CROWD + people.length - tampered + 1);
    for (const person of people) await signsIn(back, person);
    expect(await reencryptionOf(app).run()).toMatchObject({ unopenable: tampered });
    await back.close();
  });
});

describe('without ENCRYPTION_KEYS', () => {
  it('the key follows from SECRET_KEY, and a key of one’s own may take its place later', async () => {
    const before = await startApp();
    const person = await personWithTotp(before);
    const after = await startApp({ ENCRYPTION_KEYS: NEW }, { replicaOf: before });
    await signsIn(after, person);
    expect(await reencryptionOf(after).run()).toMatchObject({ resealed: 2, unopenable: 0 });
    expect(await devicesOf(after)).toEqual({ new: 1 });
    await signsIn(after, person);
    await after.close();
    await before.close();
  });

  it('another SECRET_KEY stops the start', async () => {
    const app = await startApp();
    await personWithTotp(app);
    const refused = startApp({ SECRET_KEY: [...TEST_SECRET].reverse().join('') }, { replicaOf: app });
    await expect(refused).rejects.toThrow(/SECRET_KEY/);
    await app.close();
  });
});

async function signInInTurns(app: TestApp, people: Person[], turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) for (const person of people) await signsIn(app, person);
}

const children = new Set<ChildProcess>();

/** The same service in a process of its own, which can be killed. */
function reencryptInProcess(databaseUrl: string, encryptionKeys: string): ChildProcess {
  const dist = join(REPOSITORY, 'dist/src');
  if (!existsSync(dist)) throw new Error(`${dist} is missing: run "npm run build" first`);
  const script = `
    import { DataSource } from 'typeorm';
    import { completeConfig } from '${dist}/config/config.js';
    import { readSettings } from '${dist}/config/env.js';
    import { Keys } from '${dist}/crypto/keys.js';
    import { SecretBox } from '${dist}/crypto/secret-box.js';
    import { dataSourceOptions } from '${dist}/database/data-source.js';
    import { Reencryption } from '${dist}/database/reencryption.js';
    const config = completeConfig(readSettings(process.env), { databaseUrl: process.env.DATABASE_URL, secretKey: process.env.SECRET_KEY });
    const source = await new DataSource(dataSourceOptions(config.storage.databaseUrl, 2)).initialize();
    await new Reencryption(source.manager, new SecretBox(config, new Keys(config))).run();`;
  const child = spawn(process.execPath, ['--import', 'reflect-metadata', '--input-type=module', '-e', script], {
    cwd: REPOSITORY,
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: databaseUrl,
      SECRET_KEY: TEST_SECRET,
      ENCRYPTION_KEYS: encryptionKeys,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function endProcesses(): Promise<void> {
  for (const child of children) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import ts from 'typescript';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { locateBinaries, prepareBinaries } from '../../src/database/embedded-binaries.js';
import { preparePlace } from '../../src/database/embedded-place.js';
import { ensureDatabase, startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/database/embedded.js';

const repository = path.resolve(import.meta.dirname, '../..');
const compiled = path.join(repository, 'node_modules/.cache', `embedded-postgres-${process.pid}`);
const NOBODY = 65534;
const UNKNOWN = 54321;
const isRoot = process.getuid?.() === 0;
const asNobody = { uid: NOBODY, gid: NOBODY, cwd: repository };
/** Only root can become someone else, who must be able to read this repository. */
const canBecome = isRoot && spawnSync(process.execPath, ['--version'], asNobody).status === 0;

const WORKER = `
import { startEmbeddedPostgres } from './embedded.js';
process.on('SIGINT', () => undefined);
try {
  const server = await startEmbeddedPostgres(process.argv[2], { throwaway: true });
  console.log(JSON.stringify({ owned: server.owned, url: server.url('postgres'), error: '' }));
  process.stdin.resume().on('end', () => server.stop());
} catch (error) {
  console.log(JSON.stringify({ owned: false, url: '', error: error.name + ': ' + error.message }));
}`;

interface Worker {
  readonly child: ChildProcess;
  readonly owned: boolean;
  readonly url: string;
  readonly error: string;
}

const folders: string[] = [];
const servers: EmbeddedPostgres[] = [];
const workers: ChildProcess[] = [];

function newFolder(owner = process.getuid?.() ?? 0): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-pg-'));
  fs.chmodSync(folder, 0o755);
  fs.chownSync(folder, owner, owner === process.getuid?.() ? (process.getgid?.() ?? 0) : owner);
  folders.push(folder);
  return folder;
}

async function start(folder: string): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres(folder, { throwaway: true });
  servers.push(server);
  return server;
}

/** Another process that starts the database and keeps it until its stdin closes. */
async function startElsewhere(folder: string, user: { uid?: number; gid?: number } = {}): Promise<Worker> {
  const args = [path.join(compiled, 'worker.js'), folder];
  const child = spawn(process.execPath, args, { ...user, stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  workers.push(child);
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, ...(JSON.parse(line) as Omit<Worker, 'child'>) };
}

async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}

const pidFileOf = (server: EmbeddedPostgres): string => path.join(server.dataFolder, 'postmaster.pid');

beforeAll(() => {
  const source = path.join(repository, 'src/database');
  fs.mkdirSync(compiled, { recursive: true });
  fs.writeFileSync(path.join(compiled, 'package.json'), '{ "type": "module" }');
  fs.writeFileSync(path.join(compiled, 'worker.js'), WORKER);
  for (const name of fs.readdirSync(source).filter((file) => file.startsWith('embedded'))) {
    const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
    const { outputText } = ts.transpileModule(fs.readFileSync(path.join(source, name), 'utf8'), { compilerOptions });
    fs.writeFileSync(path.join(compiled, name.replace(/\.ts$/, '.js')), outputText);
  }
});

afterEach(async () => {
  for (const child of workers.splice(0)) {
    child.stdin?.end();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

afterAll(() => {
  fs.rmSync(compiled, { recursive: true, force: true });
  const elsewhere = '/var/lib/countersign';
  if (isRoot && fs.existsSync(elsewhere) && fs.readdirSync(elsewhere).length === 0) fs.rmdirSync(elsewhere);
});

describe('The embedded PostgreSQL', { timeout: 30_000 }, () => {
  it('starts in an empty folder and keeps its data over a restart', async () => {
    const folder = newFolder();
    const first = await startEmbeddedPostgres(folder);
    await Promise.all([ensureDatabase(first, 'app'), ensureDatabase(first, 'app'), ensureDatabase(first, 'app')]);
    await query(first.url('app'), `CREATE TABLE kept AS SELECT 'yes' AS word`);
    await first.stop();
    const second = await start(folder);
    expect(second.owned).toBe(true);
    expect(await query(second.url('app'), 'SELECT word, upper($$ü$$) AS u FROM kept')).toEqual([
      { word: 'yes', u: 'Ü' },
    ]);
  });

  it('is shared by a second application on the same folder', async () => {
    const folder = newFolder();
    const first = await start(folder);
    await query(first.url('postgres'), 'CREATE TABLE shared AS SELECT 1 AS one');
    const second = await startElsewhere(folder);
    expect(second).toMatchObject({ owned: false, error: '' });
    expect(await query(second.url, 'SELECT * FROM shared')).toEqual([{ one: 1 }]);
    second.child.stdin?.end();
    await once(second.child, 'exit');
    expect(await query(first.url('postgres'), 'SELECT * FROM shared')).toEqual([{ one: 1 }]);
  });

  it('serves two applications whose first start falls into the same instant', async () => {
    const folder = newFolder();
    const both = await Promise.all([startElsewhere(folder), startElsewhere(folder)]);
    expect(both.map(({ error }) => error)).toEqual(['', '']);
    expect(both.filter(({ owned }) => owned)).toHaveLength(1);
    await query(both[0].url, 'CREATE TABLE met AS SELECT 1 AS one');
    expect(await query(both[1].url, 'SELECT * FROM met')).toEqual([{ one: 1 }]);
    expect(fs.readdirSync(path.join(folder, 'postgres')).filter((name) => name.includes('unfinished'))).toEqual([]);
  });

  it('stops with an owner that gets kill -9, and starts again at once', async () => {
    const folder = newFolder();
    const killed = await startElsewhere(folder);
    await query(killed.url, 'CREATE TABLE kept AS SELECT 1 AS one');
    killed.child.kill('SIGKILL');
    await once(killed.child, 'exit');
    const next = await start(folder);
    expect(next.owned).toBe(true);
    expect(await query(next.url('postgres'), 'SELECT * FROM kept')).toEqual([{ one: 1 }]);
  });

  it('outlives a Ctrl-C, until its application has finished', async () => {
    const worker = await startElsewhere(newFolder());
    process.kill(-(worker.child.pid ?? NaN), 'SIGINT'); // as a terminal does: to the whole process group
    expect(await query(worker.url, 'SELECT pg_sleep(0.1), 1 AS one')).toMatchObject([{ one: 1 }]);
  });

  it('starts after kill -9 of everything, even where another process has the old number', async () => {
    const folder = newFolder();
    const first = await start(folder);
    const pidFile = pidFileOf(first);
    const { uid, gid } = fs.statSync(pidFile);
    process.kill(Number.parseInt(fs.readFileSync(pidFile, 'utf8'), 10), 'SIGKILL');
    await first.stop();
    const bystander = spawn('sleep', ['60'], { uid, gid });
    for (const lock of [pidFile, path.join(path.dirname(first.dataFolder), '.s.PGSQL.5432.lock')]) {
      fs.writeFileSync(lock, fs.readFileSync(lock, 'utf8').replace(/^\d+/, String(bystander.pid)));
    }
    const second = await start(folder).finally(() => bystander.kill());
    expect(second.owned).toBe(true);
    expect(await query(second.url('postgres'), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('ignores what an interrupted initdb left', async () => {
    const folder = newFolder();
    const left = path.join(preparePlace(folder).home, 'data.unfinished-1');
    fs.mkdirSync(left);
    fs.writeFileSync(path.join(left, 'PG_VERSION'), '18\n');
    expect(await query((await start(folder)).url('postgres'), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(fs.existsSync(left)).toBe(false);
  });

  it('runs in a folder too deep, and too oddly named, for the path of a socket', async () => {
    const folder = path.join(newFolder(), 'a "b", ü%41'.repeat(12));
    const server = await start(folder);
    const short = new URL(server.url('app')).searchParams.get('host') ?? '';
    folders.push(short);
    expect(await query(server.url('postgres'), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(fs.statSync(short).mode & 0o777).toBe(0o700);
  });

  it('repairs a copy of binaries that npm left without their symbolic links', async () => {
    const place = preparePlace(newFolder());
    const unlinked = newFolder();
    const filter = (file: string): boolean => !fs.lstatSync(file).isSymbolicLink();
    fs.cpSync(path.dirname(locateBinaries()), unlinked, { recursive: true, filter });
    const binaries = prepareBinaries(path.join(unlinked, 'native'), place);
    expect(binaries.postgres).toContain(path.join(place.base, 'postgres-binaries-'));
  });

  it('refuses a cluster of another major version', async () => {
    const folder = newFolder();
    const { data } = preparePlace(folder);
    fs.mkdirSync(data);
    fs.writeFileSync(path.join(data, 'PG_VERSION'), '15\n');
    if (isRoot) fs.chownSync(data, NOBODY, NOBODY);
    await expect(start(folder)).rejects.toThrow(/made by PostgreSQL 15, .*pg_dump.*DATABASE_URL/);
  });

  it('says what to do where the folder cannot be one', async () => {
    const file = path.join(newFolder(), 'file');
    fs.writeFileSync(file, '');
    await expect(start(file)).rejects.toThrow(/Cannot keep the database in .*EEXIST.*DATA_DIR.*DATABASE_URL/);
  });

  it.runIf(canBecome)('says what to do where the folder is not writable', async () => {
    const { error } = await startElsewhere(newFolder(0), asNobody);
    expect(error).toMatch(
      /^EmbeddedPostgresError: Cannot keep the database in .*\(EACCES\); point DATA_DIR .*DATABASE_URL/,
    );
  });

  it.runIf(canBecome)('runs as an ordinary user, who owns the cluster and shares it with root', async () => {
    const folder = newFolder(NOBODY);
    const worker = await startElsewhere(folder, asNobody);
    expect(worker.error).toBe('');
    expect((await start(folder)).owned).toBe(false);
    expect(fs.statSync(path.join(folder, 'postgres/data')).uid).toBe(NOBODY);
  });

  it.runIf(canBecome)('runs as a user without an account, or says what to do', async () => {
    const { error, url } = await startElsewhere(newFolder(UNKNOWN), { uid: UNKNOWN, gid: UNKNOWN });
    if (error) expect(error).toMatch(/uid 54321.*run as a user that exists.*DATABASE_URL/);
    else expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it.runIf(canBecome)('lets no other local user in', async () => {
    const url = new URL((await start(newFolder())).url('postgres'));
    const socket = path.join(url.searchParams.get('host') ?? '', '.s.PGSQL.5432');
    const script = `require('node:net').connect(${JSON.stringify(socket)}).on('error', (e) => console.log(e.code)).on('connect', () => process.exit())`;
    const stranger = spawnSync(process.execPath, ['-e', script], { uid: UNKNOWN, gid: UNKNOWN, encoding: 'utf8' });
    expect(stranger.stdout.trim()).toBe('EACCES');
  });

  it.runIf(isRoot)(
    'as root, keeps a cluster the folder of which is out of reach elsewhere, and finds it again',
    async () => {
      const barred = newFolder();
      fs.chmodSync(barred, 0o700);
      fs.writeFileSync(path.join(barred, 'something-private'), '');
      const first = await start(path.join(barred, 'clone'));
      expect(first.dataFolder).toMatch(/^\/var\/lib\/countersign\//);
      const base = path.resolve(first.dataFolder, '../..');
      folders.push(base);
      await query(first.url('postgres'), 'CREATE TABLE kept AS SELECT 1 AS one');
      await first.stop();
      fs.renameSync(path.join(barred, 'clone'), path.join(barred, 'moved'));
      expect(fs.readFileSync(path.join(barred, 'moved/postgres-is-elsewhere.txt'), 'utf8')).toContain(base);
      const second = await start(path.join(barred, 'moved'));
      expect(await query(second.url('postgres'), 'SELECT * FROM kept')).toEqual([{ one: 1 }]);
    },
  );

  it.runIf(isRoot)('as root, passes through its own folder without opening it to others', async () => {
    const folder = newFolder();
    fs.chmodSync(folder, 0o700);
    fs.writeFileSync(path.join(folder, 'secret-key'), 'secret', { mode: 0o600 });
    expect((await start(folder)).dataFolder).toBe(path.join(fs.realpathSync(folder), 'postgres/data'));
    expect(fs.statSync(folder).mode & 0o777).toBe(0o711);
  });
});

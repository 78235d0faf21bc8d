import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import pg from 'pg';
import { dataSourceOptions } from '../../src/database/data-source.js';
import { findUnprivilegedUser, isRoot } from '../../src/database/embedded-user.js';
import { freePort } from '../support/free-port.js';

const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
const program = folders.map((folder) => join(folder, 'pgbouncer')).find((path) => existsSync(path));

/** Nobody must install a pooler to work on something else, but a test that did not run should be seen. */
export const hasPgBouncer = program !== undefined;
if (!hasPgBouncer) process.stderr.write('SKIPPED: pgbouncer is not installed, so transaction mode is not tested.\n');

/** The time limits that the service asks for, which a pooler cannot pass on. */
export const LIMITS = limitsOf(dataSourceOptions('postgres://unused', 2).extra);

export interface PgBouncer {
  /** The same database, through it. */
  urlOf(databaseUrl: string): string;
  stop(): Promise<void>;
}

/** The real PgBouncer in transaction mode, with so few connections that clients must share them. */
export async function startPgBouncer(
  serverUrl: string,
  { limits = LIMITS }: { limits?: string } = {},
): Promise<PgBouncer> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-pgbouncer-'));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const file = join(folder, 'pgbouncer.ini');
  writeFileSync(
    file,
    `[databases]
* = ${serverOf(serverUrl)} ${limits === '' ? '' : `connect_query='${limits}'`}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
ignore_startup_parameters = statement_timeout,lock_timeout,idle_in_transaction_session_timeout
`,
    { mode: 0o644 },
  );
  // It refuses to run as root, as PostgreSQL does, whose socket is open to that same user only.
  const user = isRoot() ? (findUnprivilegedUser() ?? {}) : {};
  const child = spawn(program ?? 'pgbouncer', [file], { ...user, stdio: ['ignore', 'ignore', 'pipe'] });
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-5_000)));
  const through = (databaseUrl: string) => {
    const { pathname } = new URL(databaseUrl);
    return `postgres://postgres@127.0.0.1:${port}${pathname}`;
  };
  while (!(await answers(through(serverUrl)))) {
    if (child.exitCode !== null) throw new Error(`PgBouncer did not start:\n${log}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
  return {
    urlOf: through,
    async stop() {
      process.off('exit', end);
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function limitsOf(names: Record<string, unknown>): string {
  return ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']
    .map((name) => `SET ${name} = ${String(names[name])}`)
    .join('; ');
}

function serverOf(serverUrl: string): string {
  const url = new URL(serverUrl);
  const place = {
    host: url.searchParams.get('host') ?? url.hostname,
    port: url.searchParams.get('port') ?? (url.port || '5432'),
    user: decodeURIComponent(url.username || 'postgres'),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
  };
  return Object.entries(place)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '../src/database/embedded.js';

/** The one PostgreSQL of a run, with a database for each contender. */
export interface Postgres {
  version: string;
  /** Null where it is not ours. */
  pid: number | null;
  createDatabase(name: string): Promise<string>;
  stop: () => Promise<void>;
}

/** An embedded one as it comes, which syncs every commit; or that of BENCH_DATABASE_URL, whose databases it replaces. */
export async function startPostgres(): Promise<Postgres> {
  const { url, pid, stop } = await startServer();
  const [row] = await query(url, 'SHOW server_version');
  return {
    version: row?.['server_version'] ?? '',
    pid,
    async createDatabase(name) {
      await query(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await query(url, `CREATE DATABASE ${name}`);
      const database = new URL(url);
      database.pathname = `/${name}`;
      return database.href;
    },
    stop,
  };
}

async function startServer(): Promise<{ url: string; pid: number | null; stop: () => Promise<void> }> {
  const given = process.env['BENCH_DATABASE_URL'];
  if (given) return { url: given, pid: null, stop: () => Promise.resolve() };
  const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  const server = await startEmbeddedPostgres(folder, { maxConnections: 100 });
  return {
    url: server.url('postgres'),
    pid: Number.parseInt(readFileSync(join(server.dataFolder, 'postmaster.pid'), 'utf8'), 10),
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

async function query(url: string, statement: string): Promise<Record<string, string>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, string>>(statement)).rows;
  } finally {
    await client.end();
  }
}

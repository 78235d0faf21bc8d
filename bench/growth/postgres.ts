import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { ensureDatabase, startEmbeddedPostgres } from '../../src/database/embedded.js';

/** A PostgreSQL of the measurement's own, in a folder that goes with it. */
export interface BenchPostgres {
  /** Its postmaster: the processes of connections are its children. */
  pid: number;
  createDatabase(name: string): Promise<string>;
  remove(): Promise<void>;
}

/** As PostgreSQL comes, but for what a production server has too: room for the log, statistics of statements. */
const SETTINGS = [
  `shared_preload_libraries = 'pg_stat_statements'`,
  `max_wal_size = '4GB'`,
  `shared_buffers = '512MB'`,
  `track_io_timing = on`,
];

/** `folder`: where its data goes; by default the system's folder for temporary files. */
export async function startPostgres(folder = tmpdir()): Promise<BenchPostgres> {
  const home = mkdtempSync(join(folder, 'countersign-bench-'));
  const first = await startEmbeddedPostgres(home);
  for (const setting of SETTINGS) await query(first.url('postgres'), `ALTER SYSTEM SET ${setting}`);
  await first.stop();
  const server = await startEmbeddedPostgres(home, { maxConnections: 200 });
  const { dataFolder } = server;
  return {
    pid: Number.parseInt(readFileSync(join(dataFolder, 'postmaster.pid'), 'utf8'), 10),
    async createDatabase(name) {
      await ensureDatabase(server, name);
      await query(server.url(name), 'CREATE EXTENSION pg_stat_statements');
      return server.url(name);
    },
    async remove() {
      await server.stop();
      rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

/** The rows of one statement, on a connection of its own. */
export async function query<Row>(url: string, statement: string, parameters: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(statement, parameters)).rows as Row[];
  } finally {
    await client.end();
  }
}

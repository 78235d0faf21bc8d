import { readFileSync, rmSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { ensureDatabase, startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/database/embedded.js';
import { endProcesses, newFolder, startProcess, type ServerProcess } from './server-process.js';

/** The password alone signs in, its hash costs little, and everybody comes from one address. */
const SETTINGS = {
  THROTTLE_SIGN_IN_PER_IP: 'off',
  THROTTLE_SEND_PER_IP: 'off',
  THROTTLE_OVERALL_PER_IP: 'off',
  TWO_FACTOR_TRUSTED_METHODS: 'none',
  TWO_FACTOR_FALLBACK_METHOD: 'none',
  ARGON2_MEMORY_KIB: '7168',
  ARGON2_ITERATIONS: '5',
};

/** A PostgreSQL of a test's own, so that killing it or stopping it hurts nobody else. */
export interface OwnPostgres {
  url: string;
  /** A process of the built service on it. */
  startService(settings?: Record<string, string>): Promise<ServerProcess>;
  /** Rows of one statement, on a connection of its own. */
  sql<Row = Record<string, unknown>>(statement: string, parameters?: unknown[]): Promise<Row[]>;
  /** As a crash or a power cut: no process of it is left. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** Every process of it stands still, and its sockets stay open. */
  stall(): void;
  goOn(): void;
  /** Whatever runs on it ends too. */
  remove(): Promise<void>;
}

export async function startOwnPostgres(): Promise<OwnPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-own-'));
  let server = await start(folder);
  const url = server.url('app');
  const signal = (name: NodeJS.Signals) => {
    for (const pid of processesOf(server)) signalIfThere(pid, name);
  };
  return {
    url,
    startService: (settings = {}) =>
      startProcess({ DATA_DIR: newFolder(), DATABASE_URL: url, ...SETTINGS, ...settings }),
    async sql<Row>(statement: string, parameters: unknown[] = []) {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      try {
        return (await client.query(statement, parameters)).rows as Row[];
      } finally {
        await client.end();
      }
    },
    async kill() {
      signal('SIGKILL');
      await server.stop();
    },
    async restart() {
      server = await start(folder);
    },
    stall: () => signal('SIGSTOP'),
    goOn: () => signal('SIGCONT'),
    async remove() {
      await endProcesses();
      await server.stop();
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

async function start(folder: string): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres(folder, { maxConnections: 60 });
  await ensureDatabase(server, 'app');
  return server;
}

/** The process of a connection that was just closed may have ended by itself. */
function signalIfThere(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The postmaster first, so that it starts no others meanwhile. */
function processesOf({ dataFolder }: EmbeddedPostgres): number[] {
  const postmaster = Number.parseInt(readFileSync(join(dataFolder, 'postmaster.pid'), 'utf8'), 10);
  const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8');
  return [postmaster, ...children.trim().split(' ').filter(Boolean).map(Number)];
}

import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { locateBinaries, prepareBinaries, type Binaries } from './embedded-binaries.js';
import { codeOf, EmbeddedPostgresError, inPlainWords } from './embedded-error.js';
import { createCluster, launch, sweepUnfinished, type Launched, type ServerOptions } from './embedded-launch.js';
import { isCluster, preparePlace, type Place } from './embedded-place.js';
import { findRunning, urlOf } from './embedded-running.js';

/** The PostgreSQL that `npm start` brings on a machine that has none, reached through a Unix socket only. */
export interface EmbeddedPostgres {
  /** Where the data is: not the wanted folder where root wants one that its PostgreSQL cannot reach. */
  readonly dataFolder: string;
  /** False when attached to a server that another process runs: it stops with that process, and `stop` does nothing. */
  readonly owned: boolean;
  url(database: string): string;
  stop(): Promise<void>;
}

const PATIENCE_MS = 60_000;
/** How long a server outlives its owner, at most: its supervisor stops it at once, but the machine may be slow. */
const SETTLING_MS = 3_000;
const RETRY_MS = 20;

/**
 * Starts the cluster kept in `folder`, which it makes at the first start, or attaches to it where it runs already.
 * As root the folder must hold nothing but what this application keeps, or be open to the user PostgreSQL runs as.
 */
export async function startEmbeddedPostgres(folder: string, options: ServerOptions = {}): Promise<EmbeddedPostgres> {
  try {
    return await startOrAttach(folder, options);
  } catch (cause) {
    throw inPlainWords(cause, folder);
  }
}

async function startOrAttach(folder: string, options: ServerOptions): Promise<EmbeddedPostgres> {
  const native = locateBinaries();
  const place = preparePlace(path.resolve(folder));
  const binaries = prepareBinaries(native, place);
  const begun = Date.now();
  while (Date.now() - begun < PATIENCE_MS) {
    const running = await findRunning(place, Date.now() - begun < SETTLING_MS);
    if (running.state === 'ready') return attached(place, running.socketDir);
    const launched = running.state === 'none' ? await start(binaries, place, options) : null;
    if (launched) return owned(place, launched);
    await sleep(RETRY_MS);
  }
  throw new EmbeddedPostgresError(
    `Another process runs the database in ${place.home} and it does not answer; stop that process, point DATA_DIR to another folder, or set DATABASE_URL`,
  );
}

async function start(binaries: Binaries, place: Place, options: ServerOptions): Promise<Launched | null> {
  if (!isCluster(place.data)) await createCluster(binaries, place, options);
  refuseOtherVersion(binaries, place);
  const launched = await launch(binaries, place, options);
  if (launched) sweepUnfinished(place);
  return launched;
}

function refuseOtherVersion(binaries: Binaries, place: Place): void {
  const major = fs.readFileSync(path.join(place.data, 'PG_VERSION'), 'utf8').trim();
  if (major === binaries.major) return;
  throw new EmbeddedPostgresError(
    `The database in ${place.data} was made by PostgreSQL ${major}, and this version brings ${binaries.major}; move it over with pg_dump, point DATA_DIR to another folder, or set DATABASE_URL`,
  );
}

function owned(place: Place, launched: Launched): EmbeddedPostgres {
  return {
    dataFolder: place.data,
    owned: true,
    url: (database) => urlOf(place.socketDir, database),
    stop: () => launched.stop(),
  };
}

function attached(place: Place, socketDir: string): EmbeddedPostgres {
  return {
    dataFolder: place.data,
    owned: false,
    url: (database) => urlOf(socketDir, database),
    stop: () => Promise.resolve(),
  };
}

/** Creates the database where it does not exist yet. */
export async function ensureDatabase(server: EmbeddedPostgres, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url('postgres') });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  } catch (cause) {
    const madeMeanwhile = ['42P04', '23505'].includes(codeOf(cause));
    if (!madeMeanwhile) throw cause;
  } finally {
    await client.end();
  }
}

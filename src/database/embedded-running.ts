import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { codeOf } from './embedded-error.js';
import type { Place } from './embedded-place.js';

/** What postmaster.pid says. */
interface Postmaster {
  readonly pid: number;
  readonly socketDir: string | undefined;
  /** The lines that never change while it runs. */
  readonly identity: string;
}

/** `busy`: it starts, stops or does not answer yet. */
export type Running = { readonly state: 'none' | 'busy' } | { readonly state: 'ready'; readonly socketDir: string };

const OWNER_PREFIX = 'countersign-';
export const ownerName = (): string => `${OWNER_PREFIX}${process.pid}`;

/**
 * The `host` parameter is what counts: `localhost` only makes it a URL for every parser. The port is part of the
 * socket's name, and it is spelled out, as is the sslmode, so that PGPORT and PGSSLMODE change nothing.
 */
export function urlOf(socketDir: string, database: string): string {
  const host = encodeURIComponent(socketDir);
  return `postgres://postgres@localhost/${encodeURIComponent(database)}?host=${host}&port=5432&sslmode=disable`;
}

/**
 * Whether a server already runs this cluster. `early`: in the first seconds things may still settle; a server whose
 * owner has gone is about to stop, and one with an empty postmaster.pid is about to start.
 */
export async function findRunning(place: Place, early: boolean): Promise<Running> {
  const postmaster = readPostmaster(place.data);
  if (!postmaster) return { state: 'none' };
  if (early && !postmaster.pid) return { state: 'busy' };
  for (const socketDir of new Set([place.socketDir, postmaster.socketDir ?? place.socketDir])) {
    const answer = await ask(socketDir, postmaster.identity);
    if (answer === 'unavailable') return { state: 'busy' };
    if (answer === 'silent') continue;
    return early && hasGone(answer.owner) ? { state: 'busy' } : { state: 'ready', socketDir };
  }
  if (runsCluster(postmaster.pid, place.data)) return { state: 'busy' };
  forgetDead(place, postmaster);
  return { state: 'none' };
}

function readPostmaster(data: string): Postmaster | null {
  try {
    const lines = fs.readFileSync(path.join(data, 'postmaster.pid'), 'utf8').split('\n');
    return { pid: Number(lines[0]), socketDir: lines[4] || undefined, identity: identityOf(lines.join('\n')) };
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return null;
    throw cause;
  }
}

/** Process id, folder and start time. */
const identityOf = (pidFile: string): string => pidFile.split('\n').slice(0, 3).join('\n');

/**
 * The server reads its own postmaster.pid to us: only the one that runs this very cluster answers what we read, also
 * from another container, where its process cannot be seen and the folder may have another name.
 */
async function ask(socketDir: string, identity: string): Promise<{ owner: string } | 'unavailable' | 'silent'> {
  const client = new pg.Client({ connectionString: urlOf(socketDir, 'postgres'), connectionTimeoutMillis: 2000 });
  client.on('error', () => undefined); // it may stop while we ask
  try {
    await client.connect();
    const { rows } = await client.query<{ pidFile: string; owner: string }>(
      `SELECT pg_read_file('postmaster.pid') AS "pidFile", current_setting('cluster_name') AS owner`,
    );
    const row = rows[0];
    return row && identityOf(row.pidFile) === identity ? { owner: row.owner } : 'silent';
  } catch (cause) {
    const unavailable = ['57P01', '57P03', '53300'].includes(codeOf(cause));
    return unavailable ? 'unavailable' : 'silent';
  } finally {
    await client.end().catch(() => undefined);
  }
}

function hasGone(owner: string): boolean {
  return owner.startsWith(OWNER_PREFIX) && !isAlive(Number(owner.slice(OWNER_PREFIX.length)));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return codeOf(cause) === 'EPERM'; // someone else's
  }
}

function runsCluster(pid: number, data: string): boolean {
  return pid > 0 && isAlive(pid) && commandLine(pid).includes(data);
}

function commandLine(pid: number): string {
  try {
    if (fs.existsSync('/proc/self/cmdline')) return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return execFileSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    return ''; // gone meanwhile
  }
}

/**
 * PostgreSQL takes away the lock files of a dead process, but not an empty one (the disk was full), nor where another
 * process has got its number since, as happens whenever a container starts again. Two starts may both come here: hence the second look, and behind it
 * PostgreSQL's own check of the cluster's shared memory.
 */
function forgetDead(place: Place, dead: Postmaster): void {
  const removedByServer = dead.pid > 0 && !isAlive(dead.pid);
  if (removedByServer || readPostmaster(place.data)?.identity !== dead.identity) return;
  fs.rmSync(path.join(place.data, 'postmaster.pid'), { force: true });
  fs.rmSync(path.join(place.socketDir, '.s.PGSQL.5432.lock'), { force: true });
}

import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { Socket } from 'node:net';
import path from 'node:path';
import type { Binaries } from './embedded-binaries.js';
import { cannotKeep, cannotRun, codeOf, printedCode, type EmbeddedPostgresError } from './embedded-error.js';
import { isCluster, type Place } from './embedded-place.js';
import { ownerName } from './embedded-running.js';
import { findUnprivilegedUser, SERVER_ENV } from './embedded-user.js';

export interface ServerOptions {
  readonly maxConnections?: number;
  /** Trades safety for speed: for tests, whose data nobody misses. */
  readonly throwaway?: boolean;
}

export interface Launched {
  stop(): Promise<void>;
}

/** Recovery after a crash replays the log, which takes a while on a slow disk. */
const START_TIMEOUT_MS = 60_000;
/** How PostgreSQL says that another server has the cluster, or is about to. */
const IN_USE = /lock file ".*" (already exists|is empty)|shared memory block .* still in use/;
const UNFINISHED = 'data.unfinished-';

/**
 * Holds PostgreSQL on a leash: it gets SIGINT, its fast shutdown, once our end of the shell's stdin closes, and the
 * kernel closes that even after kill -9 of this process. The shell and the server are a session of their own, so Ctrl-C in
 * a terminal reaches this process only, which finishes its requests first.
 */
const SUPERVISOR = `
  trap '' INT TERM HUP
  "$@" </dev/null & server=$!
  exec 3<&0
  (while read -r _ <&3; do :; done; kill -INT $server 2>/dev/null) & leash=$!
  wait $server; code=$?
  kill -KILL $leash 2>/dev/null
  exit $code`;

/** Makes the cluster; leaves alone one that another process has made meanwhile. */
export async function createCluster(binaries: Binaries, place: Place, options: ServerOptions): Promise<void> {
  const unfinished = path.join(place.home, `${UNFINISHED}${randomUUID()}`);
  const args = ['-D', unfinished, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-instructions'];
  args.push('--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'); // the same on every system
  if (options.throwaway) args.push('--no-sync');
  let result = await run(binaries.initdb, args, place);
  if (result.output.includes('could not look up effective user ID'))
    result = await runAsKnown(binaries.initdb, args, place);
  if (result.code === 0) moveIntoPlace(unfinished, place.data); // an interrupted initdb never looks like a cluster
  fs.rmSync(unfinished, { recursive: true, force: true });
  if (!isCluster(place.data)) throw explain(result.output, place);
}

/** Two first starts at once both make a cluster: the first to move its own wins, as a full folder is never replaced. */
function moveIntoPlace(unfinished: string, data: string): void {
  try {
    fs.renameSync(unfinished, data);
  } catch (cause) {
    if (!isCluster(data)) throw cause;
  }
}

/** initdb insists on a name for its user (the server does not): lend it one in a user namespace, where that is allowed. */
function runAsKnown(command: string, args: string[], place: Place): Promise<Finished> {
  const known = findUnprivilegedUser();
  if (!known) return Promise.resolve({ code: 1, output: 'could not look up effective user ID' });
  const mapping = ['--user', `--map-user=${known.uid}`, `--map-group=${known.gid}`];
  return run('unshare', [...mapping, command, ...args], place);
}

interface Finished {
  readonly code: number | null;
  readonly output: string;
}

async function run(command: string, args: string[], place: Place): Promise<Finished> {
  const child = spawn(command, args, { ...place.user, env: SERVER_ENV, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  return new Promise((resolve) => {
    child.on('error', (cause) => resolve({ code: null, output: `${command}: ${codeOf(cause)}` }));
    child.on('close', (code) => resolve({ code, output }));
  });
}

/** Removes what an interrupted initdb left; a start that loses its folder here finds the cluster made. */
export function sweepUnfinished(place: Place): void {
  const left = fs.readdirSync(place.home).filter((name) => name.startsWith(UNFINISHED));
  for (const name of left) fs.rmSync(path.join(place.home, name), { recursive: true, force: true, maxRetries: 3 });
}

/** Null where another process started the server in the same instant. */
export async function launch(binaries: Binaries, place: Place, options: ServerOptions): Promise<Launched | null> {
  const args = ['-c', SUPERVISOR, 'sh', binaries.postgres, ...serverArguments(place, options)];
  const child = spawn('/bin/sh', args, {
    ...place.user,
    env: SERVER_ENV,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'pipe'],
    detached: true,
  });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.stdin.on('error', () => undefined); // the shell has gone before us
  const failure = await untilReady(child, child.stderr, closed);
  if (failure !== null) {
    child.stdin.end();
    await closed;
    if (IN_USE.test(failure)) return null;
    throw explain(failure, place);
  }
  child.stderr.resume(); // unread, its log would fill the pipe and stall it
  holdNothing(child);
  return { stop: () => stop(child, closed) };
}

/** The server alone must not keep this process from ending. */
function holdNothing(child: ChildProcess): void {
  child.unref();
  for (const pipe of [child.stdin, child.stderr]) if (pipe instanceof Socket) pipe.unref();
}

async function stop(child: ChildProcess, closed: Promise<void>): Promise<void> {
  child.ref(); // else nothing keeps this process alive until the server has gone
  child.stdin?.end();
  await closed;
}

function serverArguments(place: Place, options: ServerOptions): string[] {
  const settings = [
    'listen_addresses=',
    'unix_socket_permissions=0700',
    `max_connections=${options.maxConnections ?? 60}`,
    `cluster_name=${ownerName()}`,
    'log_min_messages=log', // statements that fail are the application's to report: their text may hold personal data
    'log_min_error_statement=panic',
  ];
  if (options.throwaway) settings.push('fsync=off', 'synchronous_commit=off', 'full_page_writes=off');
  const socketDir = `"${place.socketDir.replaceAll('"', '""')}"`; // it is a list, where a comma would divide
  return ['-D', place.data, '-p', '5432', '-k', socketDir, ...settings.flatMap((setting) => ['-c', setting])];
}

/** Null once it accepts connections, else what it said. */
async function untilReady(
  child: ChildProcess,
  log: NodeJS.ReadableStream,
  closed: Promise<void>,
): Promise<string | null> {
  let text = '';
  let timer: NodeJS.Timeout | undefined;
  child.once('error', (cause) => (text = `the server cannot be started (${codeOf(cause)})`));
  const ready = new Promise<true>((resolve) => {
    log.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-4000);
      if (text.includes('ready to accept connections')) resolve(true);
    });
  });
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, START_TIMEOUT_MS)));
  const isReady = await Promise.race([ready, closed, late]);
  clearTimeout(timer);
  log.removeAllListeners('data');
  return isReady ? null : text;
}

function explain(output: string, place: Place): EmbeddedPostgresError {
  if (output.includes('could not look up effective user ID') || output.startsWith('unshare:')) {
    const uid = process.getuid?.();
    return cannotRun(`the process runs as uid ${uid}, which /etc/passwd does not list; run as a user that exists`);
  }
  const code = printedCode(output);
  if (code) return cannotKeep(place.home, code, output);
  return cannotRun(`PostgreSQL says: ${output.trim().split('\n').slice(-3).join(' ') || 'nothing'}`);
}

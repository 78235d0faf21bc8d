import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const REPOSITORY = resolve(import.meta.dirname, '../..');
const MAIN = join(REPOSITORY, 'dist/service/main.js');

/** A folder without an `.env`, so that nobody's own settings reach the processes. */
const cwd = tmpdir();

export interface ServerProcess {
  url: string;
  pid: number;
  /** What it has printed so far. */
  output(): string;
  /** Sends the signal and waits for the end; null where the signal itself ended it. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
}

export interface Refusal {
  code: number | null;
  output: string;
}

const running = new Set<ChildProcess>();
const folders: string[] = [];

/** Starts the built application and waits until it listens. */
export async function startProcess(env: Record<string, string>): Promise<ServerProcess> {
  const { child, output, ended } = run(env, {});
  const port = await Promise.race([listeningPort(child, output), ended]);
  if (port === null) throw new Error(`It did not start:\n${output()}`);
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? NaN,
    output,
    async end(signal) {
      child.kill(signal);
      await ended;
      return child.exitCode;
    },
  };
}

/** Starts the built application and waits until it has given up. */
export async function refusedStart(
  env: Record<string, string>,
  user: Pick<SpawnOptions, 'uid' | 'gid'> = {},
): Promise<Refusal> {
  const { child, output, ended } = run(env, user);
  await ended;
  return { code: child.exitCode, output: output() };
}

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-start-'));
  folders.push(folder);
  return folder;
}

/** Ends what a test has left behind. */
export async function endProcesses(): Promise<void> {
  await Promise.all(
    [...running].map(async (child) => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }),
  );
  // PostgreSQL goes with its owner, a moment later.
  for (const folder of folders.splice(0))
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}

function run(env: Record<string, string>, options: SpawnOptions) {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run "npm run build" first`);
  const child = spawn(process.execPath, [MAIN], {
    ...options,
    cwd,
    env: { PATH: process.env['PATH'], NO_COLOR: '1', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const ended = once(child, 'close').then(() => {
    running.delete(child);
    return null;
  });
  return { child, output: () => text, ended };
}

function listeningPort(child: ChildProcess, output: () => string): Promise<string> {
  return new Promise((resolve) => {
    child.stdout?.on('data', () => {
      const port = /Listening on .*:(\d+),/.exec(output())?.[1];
      if (port) resolve(port);
    });
  });
}

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { availableParallelism, platform } from 'node:os';
import { join } from 'node:path';

/** Whether the contenders can have one core and the load generator another: on Linux, with two cores. */
export const PINNED = platform() === 'linux' && availableParallelism() >= 2;

/** Binds this process, and what it starts from now on, to the contenders' core. */
export function takeFirstCore(): void {
  if (PINNED) spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', '0', `${process.pid}`]);
}

/** Starts a module of the bench on the other core. */
export function startOnSecondCore(module: string): ChildProcess {
  const node = [process.execPath, join(import.meta.dirname, module)];
  const [command = '', ...args] = PINNED ? ['taskset', '--cpu-list', '1', ...node] : node;
  return spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

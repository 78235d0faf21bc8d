import { readdirSync, readFileSync } from 'node:fs';

const TICKS_A_SECOND = 100;

/** CPU seconds that processes have used since they began, and their children with them. Linux only. */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.flatMap(withChildren).reduce((sum, pid) => sum + ticksOf(pid), 0) / TICKS_A_SECOND;
}

function withChildren(pid: number): number[] {
  const threads = threadsOf(pid);
  const children = threads.flatMap((thread) => read(`/proc/${pid}/task/${thread}/children`).trim().split(' '));
  return [pid, ...children.filter(Boolean).map(Number).flatMap(withChildren)];
}

/** None, where the process has gone meanwhile. */
function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** Its own time in user and kernel mode, and that of children who have gone. */
function ticksOf(pid: number): number {
  const text = read(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
}

/** Nothing, where the process has gone meanwhile. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

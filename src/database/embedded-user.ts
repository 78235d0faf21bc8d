import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { cannotRun, codeOf } from './embedded-error.js';

/** Whom PostgreSQL runs as where it cannot run as us: it refuses to run as root. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** A small, known environment: PGDATA, PGPORT and the like of the shell must not reach the server. */
export const SERVER_ENV: NodeJS.ProcessEnv = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };

export const isRoot = (): boolean => process.getuid?.() === 0;

/** `postgres` where the machine has it, else `nobody`. */
export function findUnprivilegedUser(): User | null {
  const accounts = readAccounts();
  const account = accounts.find(([name]) => name === 'postgres') ?? accounts.find(([name]) => name === 'nobody');
  return account ? { uid: Number(account[2]), gid: Number(account[3]) } : null;
}

function readAccounts(): string[][] {
  try {
    const lines = fs.readFileSync('/etc/passwd', 'utf8').split('\n');
    return lines.map((line) => line.split(':'));
  } catch {
    return []; // an image without a shell has no accounts either
  }
}

/** Asked of the system as that user, since modes alone tell nothing of ACLs, NFS or a parent that bars the way. */
export function canWrite(user: User, folder: string): boolean {
  const args = ['-c', 'test -w "$1" && test -x "$1"', 'sh', folder];
  const { error, status } = spawnSync('/bin/sh', args, { ...user, env: SERVER_ENV, cwd: '/', stdio: 'ignore' });
  if (error) throw cannotRun(`the process runs as root and cannot start one as uid ${user.uid} (${codeOf(error)})`);
  return status === 0;
}

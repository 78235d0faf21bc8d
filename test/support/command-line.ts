import { Logger } from '@nestjs/common';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import passport from 'passport';
import { expect, vi } from 'vitest';
import { runProgram } from '../../src/cli/program.js';
import { createHost } from '../../src/cli-host.js';
import { AccessTokenStrategy, EnrollmentTokenStrategy } from '../../src/tokens/bearer.strategies.js';
import { TEST_SECRET, type TestApp } from './app.js';
import { REPOSITORY } from './server-process.js';

const CLI = join(REPOSITORY, 'dist/service/cli.js');
/** What hashes, sealed secrets and keys look like; a token of a link is what one command is for. */
const SECRETS = [TEST_SECRET, '$argon2', 'sealedPrivateKey', '"v1.', 'PRIVATE KEY', 'token_hash'];

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the built command line as a process of its own, without a terminal and without anybody's own settings. */
export async function countersign(args: string[], env: Record<string, string>, input = ''): Promise<Ran> {
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: tmpdir(),
    env: { PATH: process.env['PATH'], SECRET_KEY: TEST_SECRET, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ran: Ran = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (ran.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (ran.stderr += chunk.toString()));
  child.stdin.end(input);
  await once(child, 'close');
  for (const secret of SECRETS) expect(ran.stdout + ran.stderr).not.toContain(secret);
  return { ...ran, code: child.exitCode };
}

/** The one JSON document of a command that ended with this code and said nothing else. */
export function documentOf<Body = Record<string, unknown>>({ code, stdout, stderr }: Ran, expected = 0): Body {
  expect({ code, stderr }).toEqual({ code: expected, stderr: '' });
  return JSON.parse(stdout) as Body;
}

/** The code and sentence of a command that was refused, and answered nothing. */
export function refusalOf({ code, stdout, stderr }: Ran): { exitCode: number | null; code: string; message: string } {
  expect(stdout).toBe('');
  const { error } = JSON.parse(stderr) as { error: { code: string; message: string } };
  return { exitCode: code, ...error };
}

/**
 * The same command in this process, beside the application: a process of its own loads everything anew, which takes
 * seconds. For what is about processes, pipes and exit codes use `countersign`.
 */
export async function runCommand({ app, database }: TestApp, args: string[]): Promise<Ran> {
  try {
    return await runAlone(args, { DATABASE_URL: database.url, PUBLIC_URL: 'https://id.example.test' });
  } finally {
    Logger.overrideLogger(false);
    // Passport has one list of strategies a process: those of the command's application have replaced them.
    passport.use('access', app.get(AccessTokenStrategy, { strict: false }));
    passport.use('enrollment', app.get(EnrollmentTokenStrategy, { strict: false }));
  }
}

/** For a command that needs no application: nothing but these settings. */
export async function runAlone(args: string[], env: Record<string, string>): Promise<Ran> {
  const ran: Ran = { code: null, stdout: '', stderr: '' };
  const capture = (name: 'stdout' | 'stderr') =>
    vi.spyOn(process[name], 'write').mockImplementation((text, ...rest) => {
      ran[name] += String(text);
      const done = rest.at(-1);
      if (typeof done === 'function') done();
      return true;
    });
  const captured = [capture('stdout'), capture('stderr')];
  try {
    ran.code = await runProgram(createHost({ SECRET_KEY: TEST_SECRET, ...env }), args);
  } finally {
    for (const each of captured) each.mockRestore();
  }
  for (const secret of SECRETS) expect(ran.stdout + ran.stderr).not.toContain(secret);
  return ran;
}

import { hash } from '@node-rs/argon2';
import { spawn, spawnSync, type SpawnSyncOptions } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { prepareBare } from '../bare/schema.js';
import { freePort } from '../free-port.js';
import { ARGON2, PASSWORD, peopleOf, WITH_APP, WITHOUT_APP } from '../people.js';
import { configOf, startService } from '../service.js';
import type { ContenderName } from './contender.js';
import { prepareOurs } from './our-people.js';

export interface Surroundings {
  databaseUrl: string;
  smtpUrl: string;
  /** Where a CPU profile of our service is to be written. */
  profiles?: string | undefined;
}

export interface Running {
  pid: number;
  url: string;
  stop(): Promise<void>;
}

const BARE = join(import.meta.dirname, '../bare/main.js');
/** Not compiled: it stays where it and its packages are. */
const BETTER_AUTH = resolve(import.meta.dirname, '../../../bench/better-auth');

/** Fills the database of a contender and starts its process. */
export const START: Record<ContenderName, (surroundings: Surroundings) => Promise<Running>> = {
  async ours({ databaseUrl, smtpUrl, profiles }) {
    await prepareOurs(databaseUrl, configOf(databaseUrl));
    const settings = {
      SMTP_URL: smtpUrl,
      // Who has an app is asked for its code, and nobody else for anything: one service for all scenarios.
      TWO_FACTOR_TRUSTED_METHODS: 'none,email,sms,totp',
      TWO_FACTOR_FALLBACK_METHOD: 'none',
    };
    return startService(
      databaseUrl,
      settings,
      profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`],
    );
  },
  async bare(surroundings) {
    await prepareBare(surroundings.databaseUrl);
    return startProcess(BARE, '/jwks.json', surroundings);
  },
  peer: (surroundings) => startBetterAuth(surroundings, 'off'),
  cached: (surroundings) => startBetterAuth(surroundings, 'on'),
};

async function startBetterAuth(surroundings: Surroundings, cached: 'on' | 'off'): Promise<Running> {
  if (!existsSync(join(BETTER_AUTH, 'node_modules'))) {
    console.log('Installing better-auth, once');
    run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: BETTER_AUTH });
  }
  const settings = { ARGON2: JSON.stringify(ARGON2), CACHED: cached };
  const people = peopleOf(WITHOUT_APP);
  const input = JSON.stringify({ passwordHash: await hash(PASSWORD, ARGON2), people, appUsers: peopleOf(WITH_APP) });
  const env = { ...environmentOf(surroundings), ...settings };
  run(process.execPath, [join(BETTER_AUTH, 'prepare.mjs')], { input, env });
  return startProcess(join(BETTER_AUTH, 'server.mjs'), '/api/auth/ok', surroundings, settings);
}

function run(command: string, args: string[], options: SpawnSyncOptions): void {
  const { status } = spawnSync(command, args, { ...options, stdio: ['pipe', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
}

async function startProcess(
  module: string,
  probe: string,
  surroundings: Surroundings,
  settings: Record<string, string> = {},
): Promise<Running> {
  const PORT = String(await freePort());
  const child = spawn(process.execPath, [module], {
    env: { ...environmentOf(surroundings), PORT, ...settings },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const end = () => child.kill();
  process.once('exit', end);
  const url = `http://127.0.0.1:${PORT}`;
  while (!(await answers(url + probe))) {
    if (child.exitCode !== null) throw new Error(`${module} did not start`);
    await sleep(100);
  }
  return {
    pid: child.pid ?? NaN,
    url,
    async stop() {
      process.off('exit', end);
      end();
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

function environmentOf({ databaseUrl, smtpUrl }: Surroundings): Record<string, string | undefined> {
  return { PATH: process.env['PATH'], NODE_ENV: 'production', DATABASE_URL: databaseUrl, SMTP_URL: smtpUrl };
}

function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );
}

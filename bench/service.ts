import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { completeConfig, type Config } from '../src/config/config.js';
import { readSettings } from '../src/config/env.js';
import { freePort } from './free-port.js';

const MAIN = resolve(import.meta.dirname, '../service/main.js');
/** As `npm start` and the image have it. */
const NODE_OPTIONS = ['--max-semi-space-size=4'];

/**
 * As in production, but for the limits of addresses: everything comes from one here. Nobody takes mails, and none is
 * sent by what is measured. The secret is worth nothing.
 */
const SETTINGS = {
  NODE_ENV: 'production',
  LOG_LEVEL: 'warn',
  SECRET_KEY: 'w7Rk2-mPz9Qv4Lx8Tb3Nc6Yh1Jd5Fs0Ga',
  PUBLIC_URL: 'http://localhost:3000',
  SMTP_URL: 'smtp://127.0.0.1:9',
  THROTTLE_SIGN_IN_PER_IP: 'off',
  THROTTLE_SEND_PER_IP: 'off',
  THROTTLE_RESET_PER_IP: 'off',
  THROTTLE_OVERALL_PER_IP: 'off',
};

export interface Service {
  pid: number;
  url: string;
  stop(): Promise<void>;
}

/** The same settings as an object, for what is computed with the service's keys. */
export function configOf(databaseUrl: string): Config {
  const settings = readSettings({ ...SETTINGS, DATABASE_URL: databaseUrl });
  return completeConfig(settings, { databaseUrl, secretKey: SETTINGS.SECRET_KEY });
}

/** Starts the built service as a process and waits until it is ready. */
export async function startService(
  databaseUrl: string,
  settings: Record<string, string> = {},
  nodeOptions: string[] = [],
): Promise<Service> {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run "npm run build" first`);
  const port = String(await freePort());
  const child = spawn(process.execPath, [...NODE_OPTIONS, ...nodeOptions, MAIN], {
    cwd: tmpdir(),
    env: {
      PATH: process.env['PATH'],
      HOST: '127.0.0.1',
      PORT: port,
      ...SETTINGS,
      DATABASE_URL: databaseUrl,
      ...settings,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  const url = `http://127.0.0.1:${port}`;
  while (!(await isReady(url))) {
    if (child.exitCode !== null) throw new Error('The service did not start');
    await sleep(100);
  }
  return {
    pid: child.pid ?? NaN,
    url,
    async stop() {
      process.off('exit', end);
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/health/ready`).then(
    ({ ok }) => ok,
    () => false,
  );
}

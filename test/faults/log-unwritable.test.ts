import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { freePort } from '../support/free-port.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { endProcesses, newFolder, REPOSITORY } from '../support/server-process.js';

let database: TestDatabase;
let child: ChildProcess;

beforeAll(async () => {
  database = await createDatabase();
});
afterEach(async () => {
  child.kill('SIGKILL');
  await once(child, 'exit');
});
afterAll(async () => {
  await endProcesses();
  await database.drop();
});

it.runIf(existsSync('/dev/full'))(
  'goes on where the disk of its log is full',
  async () => {
    const full = openSync('/dev/full', 'w');
    const url = await start(full);
    await expectServing(url);
  },
  60_000,
);

it('goes on where whoever read its log has gone', async () => {
  const url = await start('pipe');
  child.stdout?.destroy();
  child.stderr?.destroy();
  await expectServing(url);
}, 60_000);

/** In production every request is a line. */
async function start(log: number | 'pipe'): Promise<string> {
  const port = await freePort();
  child = spawn(process.execPath, [join(REPOSITORY, 'dist/service/main.js')], {
    cwd: tmpdir(),
    stdio: ['ignore', log, log],
    env: {
      NODE_ENV: 'production',
      PORT: String(port),
      PUBLIC_URL: 'http://localhost',
      SMTP_URL: 'smtp://127.0.0.1:1',
      SECRET_KEY: 'Qm7rT2vX9kLp4Zs8Wd3Yf6Hb1Nc5Jg0AeUo',
      DATA_DIR: newFolder(),
      DATABASE_URL: database.url,
    },
  });
  const url = `http://127.0.0.1:${port}`;
  await expect
    .poll(
      () =>
        fetch(`${url}/health/ready`).then(
          ({ status }) => status,
          () => 0,
        ),
      { timeout: 20_000 },
    )
    .toBe(200);
  return url;
}

async function expectServing(url: string): Promise<void> {
  for (let each = 0; each < 50; each += 1) {
    const { status } = await fetch(`${url}/api/v1/users/me`);
    expect(status).toBe(401);
  }
  expect(child.exitCode).toBeNull();
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { startApp } from '../support/app.js';
import { endProcesses, newFolder, REPOSITORY } from '../support/server-process.js';

const DEMO = join(REPOSITORY, 'dist/scripts/demo.js');
/** Where nothing listens, so that the tour starts a server of its own. */
const NO_SERVER = '1';

interface Tour {
  code: number | null;
  stdout: string;
  stderr: string;
  /** What it has left in the folder for temporary files. */
  left: string[];
}

afterEach(() => endProcesses());

/** `npm run demo`, without the build. */
async function demo(...args: string[]): Promise<Tour> {
  if (!existsSync(DEMO)) throw new Error(`${DEMO} is missing: run "npm run build" first`);
  const temporary = newFolder();
  chmodSync(temporary, 0o755); // as /tmp is: root's PostgreSQL runs as somebody else
  const child = spawn(process.execPath, [DEMO, ...args], {
    env: { PATH: process.env['PATH'], PORT: NO_SERVER, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr, left: readdirSync(temporary) };
}

it('shows the whole of it on a server of its own, and leaves nothing behind', { timeout: 90_000 }, async () => {
  const { code, stdout, stderr, left } = await demo();
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout.match(/^(━━|──) .*?(?=[ ━]*$)/gm)).toEqual([
    '━━ First tour: a code by mail, or an authenticator app',
    '── A new user signs in: password, then a code by mail',
    '── What an access token says, and how others check it',
    '── An authenticator app is enrolled',
    '── The next sign-in: password, then the app',
    '── What a thief of the password meets',
    '── Tokens are refreshed, and a stolen one gives itself away',
    '── Signing out',
    '━━ Second tour: an authenticator app is required',
    '── A new user, and a mailed code that is not enough',
    '── The app is enrolled',
    '── From now on: password and app',
    '━━ The end',
  ]);
  expect(stdout).toMatch(/All \d+ expectations held/);
  expect(stdout).not.toMatch(/[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}/); // a whole JWT
  expect(stdout).not.toContain('\x1b'); // colours are for terminals
  expect(left).toEqual([]);
});

it('ends with exit code 1 and says which expectation did not hold', async () => {
  const otherPolicy = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'totp' });
  const { code, stderr } = await demo('--url', await otherPolicy.listen());
  await otherPolicy.close();
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /did not hold: Code token and code together open a session\. \(status is enrollment_required\)/,
  );
});

it('ends with exit code 1 where no server with an outbox answers', async () => {
  const { code, stderr } = await demo('--url', 'http://127.0.0.1:1');
  expect(code).toBe(1);
  expect(stderr).toMatch(/No Countersign with an outbox .* answers at http:\/\/127\.0\.0\.1:1/);
});

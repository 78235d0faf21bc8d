import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { ROUNDS } from './ledger.js';

// Real: sockets of clients that begin a request and never finish it.

const CROWD = 200;
const BEGINNINGS = {
  'half a head': 'POST /api/v1/auth/token HTTP/1.1\r\nHost: localhost\r\nX-Slow: ',
  'half a body':
    'POST /api/v1/auth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"',
  nothing: '',
};

let app: TestApp;
let url: URL;
const sockets: Socket[] = [];

beforeAll(async () => {
  app = await startApp();
  url = new URL(await app.listen());
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await app.close();
});

async function honest(): Promise<number> {
  const began = performance.now();
  expect((await fetch(new URL('/api/v1/auth/options', url))).status).toBe(200);
  return performance.now() - began;
}

it.runIf(ROUNDS > 0)(
  'clients that dawdle hold up nobody, and are cut within a minute or so',
  { timeout: 120_000 },
  async () => {
    const open = Object.fromEntries(Object.keys(BEGINNINGS).map((what) => [what, 0]));
    for (const [what, text] of Object.entries(BEGINNINGS)) {
      for (let each = 0; each < CROWD; each += 1) {
        const socket = connect(Number(url.port), url.hostname, () => {
          open[what] = (open[what] ?? 0) + 1;
          socket.write(text);
        });
        socket.on('error', () => undefined);
        socket.on('close', () => (open[what] = (open[what] ?? 0) - 1));
        socket.resume();
        sockets.push(socket);
      }
    }
    await expect
      .poll(() => open, { timeout: 10_000 })
      .toEqual({ 'half a head': CROWD, 'half a body': CROWD, nothing: CROWD });
    for (let each = 0; each < 50; each += 1) expect(await honest()).toBeLessThan(1_000);
    await expect
      .poll(() => open, { timeout: 75_000, interval: 500 })
      .toEqual({ 'half a head': 0, 'half a body': 0, nothing: 0 });
  },
);

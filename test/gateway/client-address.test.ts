import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { hasNginx, startNginx, type Nginx } from './nginx.js';
import { dialogue, echo, send, type Sent } from './wire.js';

const LIMIT = 30;

/** Everything by which proxies name a client. */
const claims = (address: string): Record<string, string> => ({
  'X-Forwarded-For': address,
  'X-Real-IP': address,
  'CF-Connecting-IP': address,
  'True-Client-IP': address,
  'X-Client-IP': address,
  'X-Cluster-Client-IP': address,
  Forwarded: `for=${address}`,
});

let app: TestApp;
let replica: URL;
beforeAll(async () => {
  // A proxy at 127.0.0.1, and nobody else.
  app = await startApp({ THROTTLE_SIGN_IN_PER_IP: `${LIMIT}/1m`, TRUSTED_PROXIES: '127.0.0.1' });
  replica = new URL(await app.listen());
});
afterAll(() => app.close());

/** The statuses of so many empty sign-ins, counted. */
async function signIns(base: URL, times: number, sentOf: (n: number) => Partial<Sent>, path: string) {
  const counts: Record<number, number> = {};
  for (let n = 0; n < times; n += 1) {
    const sent = sentOf(n);
    const headers = { 'Content-Type': 'application/json', ...sent.headers };
    const { status } = await send(base, { method: 'POST', path, body: '{}', ...sent, headers });
    counts[status] = (counts[status] ?? 0) + 1;
  }
  return counts;
}

const direct = (times: number, sentOf: (n: number) => Partial<Sent>) =>
  signIns(replica, times, sentOf, '/api/v1/auth/token');

describe('who talks to the service directly', () => {
  it('is counted by his own address, whatever he claims', async () => {
    const counts = await direct(LIMIT + 5, (n) => ({ from: '127.0.0.20', headers: claims(`198.51.100.${n}`) }));
    expect(counts).toEqual({ 400: LIMIT, 429: 5 });
    expect(await direct(1, () => ({ from: '127.0.0.21' }))).toEqual({ 400: 1 });
  });

  it('and a proxy by the right-most address that is not a proxy', async () => {
    const through = (n: number) => ({
      from: '127.0.0.1',
      headers: { 'X-Forwarded-For': `203.0.113.${n}, 192.0.2.50, 127.0.0.1`, 'X-Real-IP': `203.0.113.${n}` },
    });
    expect(await direct(LIMIT + 5, through)).toEqual({ 400: LIMIT, 429: 5 });
  });

  it.each([
    'a',
    '',
    ' , ,',
    'unknown',
    '_hidden',
    'fe80::1%eth0',
    '[::1]:443',
    '1.2.3.4:80',
    '999.999.999.999',
    '::ffff:999.1.1.1',
    '1.1.1.1,'.repeat(1200),
    'x'.repeat(10_000),
    "'; DROP TABLE sessions; --",
  ])('a proxy’s header that names nobody (%#) fails nothing, and skips no limit', async (nonsense) => {
    const headers = { 'X-Forwarded-For': nonsense };
    const counts = await direct(LIMIT + 1, () => ({ from: '127.0.0.1', headers }));
    expect(Object.keys(counts).filter((status) => !['400', '429'].includes(status))).toEqual([]);
    expect(counts[429]).toBeGreaterThanOrEqual(1);
  });

  it('fifty headers of one name are read as one list', async () => {
    const lines = Array.from({ length: 50 }, (_, n) => `203.0.113.${n}`);
    const headers = { 'X-Forwarded-For': [...lines, '192.0.2.60'], Forwarded: lines };
    expect(await direct(LIMIT + 2, () => ({ from: '127.0.0.1', headers }))).toEqual({ 400: LIMIT, 429: 2 });
  });
});

describe.skipIf(!hasNginx)('who comes through nginx', () => {
  let service: Awaited<ReturnType<typeof echo>>;
  let nginx: Nginx;
  let appending: Nginx;
  beforeAll(async () => {
    service = await echo();
    const behind = { replicas: [replica.href, replica.href] as [string, string], service: service.url };
    nginx = await startNginx(behind);
    const location = 'proxy_pass http://countersign/;\n            proxy_set_header Host $host;\n            ';
    appending = await startNginx(behind, {
      [`${location}proxy_set_header X-Forwarded-For $remote_addr;`]: `${location}proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`,
    });
  });
  afterAll(async () => {
    await nginx.stop();
    await appending.stop();
    await service.stop();
  });

  it.each([
    ['that replaces what the client claims', () => nginx.url, '127.0.0.31', '127.0.0.32'],
    ['that adds to it', () => appending.url, '127.0.0.41', '127.0.0.42'],
  ])('one %s, is counted by his own address', async (_name, urlOf, one, other) => {
    const path = '/auth/api/v1/auth/token';
    const lying = (n: number) => ({ from: one, headers: claims(`198.51.100.${n}`) });
    expect(await signIns(urlOf(), LIMIT + 5, lying, path)).toEqual({ 400: LIMIT, 429: 5 });
    expect(await signIns(urlOf(), 1, () => ({ from: other }), path)).toEqual({ 400: 1 });
  });
});

describe('a connection that two parsers could read in two ways', () => {
  const next = 'GET /health/live HTTP/1.1\r\nHost: x\r\nX-Request-Id: the-next-one\r\n\r\n';
  const smuggled = 'GET /health/live HTTP/1.1\r\nHost: x\r\nX-Request-Id: smuggled-one\r\n\r\n';
  const post = (headers: string, body: string) =>
    `POST /api/v1/auth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n${body}`;

  it.each([
    ['two lengths', post('Content-Length: 2\r\nContent-Length: 40\r\n', `{}${smuggled}`)],
    ['two lengths in one line', post('Content-Length: 2, 40\r\n', `{}${smuggled}`)],
    ['a length and chunks', post('Content-Length: 2\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${smuggled}`)],
    ['chunks and a length', post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', `0\r\n\r\n${smuggled}`)],
    ['chunks that are not the last', post('Transfer-Encoding: chunked, gzip\r\n', `0\r\n\r\n${smuggled}`)],
    ['a length that is signed', post('Content-Length: +2\r\n', `{}${smuggled}`)],
    ['a length that is no number', post('Content-Length: 0x2\r\n', `{}${smuggled}`)],
    ['a space before the colon', post('Content-Length : 2\r\n', `{}${smuggled}`)],
    ['a folded header', post('X-A: b\r\n Content-Length: 0\r\nContent-Length: 2\r\n', `{}${smuggled}`)],
    ['bare line feeds', `GET /health/live HTTP/1.1\nHost: x\nX-Request-Id: smuggled-one\n\n`],
    ['a NUL in a header', `GET /health/live HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n${smuggled}`],
    ['a chunk size that is no number', post('Transfer-Encoding: chunked\r\n', `zz\r\n{}\r\n0\r\n\r\n${smuggled}`)],
    ['a chunk size past all numbers', post('Transfer-Encoding: chunked\r\n', `fffffffffffffffff\r\n{}\r\n${smuggled}`)],
  ])('%s: refused and closed, and nothing behind it is answered', async (_name, text) => {
    const answers = await dialogue(replica, text + next);
    expect(answers.match(/HTTP\/1\.1 \d+/g) ?? []).toEqual(['HTTP/1.1 400']);
    expect(answers).toMatch(/connection: close/i);
    expect(answers).not.toMatch(/smuggled-one|the-next-one/);
  });

  it('chunk extensions are no part of the body, and the next request is its own', async () => {
    const chunks = `1;a="${'x'.repeat(500)}"\r\n{\r\n1;b\r\n}\r\n0\r\n\r\n`;
    // not a sign-in, of which enough were sent from here
    const chunked = post('Transfer-Encoding: chunked\r\n', chunks).replace('/auth/token', '/auth/token/verify');
    const answers = await dialogue(replica, chunked + next);
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 400', 'HTTP/1.1 200']);
    expect(answers).toContain('validation_failed');
    expect(answers).toContain('the-next-one');
  });
});

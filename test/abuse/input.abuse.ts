import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { magicLink, tokenOf } from '../support/links.js';
import { administrator, firstFactor, PASSWORD, register, secondFactor } from '../support/people.js';
import { Invariants } from './invariants.js';
import type { Entry } from './ledger.js';
import { startReplicas, type Replicas } from './replicas.js';

const MEGABYTE = 1024 * 1024;
/** What a refusal may take: many times what it does take on an idle machine, and far less than the work it spares. */
const PROMPTLY_MS = 100;
const JSON_TYPE = { 'content-type': 'application/json' };

let service: Replicas;
let invariants: Invariants;
let token: string;
beforeAll(async () => {
  service = await startReplicas();
  invariants = new Invariants(service);
  token = (await administrator(service)).token;
});
afterEach(() => invariants.expectAll());
afterAll(() => service.close());

const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Entry> =>
  service.wire({
    method: 'POST',
    url: `/api/v1${path}`,
    headers: { ...JSON_TYPE, authorization: `Bearer ${token}`, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

/** What anybody may send without a token, with text in every field. */
const BODIES: Record<string, Record<string, string>> = {
  '/users': { email: 'x@example.com', password: PASSWORD, firstName: 'X' },
  '/auth/token': { identifier: 'x@example.com', password: PASSWORD },
  '/auth/token/second-factor': { codeToken: 'x', code: 'ABCDEFGHJK' },
  '/auth/token/refresh': { refreshToken: 'x' },
  '/auth/token/verify': { token: 'x' },
  '/auth/otp': { identifier: 'x@example.com' },
  '/auth/magic-link/redeem': { token: 'x' },
  '/auth/password-reset/confirm': { token: 'x', newPassword: PASSWORD },
};
const FIELDS = Object.entries(BODIES).flatMap(([path, body]) =>
  Object.keys(body).map((field) => ({ path, field, body })),
);
/** A query that reaches the database with one of these would be a way in. */
const OTHER_TYPES: unknown[] = [
  ['first-of-two@example.com', 'second-of-two@example.com'],
  { $gt: '' },
  {},
  [],
  1,
  true,
  null,
];

describe('a field', () => {
  it.each(FIELDS)('I01 $field of $path that is no text is refused by its name', async ({ path, field, body }) => {
    for (const value of OTHER_TYPES) {
      const { status, text } = await post(path, { ...body, [field]: value });
      const optional = value === null && field === 'firstName';
      expect([400, optional ? 201 : 400], `${field}: ${JSON.stringify(value)}`).toContain(status);
      if (status === 400) expect(JSON.parse(text)).toMatchObject({ errors: [{ field }] });
    }
  });

  it.each(FIELDS)('I02 $field of $path that is no Unicode is refused', async ({ path, field, body }) => {
    for (const hostile of ['\\u0000', '\\ud800', 'a\\udfffb']) {
      const text = JSON.stringify({ ...body, [field]: '#' }).replace('"#"', `"${hostile}"`);
      expect((await post(path, text)).status).toBe(400);
    }
    for (const encoding of ['utf16le', 'latin1'] as const) {
      const bytes = Buffer.from(JSON.stringify({ ...body, [field]: 'é\u00ff' }), encoding).toString('latin1');
      const { status } = await raw(requestOf(`/api/v1${path}`, bytes));
      expect(status).toBe(400);
    }
  });

  it('I05 named like what every object has is refused, at every depth, and the service is as before', async () => {
    for (const name of ['__proto__', 'constructor', 'prototype', 'toString']) {
      for (const body of [`{"${name}":{"admin":true}}`, `{"identifier":{"${name}":1}}`, `{"a":{"b":{"${name}":{}}}}`]) {
        expect((await post('/auth/token', body)).status).toBe(400);
      }
    }
    const { text } = await post('/auth/token/verify', { token: 'x' });
    expect(text).toBe('{"active":false}');
  });

  it('I09 that is a piece of a statement is text, wherever it stands', async () => {
    const before = await service.sql('SELECT count(*) FROM users');
    const pieces = [
      "' OR 1=1 --",
      "'; DROP TABLE users; --",
      '$1',
      '%',
      '_',
      '\\',
      '$.* ? (@ > 0)',
      '{"a":1}',
      '${7*7}',
    ];
    for (const piece of pieces) {
      for (const { path, field, body } of FIELDS.filter(({ path }) => path !== '/users')) {
        expect([400, 401, 202, 429, 200]).toContain((await post(path, { ...body, [field]: piece })).status);
      }
      for (const name of ['q', 'role', 'cursor', 'limit', 'sort', 'method']) {
        const url = `/api/v1/admin/users?${name}=${encodeURIComponent(piece)}`;
        const { status, text } = await service.wire({ url, headers: { authorization: `Bearer ${token}` } });
        expect([200, 400], `${url} answered ${status}: ${text}`).toContain(status);
        if (name === 'q' && status === 200) expect((JSON.parse(text) as { items: unknown[] }).items).toEqual([]);
      }
    }
    expect(await service.sql('SELECT count(*) FROM users')).toEqual(before);
  });
});

describe('a path', () => {
  it.each(['..%2f..%2fetc%2fpasswd', '%00', '1', '%zz', "'%20OR%201=1"])(
    'I10 with the id %s leads nowhere',
    async (id) => {
      for (const path of ['/otp-devices/', '/users/me/sessions/', '/admin/users/']) {
        const url = `/api/v1${path}${id}`;
        const { status } = await service.wire({ method: 'DELETE', url, headers: { authorization: `Bearer ${token}` } });
        expect([400, 404, 405, 414], `${url.slice(0, 60)} answered ${status}`).toContain(status);
      }
    },
  );

  it('I10 with an id of 10 kB leads nowhere', async () => {
    const headers = { authorization: `Bearer ${token}` };
    expect((await service.wire({ url: `/api/v1/otp-devices/${'a'.repeat(10_000)}`, headers })).status).toBe(404);
  });

  it('I11 takes its own methods, and says which', async () => {
    for (const method of ['PUT', 'OPTIONS', 'PROPFIND']) {
      const { status, headers } = await raw(
        `${method} /api/v1/auth/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      );
      expect([404, 405], method).toContain(status);
      if (status === 405) expect(headers).toMatch(/\r\nallow: /i);
    }
    expect(
      (await raw('TRACE /api/v1/auth/token HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\nConnection: close\r\n\r\n')).body,
    ).not.toContain('a=b');
  });
});

describe('too much', () => {
  const elsewhere = (count: number, size: number) =>
    Array.from({ length: count }, () => `${size.toString(16)}\r\n${' '.repeat(size)}\r\n`);
  const chunked = `POST /api/v1/auth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const announced = (bytes: number) =>
    `POST /api/v1/auth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${bytes}\r\n\r\n`;
  const bomb = gzipSync(Buffer.alloc(10 * MEGABYTE, ' ')).toString('latin1');
  const cases: [what: string, status: number, pieces: () => string[]][] = [
    ['10 MB that are announced', 413, () => [announced(10 * MEGABYTE)]],
    ['10 MB in chunks', 413, () => [chunked, ...elsewhere(640, 0x4000)]],
    [
      '64 kB of header',
      431,
      () => [`GET /api/v1/users/me HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(65_536)}\r\n\r\n`],
    ],
    ['a gzip bomb', 415, () => [requestOf('/api/v1/auth/token', bomb, 'Content-Encoding: gzip\r\n')]],
    [
      'depth of 10 000',
      400,
      () => [requestOf('/api/v1/auth/token', `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`)],
    ],
    [
      '3 000 keys',
      400,
      () => [
        requestOf('/api/v1/auth/token', `{${Array.from({ length: 3_000 }, (_, n) => `"${n.toString(36)}":1`).join()}}`),
      ],
    ],
  ];

  it.each(cases)('I03 %s: %i at once', async (_what, expected, pieces) => {
    const measured: number[] = [];
    for (let sample = 0; sample < 9; sample += 1) {
      const { status, milliseconds } = await raw(...pieces());
      expect(status).toBe(expected);
      measured.push(milliseconds);
    }
    // The quickest of them: what it takes, and not what else this machine does.
    expect(Math.min(...measured)).toBeLessThan(PROMPTLY_MS);
  });

  it('I11 50 kB that would make a bad expression search for ever are refused as quickly', async () => {
    const measured: number[] = [];
    for (const text of [
      `${'a'.repeat(25_000)}!`,
      'a@'.repeat(12_000),
      `a@${'a.'.repeat(12_000)}`,
      `+${'1 '.repeat(12_000)}x`,
    ]) {
      for (const body of [{ email: text }, { phoneNumber: text }, { email: 'x@example.com', firstName: text }]) {
        const begun = performance.now();
        expect((await post('/users', { password: PASSWORD, ...body })).status).toBe(400);
        measured.push(performance.now() - begun);
      }
    }
    for (const limit of ['NaN', '-1', '1e9', '0x10', '']) {
      const url = `/api/v1/admin/users?limit=${limit}`;
      expect((await service.wire({ url, headers: { authorization: `Bearer ${token}` } })).status, limit).toBe(400);
    }
    expect(measured.sort((a, b) => a - b)[Math.floor(measured.length / 2)]).toBeLessThan(PROMPTLY_MS);
  });

  it.skipIf(!existsSync('/proc/self/statm'))('I03 leaves the memory of the process as it was', async () => {
    const { pid } = service.processes[0] as { pid: number };
    const resident = () => Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;
    const flood = async (requests: number) => {
      for (let n = 0; n < requests; n += 1) await raw(...(cases[n % cases.length] as (typeof cases)[number])[2]());
    };
    await flood(60);
    const before = resident();
    await flood(240);
    // 400 MB of bodies were offered meanwhile.
    expect((resident() - before) / MEGABYTE).toBeLessThan(64);
  });
});

describe('what a browser and a scanner see', () => {
  it('W05 a link that is only opened is not used up, and leaks to nobody', async () => {
    const { email } = await register(service);
    const link = await magicLink(service, email);
    for (const method of ['GET', 'HEAD', 'GET']) {
      const { status, headers } = await service.wire({ method, url: `${link.pathname}${link.search}` });
      expect([status, headers['referrer-policy']]).toEqual([200, 'no-referrer']);
    }
    expect(service.processes.map((each) => each.output()).join()).not.toContain(tokenOf(link));
    expect((await service.http.post('/auth/magic-link/redeem', { token: tokenOf(link) })).status).toBe(200);
    expect((await service.http.post('/auth/magic-link/redeem', { token: tokenOf(link) })).status).toBe(400);
  });

  it('W06 an error tells nothing of what is inside, and neither do pages that nobody asked for', async () => {
    for (const body of ['{"identifier":', '[]', '"x"', 'null', '{}x', ''])
      expect((await post('/auth/token', body)).status).toBe(400);
    for (const url of [
      '/nowhere',
      '/api/v1/nowhere',
      '/metrics',
      '/dev/outbox',
      '/.env',
      '/.git/config',
      '/package.json',
    ]) {
      expect((await service.wire({ url })).status, url).toBe(404);
    }
  });

  it('a code of a real sign-in still works after all of this', async () => {
    const { email } = await register(service);
    const { body } = await firstFactor(service, email);
    expect((await secondFactor(service, body.codeToken, await service.mailbox.code(email))).status).toBe(200);
  });
});

function requestOf(path: string, body: string, more = ''): string {
  const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
  return `${head}${more}Connection: close\r\n\r\n${body}`;
}

/** Writes these pieces, a byte a character, on a connection of its own until the first replica answers. */
function raw(...pieces: string[]): Promise<{ status: number; headers: string; body: string; milliseconds: number }> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(service.origins[0] as string).port), '127.0.0.1');
    const queue = [...pieces];
    let answer = '';
    let begun = 0;
    const finish = () => {
      socket.destroy();
      const [headers = '', body = ''] = answer.split(/\r\n\r\n(.*)/s);
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(headers)?.[1]);
      resolve({ status, headers, body, milliseconds: performance.now() - begun });
    };
    const write = () => {
      const piece = answer === '' ? queue.shift() : undefined;
      // Not all at once: a server that has answered resets what is still under way, and the answer with it.
      if (piece !== undefined) socket.write(piece, 'latin1', () => setTimeout(write, 1));
    };
    socket.on('connect', () => {
      begun = performance.now();
      write();
    });
    socket.on('data', (data) => {
      answer += data.toString('latin1');
      const [head = '', body] = answer.split(/\r\n\r\n(.*)/s);
      if (body !== undefined && body.length >= Number(/content-length: (\d+)/i.exec(head)?.[1])) finish();
    });
    // A server that has answered may reset what is still being sent.
    socket.on('error', (error) => (answer === '' ? reject(error) : finish()));
    socket.on('end', finish);
  });
}

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, request as ask, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { PASSWORD, register, type Person } from '../support/people.js';

/** Debian's. Where there is none, the promises of cookie-mode.test.ts stand on what browsers say of themselves. */
const CHROMIUM = '/usr/bin/chromium';

let app: TestApp;
let front: Server;
let profile: string;
let page = '';
let port: number;
let seen: string[] = [];

beforeAll(async () => {
  app = await startApp({
    AUTH_COOKIES: 'on',
    PUBLIC_URL: 'http://localhost',
    TWO_FACTOR_TRUSTED_METHODS: 'none',
    TWO_FACTOR_FALLBACK_METHOD: 'none',
  });
  const target = new URL(await app.listen());
  front = createServer((request, response) => serve(request, response, target));
  await new Promise<void>((resolve) => front.listen(0, resolve));
  ({ port } = front.address() as AddressInfo);
  profile = mkdtempSync(join(tmpdir(), 'countersign-browser-'));
});
afterAll(async () => {
  front.closeAllConnections();
  front.close();
  await app.close();
  rmSync(profile, { recursive: true, force: true });
});

/** A page of ours at /page, and behind everything else the service. */
function serve(request: IncomingMessage, response: ServerResponse, { hostname, port }: URL): void {
  if (request.url === '/page') return void response.writeHead(200, { 'content-type': 'text/html' }).end(page);
  const { url: sentTo = '' } = request;
  if (sentTo.startsWith('/api/'))
    seen.push(`${request.method ?? ''} ${sentTo} ${namesOf(request.headers.cookie)}`.trim());
  const { method, url: path, headers } = request;
  const forwarded = ask({ hostname, port, method, path, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(response);
  });
  request.pipe(forwarded);
}

function namesOf(cookie = ''): string {
  return cookie.replace(/=[^;]*/g, '').replaceAll('; ', '+');
}

/** What a script in a page of that host finds, as the text of the page. The profile keeps its cookies from page to page. */
async function browse(host: string, script: string): Promise<unknown> {
  page = `<!doctype html><pre id="found"></pre><script type="module">
    const api = 'http://localhost:${port}/api/v1';
    const post = (path, body, headers = {}) => fetch(api + path, { method: 'POST', credentials: 'include',
      headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
    const found = await (async () => { ${script} })().catch((error) => String(error));
    document.querySelector('#found').textContent = encodeURIComponent(JSON.stringify(found));
  </script>`;
  seen = [];
  const options = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    `--user-data-dir=${profile}`,
    '--virtual-time-budget=10000',
    '--dump-dom',
  ];
  const { stdout } = await promisify(execFile)(CHROMIUM, [...options, `http://${host}:${port}/page`], {
    timeout: 60_000,
  });
  return JSON.parse(decodeURIComponent(/<pre id="found">([^<]*)</.exec(stdout)?.[1] ?? 'null'));
}

describe.skipIf(!existsSync(CHROMIUM))('a real browser', { timeout: 120_000 }, () => {
  let person: Person;
  beforeAll(async () => {
    person = await register(app);
  });

  const signIn = () =>
    `const answer = await post('/auth/token', ${JSON.stringify({ identifier: person.email, password: PASSWORD })}, { 'x-auth-cookies': 'on' });`;

  it('keeps the cookies of http://localhost, shows them to no script, and sends each where it belongs', async () => {
    const found = await browse(
      'localhost',
      `${signIn()}
       const me = await fetch(api + '/users/me');
       const refreshed = await post('/auth/token/refresh', {});
       return { signIn: answer.status, me: me.status, refreshed: refreshed.status, cookie: document.cookie, body: await refreshed.json() };`,
    );
    expect(found).toMatchObject({ signIn: 200, me: 200, refreshed: 200, cookie: '', body: { tokenType: 'Cookie' } });
    expect(seen).toEqual([
      'POST /api/v1/auth/token',
      'GET /api/v1/users/me __Host-access',
      'POST /api/v1/auth/token/refresh __Secure-refresh+__Host-access',
    ]);
  });

  it('sends no cookie for a page of another site, and such a page changes nothing', async () => {
    const found = await browse(
      '127.0.0.1',
      `const form = new URLSearchParams({ locale: 'de' });
       const simple = await fetch(api + '/auth/token/revoke', { method: 'POST', mode: 'no-cors', credentials: 'include', body: form }).then(() => 'sent', () => 'nothing');
       const read = await fetch(api + '/users/me', { credentials: 'include' }).then(() => 'read', () => 'nothing');
       const write = await post('/auth/token/revoke', {}, { 'x-auth-cookies': 'on' }).then(() => 'sent', () => 'nothing');
       return { simple, read, write };`,
    );
    expect(found).toEqual({ simple: 'nothing', read: 'nothing', write: 'nothing' });
    // a form is sent without asking first; the answer is withheld, and there was no cookie
    expect(seen).toContain('POST /api/v1/auth/token/revoke');
    expect(seen.filter((line) => line.includes('__'))).toEqual([]);
    expect(await browse('localhost', `return (await fetch(api + '/users/me')).status;`)).toBe(200);
  });

  it('forgets them at the sign-out', async () => {
    const found = await browse(
      'localhost',
      `${signIn()}
       const out = await post('/auth/token/revoke', {});
       const me = await fetch(api + '/users/me');
       return { out: out.status, me: me.status };`,
    );
    expect(found).toEqual({ out: 204, me: 401 });
    expect(seen.at(-1)).toBe('GET /api/v1/users/me');
  });
});

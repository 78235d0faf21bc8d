import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';

interface From {
  address?: string;
  headers?: Record<string, string>;
}

let app: TestApp;
let behindProxy: TestApp;
beforeAll(async () => {
  const limits = { THROTTLE_SIGN_IN_PER_IP: '30/1m', THROTTLE_OVERALL_PER_IP: '100/1m' };
  app = await startApp(limits);
  behindProxy = await startApp({ ...limits, TRUSTED_PROXIES: '10.0.0.0/8,fd00::/8' });
});
afterAll(() => Promise.all([app.close(), behindProxy.close()]));

describe('the limit of sign-in requests from one address', () => {
  it('answers thirty a minute, and the thirty-first with 429 and Retry-After', async () => {
    expect(await signIns(30, { address: '192.0.2.1' })).toEqual({ 400: 30 });
    const { statusCode, headers, body } = await request('/api/v1/auth/token', { address: '192.0.2.1' });
    expect(statusCode).toBe(429);
    expect(headers['content-type']).toBe('application/problem+json; charset=utf-8');
    const { code, retryAfter } = JSON.parse(body) as { code: string; retryAfter: number };
    expect([code, String(retryAfter)]).toEqual(['too_many_requests', headers['retry-after']]);
    expect(retryAfter).toBeGreaterThan(0);
    expect(retryAfter).toBeLessThanOrEqual(60);
  });

  it('holds for all ways of signing in together: going from one to the next gains nothing', async () => {
    const address = '192.0.2.2';
    const routes = ['/users', '/auth/token', '/auth/token/second-factor', '/auth/otp'];
    const counts = new Map<number, number>();
    for (let n = 0; n < 40; n += 1) {
      const { statusCode } = await request(`/api/v1${routes[n % routes.length] ?? ''}`, { address });
      counts.set(statusCode, (counts.get(statusCode) ?? 0) + 1);
    }
    expect(Object.fromEntries(counts)).toEqual({ 400: 30, 429: 10 });
  });

  it('does not hold for other routes', async () => {
    const address = '192.0.2.3';
    expect(await signIns(31, { address })).toEqual({ 400: 30, 429: 1 });
    expect((await request('/api/v1/auth/token/refresh', { address })).statusCode).toBe(400);
    expect((await request('/api/v1/users/me', { address }, app, 'GET')).statusCode).toBe(401);
    expect((await request('/.well-known/jwks.json', { address }, app, 'GET')).statusCode).toBe(200);
  });

  it('counts every address by itself', async () => {
    expect(await signIns(31, { address: '192.0.2.4' })).toEqual({ 400: 30, 429: 1 });
    expect(await signIns(1, { address: '192.0.2.5' })).toEqual({ 400: 1 });
  });

  it('counts one IPv6 network of 64 bits as one address: that is what one customer gets', async () => {
    for (let host = 1; host <= 30; host += 1) {
      expect(await signIns(1, { address: `2001:db8:1:2:${host.toString(16)}::1` })).toEqual({ 400: 1 });
    }
    expect(await signIns(1, { address: '2001:db8:1:2:ffff:ffff:ffff:ffff' })).toEqual({ 429: 1 });
    expect(await signIns(1, { address: '2001:0db8:0001:0002::5' })).toEqual({ 429: 1 });
    expect(await signIns(1, { address: '2001:db8:1:3::1' })).toEqual({ 400: 1 });
  });

  it('counts an IPv4 address as the same one when it comes in IPv6 clothes', async () => {
    expect(await signIns(30, { address: '192.0.2.6' })).toEqual({ 400: 30 });
    expect(await signIns(1, { address: '::ffff:192.0.2.6' })).toEqual({ 429: 1 });
    expect(await signIns(1, { address: '::ffff:192.0.2.7' })).toEqual({ 400: 1 });
  });
});

/** Every route that a stranger or a user has a message sent by, with nothing in it that could be sent. */
const SENDING = [
  '/users',
  '/auth/otp',
  '/auth/magic-link',
  '/auth/password-reset',
  '/otp-devices',
  '/otp-devices/00000000-0000-7000-8000-000000000000/challenge',
  '/invitations',
  '/invitations/00000000-0000-7000-8000-000000000000/resend',
];

describe('the limits of requests for messages, and of those about a forgotten password', () => {
  let limited: TestApp;
  beforeAll(async () => {
    limited = await startApp({ THROTTLE_SEND_PER_IP: '20/1h', THROTTLE_RESET_PER_IP: '5/1m' });
  });
  afterAll(() => limited.close());

  const post = (path: string, address: string) => request(`/api/v1${path}`, { address }, limited);

  it.each(SENDING)('%s is one of those that share twenty an hour', async (path) => {
    const address = `2001:db8:${SENDING.indexOf(path) + 1}::1`;
    for (let n = 0; n < 20; n += 1) expect((await post('/auth/otp', address)).statusCode).toBe(400);
    const { statusCode, headers } = await post(path, address);
    expect(statusCode).toBe(429);
    expect(headers['ratelimit-policy']).toContain('"send";q=20;w=3600');
    expect(Number(headers['retry-after'])).toBeGreaterThan(3_500);
    expect(Number(headers['retry-after'])).toBeLessThanOrEqual(3_600);
    // who only types a code or a password asks for no message
    expect((await post('/auth/token', address)).statusCode).toBe(400);
    expect((await post('/auth/token/second-factor', address)).statusCode).toBe(400);
  });

  it('asking for a new password and choosing it share five a minute', async () => {
    const address = '192.0.2.70';
    const paths = ['/auth/password-reset', '/auth/password-reset/confirm'];
    const statuses: number[] = [];
    for (let n = 0; n < 7; n += 1) statuses.push((await post(paths[n % 2] ?? '', address)).statusCode);
    expect(statuses).toEqual([400, 400, 400, 400, 400, 429, 429]);
    expect((await post('/auth/magic-link', address)).statusCode).toBe(400);
  });
});

describe('the limit of all requests from one address', () => {
  it('holds for everything but the health of the service', async () => {
    const address = '192.0.2.8';
    for (let n = 0; n < 100; n += 1) {
      expect((await request('/api/v1/users/me', { address }, app, 'GET')).statusCode).toBe(401);
    }
    for (const path of ['/api/v1/users/me', '/problems', '/.well-known/jwks.json']) {
      expect((await request(path, { address }, app, 'GET')).statusCode, path).toBe(429);
    }
    expect((await request('/api/v1/auth/token', { address })).statusCode).toBe(429);
    expect((await request('/health/live', { address }, app, 'GET')).statusCode).toBe(200);
    expect((await request('/health/ready', { address }, app, 'GET')).statusCode).toBe(200);
  });
});

describe('who the client is', () => {
  const FORWARDING = ['x-forwarded-for', 'x-real-ip', 'forwarded', 'cf-connecting-ip', 'true-client-ip', 'x-client-ip'];

  it('nobody may say himself, where no proxy is trusted', async () => {
    const address = '192.0.2.9';
    const counts = new Map<number, number>();
    for (let n = 0; n < 40; n += 1) {
      const headers = Object.fromEntries(
        FORWARDING.map((name) => [name, name === 'forwarded' ? `for=198.51.100.${n}` : `198.51.100.${n}`]),
      );
      const { statusCode } = await request('/api/v1/auth/token', { address, headers });
      counts.set(statusCode, (counts.get(statusCode) ?? 0) + 1);
    }
    expect(Object.fromEntries(counts)).toEqual({ 400: 30, 429: 10 });
  });

  it('a trusted proxy says it', async () => {
    const through = (client: string): From => ({ address: '10.1.2.3', headers: { 'x-forwarded-for': client } });
    expect(await signIns(31, through('198.51.100.1'), behindProxy)).toEqual({ 400: 30, 429: 1 });
    expect(await signIns(1, through('198.51.100.2'), behindProxy)).toEqual({ 400: 1 });
    // the same client through another proxy of ours
    const other = { address: 'fd00::7', headers: { 'x-forwarded-for': '198.51.100.1' } };
    expect(await signIns(1, other, behindProxy)).toEqual({ 429: 1 });
  });

  it('and what the client wrote before the proxy did is not believed', async () => {
    for (let n = 0; n < 30; n += 1) {
      const headers = { 'x-forwarded-for': `203.0.113.${n}, 198.51.100.3, 10.9.9.9` };
      expect(await signIns(1, { address: '10.1.2.3', headers }, behindProxy)).toEqual({ 400: 1 });
    }
    const headers = { 'x-forwarded-for': '203.0.113.99, 198.51.100.3' };
    expect(await signIns(1, { address: '10.1.2.3', headers }, behindProxy)).toEqual({ 429: 1 });
  });

  it('an address that is no trusted proxy says nothing', async () => {
    const counts = new Map<number, number>();
    for (let n = 0; n < 31; n += 1) {
      const from = { address: '192.0.2.10', headers: { 'x-forwarded-for': `198.51.100.${100 + n}` } };
      const { statusCode } = await request('/api/v1/auth/token', from, behindProxy);
      counts.set(statusCode, (counts.get(statusCode) ?? 0) + 1);
    }
    expect(Object.fromEntries(counts)).toEqual({ 400: 30, 429: 1 });
  });

  it.each([
    'a',
    '',
    ' ',
    ',',
    ',,,',
    'unknown',
    'fe80::1%eth0',
    '1.2.3.4:80',
    '[::1]:80',
    "'; --",
    'x'.repeat(10_000),
    '1.1.1.1,'.repeat(900),
  ])('a header that makes no sense (%#) fails nothing and skips no limit', async (nonsense) => {
    const from = { address: '10.7.7.7', headers: { 'x-forwarded-for': nonsense } };
    const counts = await signIns(31, from, behindProxy);
    expect(Object.keys(counts).every((status) => status === '400' || status === '429')).toBe(true);
    expect(counts[429]).toBeGreaterThanOrEqual(1);
  });
});

/** How many of so many empty sign-ins were answered with which status. */
async function signIns(times: number, from: From, server = app): Promise<Record<number, number>> {
  const counts: Record<number, number> = {};
  for (let n = 0; n < times; n += 1) {
    const { statusCode } = await request('/api/v1/auth/token', from, server);
    counts[statusCode] = (counts[statusCode] ?? 0) + 1;
  }
  return counts;
}

function request(
  url: string,
  { address = '192.0.2.200', headers = {} }: From,
  server = app,
  method: 'GET' | 'POST' = 'POST',
) {
  return server.app.inject({
    method,
    url,
    remoteAddress: address,
    headers,
    ...(method === 'POST' ? { payload: {} } : {}),
  });
}

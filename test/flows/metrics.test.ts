import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MetricsServer } from '../../src/metrics/metrics-server.js';
import { startApp, type TestApp } from '../support/app.js';
import { firstFactor, register, secondFactor, signInByMail } from '../support/people.js';

const METRICS_TOKEN = 'vS8q2Lk0Zt5Xn7Rw3Jd6Hb9Gc1Mf4PyAe';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ METRICS_TOKEN, CODE_TOKEN_RETRY_WAIT: 'off' });
});
afterAll(() => app.close());

async function scrape(of = app): Promise<string> {
  const headers = { authorization: `Bearer ${METRICS_TOKEN}` };
  const { statusCode, body } = await of.app.inject({ method: 'GET', url: '/metrics', headers });
  expect(statusCode).toBe(200);
  return body;
}

/** The value of a series, by the whole of its name and labels as they are printed. */
async function valueOf(series: string): Promise<number> {
  const line = (await scrape()).split('\n').find((text) => text.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}

describe('who may read', () => {
  it.each([
    ['nobody', {}],
    ['another token', { authorization: `Bearer ${METRICS_TOKEN.slice(0, -1)}x` }],
    ['a longer one', { authorization: `Bearer ${METRICS_TOKEN}x` }],
    ['the token without its scheme', { authorization: METRICS_TOKEN }],
    ['nothing', { authorization: 'Bearer ' }],
  ])('%s gets 401', async (_, headers) => {
    const { statusCode, body } = await app.app.inject({ method: 'GET', url: '/metrics', headers });
    expect(statusCode).toBe(401);
    expect(body).not.toContain('countersign_');
  });

  it('nobody, where neither METRICS_TOKEN nor METRICS_PORT is set', async () => {
    const plain = await startApp();
    const headers = { authorization: 'Bearer null' };
    expect((await plain.app.inject({ method: 'GET', url: '/metrics', headers })).statusCode).toBe(404);
    await plain.close();
  });

  it('whoever reaches METRICS_PORT, which serves nothing else and is not the public port', async () => {
    const own = await startApp({ METRICS_PORT: '0' });
    const server = own.app.get(MetricsServer, { strict: false });
    const url = `http://127.0.0.1:${server.port}`;
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('countersign_database_up 1');
    expect((await fetch(`${url}/health/live`)).status).toBe(404);
    expect((await own.app.inject({ method: 'GET', url: '/metrics' })).statusCode).toBe(404);
    await own.close();
    await expect(fetch(`${url}/metrics`)).rejects.toThrow();
  });
});

describe('what is told', () => {
  it('sign-ins by factor and outcome, and messages, once what they stand in is committed and sealed', async () => {
    const person = await register(app);
    await signInByMail(app, person);
    await firstFactor(app, person.email, 'not the password');
    await firstFactor(app, 'nobody@example.com');
    await app.clock.advance(120);
    const { body } = await firstFactor(app, person.email);
    await secondFactor(app, body.codeToken, '0000000');

    const series = 'countersign_sign_ins_total';
    await expect
      .poll(() => valueOf(`${series}{factor="email",outcome="failed"}`), { timeout: 8_000, interval: 100 })
      .toBe(1);
    expect(await valueOf(`${series}{factor="password+email",outcome="succeeded"}`)).toBe(1);
    expect(await valueOf(`${series}{factor="email",outcome="challenged"}`)).toBe(2);
    expect(await valueOf(`${series}{factor="first",outcome="wrong_password"}`)).toBe(1);
    expect(await valueOf(`${series}{factor="first",outcome="unknown_identifier"}`)).toBe(1);
    await expect
      .poll(() => valueOf('countersign_messages_total{channel="email",outcome="sent"}'), { timeout: 8_000 })
      .toBeGreaterThanOrEqual(2);
    expect(await valueOf('countersign_hashes_total')).toBeGreaterThanOrEqual(5);
  });

  it('that text messages pause, because too few codes come back or the budget is used up', async () => {
    const settings = { METRICS_TOKEN, SMS_DAILY_BUDGET: '1', OTP_AUTO_CREATE_ACCOUNT: 'on' };
    const frugal = await startApp(settings);
    await frugal.http.post('/auth/otp', { identifier: '+4915112345678' });
    await expect
      .poll(() => scrape(frugal), { timeout: 8_000, interval: 100 })
      .toMatch(/^countersign_message_guard_total\{reason="budget"\} 1$/m);
    await frugal.close();
  });

  it('the pool, the queue, the database, the key and the process', async () => {
    const text = await scrape();
    for (const name of [
      'countersign_pool_connections',
      'countersign_pool_idle_connections',
      'countersign_pool_waiting',
      'countersign_hash_queue',
      'countersign_hash_wait_seconds_total',
      'countersign_job_failures_total',
      'countersign_job_lag_seconds',
      'countersign_dead_jobs',
      'countersign_signing_key_age_seconds',
      'nodejs_eventloop_lag_p99_seconds',
      'process_resident_memory_bytes',
    ]) {
      expect(text).toMatch(new RegExp(`^${name} [\\d.e+-]+$`, 'm'));
    }
    expect(text).toMatch(/^countersign_database_up 1$/m);
  });

  it('how long the oldest job that is due has waited', async () => {
    await app.sql(
      `SELECT graphile_worker.add_job('nobody-does-this', run_at => pg_catalog.now() - interval '100 seconds')`,
    );
    const lag = await valueOf('countersign_job_lag_seconds');
    // the test's clock is two minutes ahead of the queue's
    expect(lag).toBeGreaterThan(100);
    expect(lag).toBeLessThan(300);
  });

  it('requests by route and class of status; whatever is not there is one series, with any method', async () => {
    const series = 'countersign_http_request_duration_seconds_count';
    const unknown = `${series}{method="any",route="unknown",status="4xx"}`;
    const before = await valueOf(unknown);
    for (let each = 0; each < 20; each += 1) {
      await app.app.inject({ method: each % 2 ? 'PUT' : 'GET', url: `/nobody/${each}` });
      await app.app.inject({
        method: 'DELETE',
        url: `/api/v1/otp-devices/0199aaaa-0000-7000-8000-0000000000${10 + each}`,
      });
    }
    expect((await valueOf(unknown)) - before).toBe(20);
    expect(await valueOf(`${series}{method="DELETE",route="/api/v1/otp-devices/:id",status="4xx"}`)).toBe(20);
  });

  it('is told without an id, an address, an identifier or a path', async () => {
    const { email, id } = await register(app);
    await firstFactor(app, email);
    await app.app.inject({ method: 'GET', url: '/api/v1/otp-devices/pasted-secret?token=pasted-secret' });
    const labels = [...(await scrape()).matchAll(/="([^"]*)"/g)].map(([, value]) => value ?? '');
    expect(labels.length).toBeGreaterThan(50);
    for (const value of new Set(labels)) {
      expect(value).not.toMatch(/@|[0-9a-f]{8}-[0-9a-f]{4}|pasted-secret|\?/);
      expect(value).not.toContain(id);
    }
  });
});

it('a client that says nothing on METRICS_PORT keeps nobody from stopping', async () => {
  const own = await startApp({ METRICS_PORT: '0' });
  const { port } = own.app.get(MetricsServer, { strict: false });
  const socket = connect(port ?? 0, '127.0.0.1').on('error', () => undefined);
  await new Promise((resolve) => socket.once('connect', resolve));
  const began = Date.now();
  await own.close();
  expect(Date.now() - began).toBeLessThan(5_000);
});

import { Logger } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { AppLogger } from '../../src/logger.js';
import { startApp, type TestApp } from '../support/app.js';

type Line = Record<string, unknown>;

let app: TestApp;
let lines: Line[];

beforeAll(async () => {
  app = await startApp({
    NODE_ENV: 'production',
    SMTP_URL: 'smtp://127.0.0.1:1',
    LOG_LEVEL: 'info',
  });
  Logger.overrideLogger(new AppLogger('info', true));
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      if (String(text).startsWith('{')) lines.push(JSON.parse(String(text)) as Line);
      return true;
    });
  }
});
afterEach(() => {
  lines = [];
});
afterAll(async () => {
  vi.restoreAllMocks();
  Logger.overrideLogger(false);
  await app.close();
});
lines = [];

const requests = () => lines.filter(({ context }) => context === 'Request');

describe('in production', () => {
  it('each request is one line of JSON with its route, its id and how long it took', async () => {
    const { headers } = await app.http.get('/users/me');
    const [line] = requests();
    expect(line).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
      level: 'info',
      requestId: headers['x-request-id'],
      pid: process.pid,
      message: 'GET /api/v1/users/me 401',
      context: 'Request',
      method: 'GET',
      route: '/api/v1/users/me',
      status: 401,
      ms: expect.any(Number) as number,
    });
    expect(requests()).toHaveLength(1);
  });

  it('its line has no query, no id of a path and no address: they may be tokens, and they are personal', async () => {
    await app.app.inject({ method: 'GET', url: '/magic-link?token=pasted-secret' });
    await app.app.inject({ method: 'GET', url: '/api/v1/otp-devices/0199aaaa-0000-7000-8000-000000000010' });
    await app.app.inject({ method: 'GET', url: '/nothing/pasted-secret' });
    expect(requests()).toHaveLength(3);
    expect(JSON.stringify(lines)).not.toMatch(/pasted-secret|0199aaaa|127\.0\.0\.1/);
  });

  it('probes that are answered well leave no line', async () => {
    await app.app.inject({ method: 'GET', url: '/health/live' });
    await app.app.inject({ method: 'GET', url: '/health/ready' });
    expect(requests()).toEqual([]);
  });

  it('whatever is logged while a request is answered bears its id, however many there are at once', async () => {
    await app.sql('ALTER TABLE users RENAME TO users_away');
    const ids = Array.from({ length: 20 }, (_, each) => `request-id-${String(each).padStart(3, '0')}`);
    await Promise.all(
      ids.map((id) =>
        app.http.post(
          '/users',
          { email: `a-${id}@example.com`, password: 'three uncommon words' },
          {
            headers: { 'x-request-id': id },
          },
        ),
      ),
    );
    await app.sql('ALTER TABLE users_away RENAME TO users');
    const problems = lines.filter(({ context, level }) => context === 'Problem' && level === 'error');
    expect(problems).toHaveLength(20);
    for (const { message, requestId } of problems)
      expect(String(message).startsWith(`${String(requestId)} `)).toBe(true);
    expect(new Set(problems.map(({ requestId }) => requestId))).toEqual(new Set(ids));
  });

  it('what is named like a secret is not said, at any depth', () => {
    new Logger('Test').log('something', {
      password: 'pasted-secret',
      headers: { Authorization: 'pasted-secret', cookie: ['pasted-secret'] },
      device: [{ code: 'pasted-secret', accessToken: 'pasted-secret', kind: 'totp' }],
    });
    new Logger('Test').warn({ secret: 'pasted-secret', refreshToken: 'pasted-secret' });
    expect(lines).toHaveLength(2);
    expect(JSON.stringify(lines)).not.toContain('pasted-secret');
    expect(JSON.stringify(lines)).toContain('totp');
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { register } from '../support/people.js';

/** What a client may write to say where he believes to be. */
const LIES: Record<string, string>[] = [
  { host: 'evil.test' },
  { host: 'evil.test:443@example.com' },
  { 'x-forwarded-host': 'evil.test', 'x-forwarded-proto': 'http', 'x-forwarded-port': '1' },
  { forwarded: 'for=1.2.3.4;host=evil.test;proto=http' },
  { 'x-forwarded-host': 'evil.test', 'x-original-host': 'evil.test', 'x-host': 'evil.test' },
  { 'x-forwarded-prefix': '/evil.test', 'x-original-url': '//evil.test/', 'x-rewrite-url': '//evil.test/' },
  { origin: 'https://evil.test', referer: 'https://evil.test/' },
];

let app: TestApp;
beforeAll(async () => {
  // Even the word of a trusted proxy is no reason to send people elsewhere.
  app = await startApp({
    PUBLIC_URL: 'https://example.com/auth',
    TRUSTED_PROXIES: '127.0.0.1',
    CODE_RESEND_COOLDOWN: 'off',
    SEND_PER_DESTINATION: 'off',
  });
});
afterAll(() => app.close());

describe('where the links of messages lead', () => {
  it.each(LIES)('is what the operator set, whatever the request says: %j', async (headers) => {
    const { email } = await register(app);
    for (const [path, body, status, page] of [
      ['/auth/magic-link', { identifier: email }, 202, '/auth/magic-link?token='],
      ['/auth/password-reset', { identifier: email }, 202, '/auth/reset-password?token='],
    ] as const) {
      const asked = await app.app.inject({ method: 'POST', url: `/api/v1${path}`, headers, payload: body });
      expect(asked.statusCode).toBe(status);
      const { text, html } = await app.mailbox.next(email);
      expect(text).toContain(`https://example.com${page}`);
      expect(`${text}${html ?? ''}`).not.toContain('evil');
    }
  });

  it.each(LIES)('nor does anything else that is answered or sent repeat it: %j', async (headers) => {
    const { email } = await register(app);
    const again = {
      method: 'POST',
      url: '/api/v1/users',
      headers,
      payload: { email, password: 'three uncommon words' },
    };
    const answers = [
      await app.app.inject({ ...again, method: 'POST' }),
      await app.app.inject({ url: '/api/v1/nothing', headers }),
      await app.app.inject({ url: '/magic-link', headers }),
      await app.app.inject({ url: '/docs', headers }),
      await app.app.inject({ url: '/openapi.json', headers }),
      await app.app.inject({ url: '/.well-known/openid-configuration', headers }),
    ];
    for (const answer of answers) {
      expect(answer.body).not.toContain('evil');
      expect(JSON.stringify(answer.headers)).not.toContain('evil');
    }
    const { text, html } = await app.mailbox.next(email);
    expect(`${text}${html ?? ''}`).not.toContain('evil');
  });
});

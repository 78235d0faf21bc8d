import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { magicLink, resetLink, tokenOf } from '../support/links.js';
import { register } from '../support/people.js';
import { hasNginx, startNginx, type Nginx } from './nginx.js';
import { echo, send, type Sent } from './wire.js';

describe.skipIf(!hasNginx)('behind an nginx that serves it below /auth', () => {
  let app: TestApp;
  let service: Awaited<ReturnType<typeof echo>>;
  let nginx: Nginx;
  beforeAll(async () => {
    app = await startApp({ PUBLIC_URL: 'https://example.com/auth', TRUSTED_PROXIES: '127.0.0.1' });
    const replica = await app.listen();
    service = await echo();
    nginx = await startNginx({ replicas: [replica, replica], service: service.url });
  });
  afterAll(async () => {
    await nginx.stop();
    await service.stop();
    await app.close();
  });

  const ask = (sent: Sent) => send(nginx.url, sent);
  const post = (path: string, body: object) =>
    ask({ method: 'POST', path, body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
  /** Where a browser that shows `page` goes by this link. */
  const pathFrom = (page: string, link: string) => new URL(link, `https://example.com${page}`).pathname;

  it.each<[name: string, linkOf: (email: string) => Promise<URL>, extra: object]>([
    ['a magic link', (email) => magicLink(app, email), {}],
    ['a reset', (email) => resetLink(app, email), { newPassword: 'four other uncommon words' }],
  ])('the page of %s, its script and its form are found there', async (_name, linkOf, extra) => {
    const link = await linkOf((await register(app)).email);
    expect(`${link.origin}${link.pathname}`).toMatch(/^https:\/\/example\.com\/auth\//);
    const page = await ask({ path: link.pathname + link.search });
    expect(page.status).toBe(200);
    const script = pathFrom(link.pathname, /<script src="([^"]+)"/.exec(page.body)?.[1] ?? '');
    expect((await ask({ path: script })).headers['content-type']).toContain('javascript');
    const action = pathFrom(link.pathname, /data-action="([^"]+)"/.exec(page.body)?.[1] ?? '');
    expect((await post(action, { token: tokenOf(link), ...extra })).status).toBeLessThan(300);
  });

  it.each(['/auth/docs', '/auth/redoc'])('%s shows the document with addresses that work', async (path) => {
    const page = await ask({ path });
    expect(page.status).toBe(200);
    const parts = [...page.body.matchAll(/(?:src|href|spec-url)="([^"]+)"/g)].flatMap(([, part = '']) => part);
    const own = parts.filter((part) => !part.startsWith('data:'));
    expect(own.length).toBeGreaterThan(1);
    for (const part of own) expect((await ask({ path: pathFrom(path, part) })).status, part).toBe(200);
  });

  it('the document names a server that answers', async () => {
    const { servers } = JSON.parse((await ask({ path: '/auth/openapi.json' })).body) as { servers: { url: string }[] };
    const server = pathFrom('/auth/openapi.json', servers[0]?.url ?? '');
    expect((await ask({ path: `${server}/api/v1/users/me` })).headers['www-authenticate']).toMatch(/^Bearer/);
  });

  it('the type of a problem leads to the page that explains it', async () => {
    for (const path of ['/auth/api/v1/users/me', '/auth/nothing', '/auth/api/v1/auth/token/refresh']) {
      const { type, code } = JSON.parse((await ask({ path })).body) as { type: string; code: string };
      const explained = new URL(type, `https://example.com${path}`);
      expect(explained.hash).toBe(`#${code}`);
      const page = await ask({ path: explained.pathname, headers: { Accept: 'text/html' } });
      expect(page.body).toContain(`<section id="${code}">`);
    }
  });

  it('the metadata lead to the keys, under both names', async () => {
    for (const path of ['/auth/.well-known/openid-configuration', '/.well-known/oauth-authorization-server/auth']) {
      const { issuer, jwks_uri } = JSON.parse((await ask({ path })).body) as { issuer: string; jwks_uri: string };
      expect(issuer).toBe('https://example.com/auth');
      expect(JSON.parse((await ask({ path: new URL(jwks_uri).pathname })).body)).toHaveProperty('keys.0.kid');
    }
  });

  it('what is for the machine room stays there', async () => {
    for (const path of [
      '/auth/dev/outbox',
      '/auth/health/ready',
      '/auth/metrics',
      '/auth/./dev/outbox',
      '/auth//dev/outbox',
    ]) {
      expect((await ask({ path })).status, path).toBe(404);
    }
    expect((await ask({ path: '/_auth/user' })).status).toBe(404);
  });
});

import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { APP_OPTIONS, createAdapter, setUp } from '../../src/app.setup.js';
import { completeConfig } from '../../src/config/config.js';
import { ConfigModule } from '../../src/config/config.module.js';
import { readSettings } from '../../src/config/env.js';
import { Drain } from '../../src/health/drain.js';

/** Only what every server needs. */
@Module({ providers: [Drain] })
class NoFeatures {}

async function start(variables: Record<string, string>): Promise<NestFastifyApplication> {
  const config = completeConfig(readSettings(variables), { databaseUrl: 'postgres://unused', secretKey: 'unused' });
  const module = { module: NoFeatures, imports: [ConfigModule.with(config)] };
  const app = await NestFactory.create<NestFastifyApplication>(module, createAdapter(config), {
    ...APP_OPTIONS,
    logger: false,
  });
  setUp(app, config);
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  return app;
}

let app: NestFastifyApplication;
beforeAll(async () => {
  app = await start({ PUBLIC_URL: 'https://example.test/id' });
});
afterAll(() => app.close());

const get = (url: string) => app.inject({ method: 'GET', url });

describe.each(['/docs', '/docs/', '/redoc', '/redoc/', '/redoc/?theme=dark'])('%s', (url) => {
  it('is a page whose parts all come from here', async () => {
    const page = await get(url);
    expect(page.statusCode).toBe(200);
    expect(page.headers['content-type']).toContain('text/html');
    expect(page.headers['content-security-policy']).toMatch(/script-src 'self'(;|$)/);
    const parts = [...page.body.matchAll(/(?:src|href|spec-url)="([^"]+)"/g)].flatMap(([, part = '']) => part);
    const own = parts.filter((part) => part !== 'data:,');
    expect(own.length).toBeGreaterThan(1);
    for (const part of own) {
      const found = new URL(part, `http://here.test${url}`);
      expect(found.host).toBe('here.test');
      expect((await get(found.pathname)).statusCode).toBe(200);
    }
  });

  it('has no script of its own, which the content security policy would not run', async () => {
    expect((await get(url)).body).not.toMatch(/<script>|<script [^>]*>\s*\S+\s*<\/script>| on\w+="/);
  });
});

it('takes the request to another server out of ReDoc', async () => {
  const { body, headers } = await get('/redoc/redoc.standalone.js');
  expect(body.length).toBeGreaterThan(500_000);
  expect(body).not.toContain('cdn.redoc');
  expect(headers['cache-control']).toBe('public, max-age=86400');
});

it('serves one document in two notations, below the path that the gateway gives it', async () => {
  const json = (await get('/openapi.json')).json<{ openapi: string; servers: { url: string }[] }>();
  expect(json.openapi).toBe('3.1.0');
  expect(json.servers[0]?.url).toBe('/id');
  expect(parse((await get('/openapi.yaml')).body)).toEqual(json);
});

it.each(['/docs', '/redoc', '/openapi.json', '/openapi.yaml', '/redoc/redoc.standalone.js'])(
  'hides %s where DOCS_ENABLED is off',
  async (url) => {
    const silent = await start({ DOCS_ENABLED: 'off' });
    expect((await silent.inject({ method: 'GET', url })).statusCode).toBe(404);
    await silent.close();
  },
);

import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from '../src/app.module.js';
import { APP_OPTIONS, createAdapter, setUp } from '../src/app.setup.js';
import { completeConfig } from '../src/config/config.js';
import { readSettings } from '../src/config/env.js';
import { createDocument } from '../src/openapi/document.js';

/** `openapi.json`. In preview mode Nest reads the decorators and makes nothing: no provider, no connection, no worker. */
export async function renderOpenApi(): Promise<string> {
  const settings = readSettings({ DOCS_ENABLED: 'off' });
  const config = completeConfig(settings, { databaseUrl: 'postgres://unused', secretKey: 'unused' });
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.with(config), createAdapter(config), {
    ...APP_OPTIONS,
    preview: true,
    logger: false,
  });
  setUp(app, config);
  return `${JSON.stringify(createDocument(app), null, 2)}\n`;
}

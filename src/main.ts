import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from './app.module.js';
import { APP_OPTIONS, createAdapter, setUp } from './app.setup.js';
import type { Config } from './config/config.js';
import { ConfigurationError, environment, readSettings } from './config/env.js';
import { EmbeddedPostgresError } from './database/embedded.js';
import { AppLogger } from './logger.js';
import { prepare } from './prepare.js';

async function start(): Promise<void> {
  const settings = readSettings(environment());
  const { production, logLevel } = settings.server;
  const logger = new AppLogger(logLevel, production);
  Logger.overrideLogger(logger);
  const config = await prepare(settings);
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.with(config), createAdapter(config), {
    ...APP_OPTIONS,
    logger,
  });
  setUp(app, config);
  app.enableShutdownHooks();
  await app.listen({ port: config.server.port, host: config.server.host });
  greet(app, config);
}

function greet(app: NestFastifyApplication, { server, mail }: Config): void {
  const logger = new Logger('Countersign');
  const address = app.getHttpServer().address();
  const port = typeof address === 'object' && address !== null ? address.port : server.port;
  const url = server.port === 0 ? server.publicUrl.replace(/:0$/, `:${port}`) : server.publicUrl;
  logger.log(`Listening on ${server.host}:${port}, reached at ${url}`);
  if (server.docsEnabled) logger.log(`Try the API: ${url}/docs`);
  if (mail.smtpUrl === null) logger.log(`No SMTP_URL: mails are shown at ${url}/dev/outbox`);
}

/** Says plainly what to do where the reason is known, and shows the whole error where it is not. */
function explain(cause: unknown): string {
  if (cause instanceof ConfigurationError || cause instanceof EmbeddedPostgresError) return cause.message;
  const { code, message, stack } = cause as NodeJS.ErrnoException;
  switch (code) {
    case 'EADDRINUSE':
      return 'PORT is in use by another process; stop that one, or set PORT to a free port';
    case 'EACCES':
      return 'PORT or HOST may not be used by this user; set PORT to 1024 or more';
    case 'EADDRNOTAVAIL':
      return 'HOST is no address of this machine; use 127.0.0.1, 0.0.0.0 or ::';
    case 'ECONNREFUSED':
    case 'ENOTFOUND':
    case '28P01':
    case '3D000':
      return `DATABASE_URL: the database cannot be reached (${message})`;
    default:
      return stack ?? String(cause);
  }
}

try {
  await start();
} catch (cause) {
  process.stderr.write(`Countersign did not start.\n${explain(cause)}\n`);
  process.exit(1);
}

import { Logger, type DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Config } from './config/config.js';
import { environment, readSettings, shareWithOpenTelemetry, type Variables } from './config/env.js';
import { armFailpoint } from './config/failpoints.js';
import { tracesProtocol } from './config/traces.js';
import { AppLogger } from './logger.js';
import { explainStartFailure } from './start-failure.js';

// A log that cannot be written (nobody reads it, or the disk is full) must not end the service.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

async function start(): Promise<void> {
  const variables = environment();
  const settings = readSettings(variables);
  armFailpoint(variables);
  const { production, logLevel } = settings.server;
  const logger = new AppLogger(logLevel, production);
  Logger.overrideLogger(logger);
  const tracing = await startTracing(variables);
  // Loaded only now, and beside each other: a setting that is refused is refused at once, and the database comes up
  // while the modules are read.
  const [config, { AppModule }, { APP_OPTIONS, createAdapter, setUp }] = await Promise.all([
    import('./prepare.js').then(({ prepare }) => prepare(settings)),
    import('./app.module.js'),
    import('./app.setup.js'),
  ]);
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.with(config, { tracing }),
    createAdapter(config),
    {
      ...APP_OPTIONS,
      logger,
    },
  );
  setUp(app, config);
  // Exit code 0: Nest would otherwise end by the signal again, which supervisors take for a failure.
  app.enableShutdownHooks(['SIGINT', 'SIGTERM'], { useProcessExit: true });
  await app.listen({ port: config.server.port, host: config.server.host });
  greet(app, config);
  await createFirstAdmin(app, config);
}

/** Before what is traced is loaded, and nothing of it is loaded where nobody wants traces. */
async function startTracing(variables: Variables): Promise<DynamicModule[]> {
  const protocol = tracesProtocol(variables);
  if (protocol === null) return [];
  shareWithOpenTelemetry(variables);
  const { TracingModule } = await import('./tracing/tracing.module.js');
  return [await TracingModule.start(protocol)];
}

/** Its link goes to stdout by itself, once: a log is kept, copied and read by others. */
async function createFirstAdmin(app: NestFastifyApplication, { accounts }: Config): Promise<void> {
  if (accounts.bootstrapAdminEmail === null) return;
  const { AdminCreation } = await import('./admin/admin-creation.service.js');
  const link = await app.get(AdminCreation).createFirst(accounts.bootstrapAdminEmail);
  if (link === null) return;
  if (link === 'taken') {
    new Logger('Countersign').warn(
      'The address of BOOTSTRAP_ADMIN_EMAIL has an account, and nobody is an administrator. If the account is yours, promote it with: countersign users create-admin',
    );
    return;
  }
  const until = link.expiresAt.toISOString();
  process.stdout.write(
    `The first administrator was made. Choose his password, once and until ${until}:\n${link.url}\n`,
  );
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

try {
  await start();
} catch (cause) {
  process.stderr.write(`Countersign did not start.\n${explainStartFailure(cause)}\n`);
  process.exit(1);
}

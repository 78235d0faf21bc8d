import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import type { Host } from './cli/host.js';
import type { Settings } from './config/config.js';
import { ConfigurationError, readSettings, type Variables } from './config/env.js';
import { findMigrationStates } from './database/migrate.js';
import { AppLogger } from './logger.js';
import { prepare } from './prepare.js';
import { explainStartFailure } from './start-failure.js';

/** stdout is for the answer of the command. */
class StderrLogger extends AppLogger {
  constructor({ server }: Settings, coloured: boolean) {
    // What a service tells while it starts is of no use here.
    super(server.logLevel === 'info' ? 'warn' : server.logLevel, server.production);
    this.options.colors = coloured;
  }

  protected override printMessages(...[messages, context, level, , ...rest]: Parameters<AppLogger['printMessages']>) {
    super.printMessages(messages, context, level, 'stderr', ...rest);
  }
}

/** What the command line stands on, with these settings. */
export function createHost(variables: Variables): Host {
  const settings = () => readSettings(variables);
  const loggerFor = (known: Settings) => new StderrLogger(known, process.stderr.isTTY && !variables['NO_COLOR']);
  const prepareQuietly = (options: { migrates?: boolean } = {}) => {
    const known = settings();
    Logger.overrideLogger(loggerFor(known));
    return prepare(known, options);
  };
  return {
    variables,
    settings,
    prepare: () => prepareQuietly({ migrates: false }),
    async open() {
      const config = await prepareQuietly();
      if (!config.storage.migrateOnStart) await refusePending(config.storage.directUrl);
      const module = AppModule.with(config, { worksJobs: false });
      return NestFactory.createApplicationContext(module, { logger: loggerFor(config), abortOnError: false });
    },
    explain: explainStartFailure,
  };
}

async function refusePending(directUrl: string): Promise<void> {
  const pending = (await findMigrationStates(directUrl)).some(({ applied }) => !applied);
  if (!pending) return;
  throw new ConfigurationError([
    'MIGRATE_ON_START is off and migrations are pending; apply them with: countersign migrate up',
  ]);
}

#!/usr/bin/env node
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import type { Host } from './cli/host.js';
import { runProgram } from './cli/program.js';
import type { Settings } from './config/config.js';
import { ConfigurationError, environment, readSettings } from './config/env.js';
import { findMigrationStates } from './database/migrate.js';
import { AppLogger } from './logger.js';
import { prepare } from './prepare.js';
import { explainStartFailure } from './start-failure.js';

/** stdout is for the answer of the command. */
class StderrLogger extends AppLogger {
  constructor({ server }: Settings) {
    // What a service tells while it starts is of no use here.
    super(server.logLevel === 'info' ? 'warn' : server.logLevel, server.production);
    this.options.colors = process.stderr.isTTY && !variables['NO_COLOR'];
  }

  protected override printMessages(...[messages, context, level, , ...rest]: Parameters<AppLogger['printMessages']>) {
    super.printMessages(messages, context, level, 'stderr', ...rest);
  }
}

const variables = environment();

const host: Host = {
  variables,
  settings: () => readSettings(variables),
  prepare: () => prepareQuietly({ migrates: false }),
  async open() {
    const config = await prepareQuietly();
    if (!config.storage.migrateOnStart) await refusePending(config.storage.databaseUrl);
    const module = AppModule.with(config, { worksJobs: false });
    return NestFactory.createApplicationContext(module, { logger: loggerFor(config), abortOnError: false });
  },
  explain: explainStartFailure,
};

function prepareQuietly(options: { migrates?: boolean } = {}) {
  const settings = host.settings();
  Logger.overrideLogger(loggerFor(settings));
  return prepare(settings, options);
}

function loggerFor(settings: Settings): AppLogger {
  return new StderrLogger(settings);
}

async function refusePending(databaseUrl: string): Promise<void> {
  const pending = (await findMigrationStates(databaseUrl)).some(({ applied }) => !applied);
  if (!pending) return;
  throw new ConfigurationError([
    'MIGRATE_ON_START is off and migrations are pending; apply them with: countersign migrate up',
  ]);
}

// Whoever reads may have read enough, as `head` has.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

// The embedded database, where this process started it, ends with it.
process.exit(await runProgram(host, process.argv.slice(2)));

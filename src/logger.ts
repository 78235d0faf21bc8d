import { ConsoleLogger, type LogLevel } from '@nestjs/common';
import type { Settings } from './config/config.js';

type Level = Settings['server']['logLevel'];

const LOG_LEVELS: Record<Level, LogLevel[]> = {
  error: ['fatal', 'error'],
  warn: ['fatal', 'error', 'warn'],
  info: ['fatal', 'error', 'warn', 'log'],
  debug: ['fatal', 'error', 'warn', 'log', 'debug', 'verbose'],
};

/** What the framework tells of itself while it starts: of use only to somebody who debugs the start. */
const FRAMEWORK = new Set(['NestFactory', 'InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestApplication']);

/** One line an entry for people; one JSON object an entry in production. */
export class AppLogger extends ConsoleLogger {
  private readonly debugging: boolean;

  constructor(level: Level, production: boolean) {
    super({ json: production, logLevels: LOG_LEVELS[level], prefix: 'Countersign' });
    this.debugging = level === 'debug';
  }

  override log(message: unknown, ...rest: unknown[]): void {
    const context = rest.at(-1);
    if (!this.debugging && typeof context === 'string' && FRAMEWORK.has(context)) return;
    super.log(message, ...rest);
  }

  /** A failed start is explained once, by `main.ts`. */
  override error(message: unknown, ...rest: unknown[]): void {
    if (!this.debugging && rest.at(-1) === 'ExceptionHandler') return;
    super.error(message, ...rest);
  }
}

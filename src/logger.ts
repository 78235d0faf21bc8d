import { ConsoleLogger, type LogLevel } from '@nestjs/common';
import type { Settings } from './config/config.js';
import { currentRequestId } from './request-log.js';

type Entry = ReturnType<ConsoleLogger['getJsonLogObject']>;
type Level = Settings['server']['logLevel'];

const LOG_LEVELS: Record<Level, LogLevel[]> = {
  error: ['fatal', 'error'],
  warn: ['fatal', 'error', 'warn'],
  info: ['fatal', 'error', 'warn', 'log'],
  debug: ['fatal', 'error', 'warn', 'log', 'debug', 'verbose'],
};

/** What the framework tells of itself while it starts: of use only to somebody who debugs the start. */
const FRAMEWORK = new Set(['NestFactory', 'InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestApplication']);

/** Never said, wherever it stands in what is logged. Texts are not searched: whoever writes one leaves secrets out. */
const SECRETS = [
  ...['authorization', 'cookie', 'set-cookie', 'password', 'newPassword', 'currentPassword', 'passwordHash'],
  ...['code', 'codes', 'token', 'accessToken', 'refreshToken', 'codeToken', 'enrollmentToken', 'linkToken'],
  ...['trustedBrowserToken', 'secret', 'secretKey', 'sealedSecret', 'parameters'],
];

/** One line an entry for people; one JSON object an entry in production. */
export class AppLogger extends ConsoleLogger {
  private readonly debugging: boolean;

  constructor(level: Level, production: boolean) {
    super({
      json: production,
      logLevels: LOG_LEVELS[level],
      prefix: 'Countersign',
      flattenParams: true,
      redact: SECRETS,
    });
    this.debugging = level === 'debug';
  }

  protected override stringifyJsonLogObject({ level, timestamp, ...rest }: object & Partial<Entry>): string {
    return super.stringifyJsonLogObject({
      time: new Date(timestamp ?? Date.now()).toISOString(),
      level: level === 'log' ? 'info' : level,
      requestId: currentRequestId(),
      ...rest,
    });
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

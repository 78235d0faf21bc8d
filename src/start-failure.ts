import { ConfigurationError } from './config/env.js';
import { EmbeddedPostgresError } from './database/embedded-error.js';

/** Says plainly what to do where the reason is known, and shows the whole error where it is not. Never a value. */
export function explainStartFailure(cause: unknown): string {
  if (cause instanceof ConfigurationError || cause instanceof EmbeddedPostgresError) return cause.message;
  if (!(cause instanceof Error)) return String(cause);
  const { code, syscall, message, stack } = cause as NodeJS.ErrnoException;
  const reason = code ?? message;
  switch (syscall === 'listen' ? `listen ${reason}` : reason) {
    case 'listen EADDRINUSE':
      return 'PORT is in use by another process; stop that one, or set PORT to a free port';
    case 'listen EACCES':
      return 'PORT or HOST may not be used by this user; set PORT to 1024 or more';
    case 'listen EADDRNOTAVAIL':
      return 'HOST is no address of this machine; use 127.0.0.1, 0.0.0.0 or ::';
    case 'ECONNREFUSED':
    case 'ECONNRESET':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
    case 'timeout expired': // pg's own, which has no code
      return `DATABASE_URL: the database cannot be reached (${reason}); start it, or correct its host and port`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `DATABASE_URL: its host name is not known (${reason}); correct it, or start the database`;
    case '28000':
    case '28P01':
      return `DATABASE_URL: the database refuses its user or password (${reason})`;
    case '3D000':
      return `DATABASE_URL: its database does not exist (${reason}); create it first`;
    case '53300':
      return `DATABASE_URL: all connections of the database are in use (${reason}); raise its max_connections, or lower DATABASE_POOL_SIZE`;
    case '57P03':
      return `DATABASE_URL: the database is starting or stopping (${reason}); wait until it takes connections`;
    case '25006':
      return `DATABASE_URL: the database takes no writes (${reason}); name the primary, or wait until a failover is over`;
    case '42P01':
    case '42703':
      return `The tables of the database are of an older version (${reason}); apply what is pending with: countersign migrate up`;
    case '42501':
      return `DATABASE_URL: its user may not create tables (${reason}); grant it CREATE on the schema public`;
    default:
      return stack ?? message;
  }
}

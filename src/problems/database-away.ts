import { QueryFailedError } from 'typeorm';

/** Classes and codes of PostgreSQL errors that pass: 08 connection, 53 resources, 57P shutdown, 57014 and 55P03 timeouts, 25006 read-only. */
const PASSING = /^(08|53|57P|57014|55P03|25006|40001|40P01)/;
/** The same on the way to the database. */
const UNREACHABLE = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'ENOENT', 'EAI_AGAIN']);
/** What the driver says without a code, where no connection was to be had in time. */
const NO_CONNECTION = /timeout exceeded when trying to connect|connection terminated due to/i;

/** 08 connection; 57P01, 57P02 and 57P05 are said by a server that closes a connection. */
const CUT = /^(08|57P0[125]|ECONNRESET|EPIPE)/;
/** What the driver and TypeORM say without a code, where a connection went away between two statements. */
const CUT_BETWEEN = /connection terminated(?! due to)|query runner (was )?already released|is not queryable/i;

/** Whether the database will answer again, and this was no mistake of ours. */
export function isDatabaseAway(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  const code = databaseCodeOf(thrown);
  return PASSING.test(code) || UNREACHABLE.has(code) || NO_CONNECTION.test(thrown.message) || isConnectionLost(thrown);
}

/** Whether a connection that had been made was cut: another one may work at once. What was asked on it may have been done. */
export function isConnectionLost(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  return CUT.test(databaseCodeOf(thrown)) || CUT_BETWEEN.test(thrown.message);
}

/** The SQLSTATE, or the code of the system's error; empty where there is none. */
export function databaseCodeOf(thrown: unknown): string {
  const error: unknown = thrown instanceof QueryFailedError ? thrown.driverError : thrown;
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

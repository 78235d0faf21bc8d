import { HttpException } from '@nestjs/common';
import { QueryFailedError } from 'typeorm';
import type { ProblemCode } from './catalogue.js';
import { Problem } from './problem.js';

const BY_STATUS: Readonly<Record<number, ProblemCode>> = {
  400: 'validation_failed',
  401: 'invalid_token',
  // What Nest itself forbids is a request of another site; our own refusals are problems already.
  403: 'cross_site_request',
  404: 'not_found',
  405: 'http_method_not_allowed',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
  429: 'too_many_requests',
  431: 'headers_too_large',
  503: 'unavailable',
};

/** Errors of Fastify that say more than their status. */
const BY_FASTIFY_CODE: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_body',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_body',
  FST_ERR_BAD_URL: 'not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
};

/** Classes and codes of PostgreSQL errors that pass: 08 connection, 53 resources, 57P shutdown, 57014 and 55P03 timeouts, 25006 read-only. */
const PASSING = /^(08|53|57P|57014|55P03|25006|40001|40P01)/;
/** The same on the way to the database. */
const UNREACHABLE = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'ENOENT', 'EAI_AGAIN']);

/** What the driver and TypeORM say without a code, where a connection went away between two statements. */
const LOST =
  /connection terminated|timeout exceeded when trying to connect|query runner (was )?already released|is not queryable/i;

/** Seconds: a database that restarts is back about then. */
const RETRY_AFTER = 2;

/** What a caller is told about anything that was thrown. */
export function toProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  if (thrown instanceof HttpException) return byStatus(thrown.getStatus());
  if (isDatabaseAway(thrown)) return new Problem('unavailable', { retryAfter: RETRY_AFTER });
  const { code, statusCode } = thrown as { code?: unknown; statusCode?: unknown };
  const fastify = typeof code === 'string' ? BY_FASTIFY_CODE[code] : undefined;
  if (fastify) return new Problem(fastify);
  return typeof statusCode === 'number' ? byStatus(statusCode) : new Problem('internal_error');
}

function byStatus(status: number): Problem {
  const code = BY_STATUS[status] ?? (status < 500 ? 'validation_failed' : 'internal_error');
  return new Problem(code, code === 'unavailable' ? { retryAfter: RETRY_AFTER } : {});
}

function isDatabaseAway(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  const error = (thrown instanceof QueryFailedError ? thrown.driverError : thrown) as { code?: unknown };
  const code = typeof error.code === 'string' ? error.code : '';
  if (PASSING.test(code) || UNREACHABLE.has(code)) return true;
  return LOST.test(thrown.message);
}

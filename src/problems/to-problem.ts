import { HttpException } from '@nestjs/common';
import type { ProblemCode } from './catalogue.js';
import { isDatabaseAway } from './database-away.js';
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
};

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

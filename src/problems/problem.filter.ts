import { Catch, Injectable, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { QueryFailedError } from 'typeorm';
import { Config } from '../config/config.js';
import { toProblem } from './to-problem.js';
import { catalogue } from './catalogue.js';
import { Problem, type ProblemOptions } from './problem.js';

/** What is answered for a problem (RFC 9457 §3.1). */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  requestId: string;
  errors?: { field: string; messages: string[] }[];
  retryAfter?: number;
}

/** The driver's error, as far as it holds nothing of the statement's values. */
interface DatabaseError extends Error {
  code?: string;
  table?: string;
  constraint?: string;
}

/** The one place where anything thrown becomes an answer. No stack, SQL, path or version leaves. */
@Injectable()
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Problem');

  constructor(private readonly config: Config) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.send(thrown, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  /** Also for what the server refuses before a handler is found. */
  send(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const problem = toProblem(thrown);
    if (problem.status >= 500) this.log(problem, thrown, request.id);
    if (reply.sent) return;
    void reply
      .status(problem.status)
      // what is refused before any other hook has no id in its answer yet
      .headers({ ...headersOf(problem), 'x-request-id': request.id })
      .type('application/problem+json; charset=utf-8')
      .send(JSON.stringify(bodyOf(problem, request.id, this.config.server.basePath)));
  }

  /** An SQL error names its statement and its parameters, and those may be secrets: only its code is logged. */
  private log(problem: Problem, thrown: unknown, requestId: string): void {
    if (thrown instanceof QueryFailedError) {
      const { name, code, table, constraint } = thrown.driverError as DatabaseError;
      const where = [table, constraint].filter(Boolean).join('.');
      this.logger.error(
        `${requestId} ${problem.code}: database error ${code ?? name} ${where}`,
        thrown.stack?.split('\n').slice(1).join('\n'),
      );
      return;
    }
    if (problem.code === 'internal_error')
      this.logger.error(`${requestId} ${String(thrown)}`, thrown instanceof Error ? thrown.stack : undefined);
    else this.logger.warn(`${requestId} ${problem.code}`);
  }
}

/** `basePath`: below it a gateway serves our pages, so the one that explains the code too. */
export function bodyOf(problem: Problem, requestId: string, basePath: string): ProblemBody {
  const { status, title } = catalogue[problem.code];
  const { errors, retryAfter } = problem.options;
  return {
    type: `${basePath}/problems#${problem.code}`,
    title,
    status,
    detail: problem.message,
    code: problem.code,
    requestId,
    ...(errors ? { errors } : {}),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
}

function headersOf({ code, status, options }: Problem): Record<string, string> {
  return {
    'cache-control': 'no-store',
    ...(options.retryAfter === undefined ? {} : { 'retry-after': String(options.retryAfter) }),
    ...(status === 401 ? { 'www-authenticate': challengeOf(code, options.stepUp) } : {}),
  };
}

/** RFC 6750 §3 (no error where no token was sent) and RFC 9470 §3 for step-up. */
function challengeOf(code: string, stepUp: ProblemOptions['stepUp']): string {
  if (stepUp) {
    const maxAge = stepUp.maxAge === undefined ? '' : `, max_age="${stepUp.maxAge}"`;
    return `Bearer realm="countersign", error="insufficient_user_authentication", error_description="A more recent proof of a factor is needed", acr_values="${stepUp.acrValues}"${maxAge}`;
  }
  return code === 'invalid_token' ? 'Bearer realm="countersign", error="invalid_token"' : 'Bearer realm="countersign"';
}

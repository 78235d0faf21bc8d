import { Injectable, SetMetadata, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { setTimeout as sleep } from 'node:timers/promises';
import { retry, throwError, timer, type Observable } from 'rxjs';
import { databaseCodeOf, isConnectionLost } from '../problems/database-away.js';
import { PLAN_OUTLIVED } from './statement-names.js';

/** Milliseconds in which the pool hears of what was cut: at once it would give the same connection out again. */
const MOMENT = 30;

const NEVER_REPEATED = 'countersign:never-repeated';

/** For a GET handler that writes as well: repeated, it would write twice. */
export const NeverRepeated = () => SetMetadata(NEVER_REPEATED, true);

/**
 * A connection that was cut while nobody used it is noticed by whoever uses it first, and so is a plan that a migration has
 * outdated. A GET is asked once more then; nothing else ever is, since what was cut may have been done.
 */
@Injectable()
export class RepeatReads implements NestInterceptor {
  constructor(private readonly reflector: Reflector) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { method } = context.switchToHttp().getRequest<FastifyRequest>();
    const writes = this.reflector.get<boolean | undefined>(NEVER_REPEATED, context.getHandler());
    if (method !== 'GET' || writes) return next.handle();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    return next.handle().pipe(
      retry({
        count: 1,
        delay: (thrown: unknown) =>
          isWorthRepeating(thrown) && !reply.sent ? timer(MOMENT) : throwError(() => thrown),
      }),
    );
  }
}

function isWorthRepeating(thrown: unknown): boolean {
  return isConnectionLost(thrown) || databaseCodeOf(thrown) === PLAN_OUTLIVED;
}

/** The same for one read in a guard, or in a handler that is never repeated. `read` itself must write nothing. */
export async function repeatRead<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (thrown) {
    if (!isWorthRepeating(thrown)) throw thrown;
    await sleep(MOMENT);
    return read();
  }
}

import { Injectable, SetMetadata, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { concatMap, type Observable } from 'rxjs';
import { LiveSessions } from './live-sessions.js';

const ENDS_SESSIONS = 'countersign:ends-sessions';

/**
 * For handlers that end sessions, change roles or make tokens void: their answer waits until every replica knows. Without it the next request,
 * at another replica, could be some milliseconds quicker than the announcement.
 */
export const EndsSessions = () => SetMetadata(ENDS_SESSIONS, true);

@Injectable()
export class EndsSessionsInterceptor implements NestInterceptor {
  constructor(
    private readonly reflector: Reflector,
    private readonly sessions: LiveSessions,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const ends = this.reflector.get<boolean | undefined>(ENDS_SESSIONS, context.getHandler());
    if (!ends) return next.handle();
    return next.handle().pipe(
      concatMap(async (answer: unknown) => {
        await this.sessions.settle();
        return answer;
      }),
    );
  }
}

import {
  Injectable,
  UseInterceptors,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { concatMap, type Observable } from 'rxjs';
import { LiveSessions } from './live-sessions.js';

@Injectable()
class SettledSessions implements NestInterceptor {
  constructor(private readonly sessions: LiveSessions) {}

  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(
      concatMap(async (answer: unknown) => {
        await this.sessions.settle();
        return answer;
      }),
    );
  }
}

/**
 * For handlers that end sessions, change roles or make tokens void: their answer waits until every replica knows. The next
 * request, at another replica, could else be some milliseconds quicker than the announcement.
 */
export const EndsSessions = () => UseInterceptors(SettledSessions);

import {
  applyDecorators,
  Injectable,
  UseInterceptors,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { ApiExtension, ApiHeader } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { map, tap, type Observable } from 'rxjs';
import { Config } from '../config/config.js';
import { asksForCookies, clearAuthCookies, tokensToCookies, type AnsweredTokens } from './auth-cookies.js';

/** That an operation sets cookies, in the OpenAPI document while it is built. */
export const SETS_COOKIES_EXTENSION = 'x-sets-cookies';

/** Who came with a cookie gets cookies, whatever he asks for: an injected script could otherwise ask for the tokens. */
@Injectable()
class TokensAsCookies implements NestInterceptor {
  constructor(private readonly config: Config) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (!this.config.tokens.authCookies) return next.handle();
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    return next.handle().pipe(
      map((answer: unknown) => {
        if (!hasTokens(answer) || !(asksForCookies(request) || request.usedAuthCookie)) return answer;
        return tokensToCookies(http.getResponse<FastifyReply>(), answer, this.config);
      }),
    );
  }
}

/** Clears the cookies of a session that has just ended. */
@Injectable()
class CookiesOfTheEnded implements NestInterceptor {
  constructor(private readonly config: Config) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (!this.config.tokens.authCookies) return next.handle();
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    return next.handle().pipe(
      tap(() => {
        const inCookies = request.usedAuthCookie || asksForCookies(request);
        if (inCookies && endsOwnSession(request)) clearAuthCookies(http.getResponse<FastifyReply>(), this.config);
      }),
    );
  }
}

/** For handlers that answer an access token: with AUTH_COOKIES, a browser may have it as a cookie. */
export const AnswersTokens = () =>
  applyDecorators(
    UseInterceptors(TokensAsCookies),
    ApiHeader({
      name: 'X-Auth-Cookies',
      required: false,
      schema: { type: 'string', enum: ['on'] },
      description:
        'For browsers, where AUTH_COOKIES is on: the tokens come as cookies that no script can read, and not in the body.',
    }),
    ApiExtension(SETS_COOKIES_EXTENSION, true),
  );

/** For handlers that end the session which they were called in, or one that their path names: its cookies go with it. */
export const ClearsCookies = () =>
  applyDecorators(UseInterceptors(CookiesOfTheEnded), ApiExtension(SETS_COOKIES_EXTENSION, true));

function hasTokens(answer: unknown): answer is AnsweredTokens {
  return typeof answer === 'object' && answer !== null && 'accessToken' in answer;
}

function endsOwnSession({ params, principal }: FastifyRequest): boolean {
  const { id } = params as { id?: string };
  return id === undefined || (principal?.kind === 'access' && principal.sessionId === id.toLowerCase());
}

import type { FastifyRequest } from 'fastify';
import type { Config } from '../config/config.js';
import { invalidField } from '../problems/problem.js';
import { ACCESS_COOKIE, readAuthCookie, REFRESH_COOKIE } from './auth-cookies.js';
import type { RefreshTokenDto } from './tokens.dto.js';

/** Null where there is none: never from a query or a form (RFC 6750 §5.3), and from a cookie only with AUTH_COOKIES. */
export function bearerOf(request: FastifyRequest, { tokens }: Config): string | null {
  const { authorization } = request.headers;
  if (authorization !== undefined) return /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? null;
  return tokens.authCookies ? readAuthCookie(request, ACCESS_COOKIE) : null;
}

/** Of the body, or else of the cookie. A browser that has lost its cookie sends none, which is no refresh token either. */
export function refreshTokenOf(request: FastifyRequest, { refreshToken }: RefreshTokenDto, { tokens }: Config): string {
  if (refreshToken !== undefined) return refreshToken;
  if (tokens.authCookies) return readAuthCookie(request, REFRESH_COOKIE) ?? '';
  throw invalidField('refreshToken', 'is required');
}

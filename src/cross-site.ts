import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import type { Config } from './config/config.js';
import { Problem } from './problems/problem.js';
import { asksForCookies, sendsAuthCookie } from './tokens/auth-cookies.js';

const SAFE_METHODS: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];

/**
 * A browser adds cookies to what pages of other sites send (CSRF), so a request that changes something by a cookie must
 * show that it comes from this origin, or from one that the operator named. A request with a bearer token need not: no
 * browser adds that by itself.
 */
export function refuseCrossSite(app: NestFastifyApplication, { server, tokens }: Config): void {
  if (!tokens.authCookies) return;
  app.enableCsrfProtection({
    // PUBLIC_URL too: a proxy may have changed the Host that Nest compares with.
    trustedOrigins: [new URL(server.publicUrl).origin, ...server.corsOrigins],
    exclude: (request: FastifyRequest) => !usesCookies(request),
  });
  // Nest lets pass what says nothing of its origin. Every browser of the last years does, so this is none, or no longer
  // one: it can send the token as a bearer.
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', (request: FastifyRequest, _reply: unknown, done: (refusal?: Error) => void) => {
      done(usesCookies(request) && !tellsOrigin(request) ? new Problem('cross_site_request') : undefined);
    });
}

function usesCookies(request: FastifyRequest): boolean {
  if (SAFE_METHODS.includes(request.method)) return false;
  return sendsAuthCookie(request) || asksForCookies(request);
}

function tellsOrigin({ headers }: FastifyRequest): boolean {
  return headers['sec-fetch-site'] !== undefined || headers.origin !== undefined;
}

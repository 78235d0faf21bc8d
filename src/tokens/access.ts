import { applyDecorators, createParamDecorator, SetMetadata, type ExecutionContext } from '@nestjs/common';
import { ApiBearerAuth, ApiCookieAuth, ApiExtension } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import type { AccessPrincipal, Principal } from './principal.js';

/** Kinds of token that open a route as `Authorization: Bearer`. The others are only ever part of a body. */
export type BearerKind = Principal['kind'];

export const ACCEPTED_KINDS = 'countersign:accepted-kinds';
export const REQUIRES_ADMIN = 'countersign:requires-admin';
export const REQUIRES_FRESH = 'countersign:requires-fresh';
/** The same in the OpenAPI document, while it is built. */
export const REQUIRES_FRESH_EXTENSION = 'x-requires-fresh';
export const REQUIRES_ADMIN_EXTENSION = 'x-requires-admin';

const SCHEMES = { access: 'accessToken', enrollment: 'enrollmentToken' } as const satisfies Record<BearerKind, string>;

/** Names the tokens that open this handler. Every handler says this or `@Public()`, or the service does not start. */
export const Accepts = (...kinds: readonly [BearerKind, ...BearerKind[]]) =>
  applyDecorators(
    SetMetadata(ACCEPTED_KINDS, kinds),
    ...kinds.map((kind) => ApiBearerAuth(SCHEMES[kind])),
    ...(kinds.includes('access') ? [ApiCookieAuth('sessionCookie')] : []),
  );

/** Opens this handler to everybody. */
export const Public = () => SetMetadata(ACCEPTED_KINDS, []);

/**
 * Opens this handler to access tokens of users who have the role `admin` at this very moment, whatever the token says.
 * An admin who has a device that counts for `aal2` must have used it.
 */
export const AdminsOnly = () =>
  applyDecorators(Accepts('access'), SetMetadata(REQUIRES_ADMIN, true), ApiExtension(REQUIRES_ADMIN_EXTENSION, true));

/**
 * An access token must come from a recent proof of a factor (STEP_UP_MAX_AGE), or the answer is the challenge of
 * RFC 9470: an open session alone must not be enough to change factors. An enrollment token is recent by its nature.
 */
export const RequiresFresh = () =>
  applyDecorators(SetMetadata(REQUIRES_FRESH, true), ApiExtension(REQUIRES_FRESH_EXTENSION, true));

declare module 'fastify' {
  interface FastifyRequest {
    principal?: Principal;
  }
}

/** The verified principal of the request. The guard has set it on every handler that is not public. */
export const CurrentPrincipal = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<FastifyRequest>();
  if (!principal) throw new Error('A public handler asks for a principal');
  return principal;
});

/** The same for handlers that accept only access tokens. */
export const CurrentUser = createParamDecorator((_: unknown, context: ExecutionContext): AccessPrincipal => {
  const { principal } = context.switchToHttp().getRequest<FastifyRequest>();
  if (principal?.kind !== 'access') throw new Error('A handler that asks for a user must accept access tokens only');
  return principal;
});

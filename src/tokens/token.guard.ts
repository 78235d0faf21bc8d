import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AuthGuard } from '@nestjs/passport';
import type { FastifyRequest } from 'fastify';
import { Config } from '../config/config.js';
import { Problem } from '../problems/problem.js';
import { ACCEPTED_KINDS, REQUIRES_ADMIN, REQUIRES_FRESH, type BearerKind } from './access.js';
import { AccessDemands } from './access-demands.js';
import { bearerOf } from './bearer.js';
import { readTokenHeader } from './token-header.js';
import { tokenTypes } from './token-kinds.js';

/** Passport's strategy verifies and sets `request.principal`; a refusal is a problem, never passport's own answer. */
function bearerGuard(kind: BearerKind): CanActivate {
  class BearerGuard extends AuthGuard(kind) {
    override getAuthenticateOptions() {
      return { session: false, property: 'principal' };
    }

    override handleRequest<P>(error: Error | null, principal: P): P {
      if (error) throw error;
      if (!principal) throw new Problem('invalid_token');
      return principal;
    }
  }
  return new BearerGuard();
}

/** The one global guard: denies every request that its handler's `@Accepts` or `@Public` does not let in. */
@Injectable()
export class TokenGuard implements CanActivate {
  private readonly guards: Record<BearerKind, CanActivate> = {
    access: bearerGuard('access'),
    enrollment: bearerGuard('enrollment'),
  };

  constructor(
    private readonly reflector: Reflector,
    private readonly config: Config,
    private readonly demands: AccessDemands,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const accepted = this.reflector.get<readonly BearerKind[] | undefined>(ACCEPTED_KINDS, context.getHandler());
    if (!accepted) throw new Error('A handler names no access');
    if (accepted.length === 0) return true;

    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const token = bearerOf(request, this.config);
    if (!token) throw new Problem('authentication_required');

    const kind = bearerKindOf(token);
    if (!kind) throw new Problem('invalid_token');
    await this.guards[kind].canActivate(context);
    // Only after it was verified: a forged token learns nothing about what the route would accept.
    if (!accepted.includes(kind)) throw new Problem(kind === 'enrollment' ? 'enrollment_required' : 'invalid_token');

    if (this.reflector.get<boolean | undefined>(REQUIRES_ADMIN, context.getHandler())) {
      if (request.principal?.kind !== 'access') throw new Problem('admin_required');
      await this.demands.requireAdmin(request.principal);
    }
    const mustBeFresh = this.reflector.get<boolean | undefined>(REQUIRES_FRESH, context.getHandler());
    if (mustBeFresh && request.principal?.kind === 'access') await this.demands.requireFresh(request.principal);
    return true;
  }
}

function bearerKindOf(token: string): BearerKind | null {
  const typ = readTokenHeader(token)?.typ;
  if (typ === tokenTypes.access) return 'access';
  return typ === tokenTypes.enrollment ? 'enrollment' : null;
}

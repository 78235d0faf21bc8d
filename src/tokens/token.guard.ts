import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AuthGuard } from '@nestjs/passport';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { FastifyRequest } from 'fastify';
import type { EntityManager } from 'typeorm';
import { Clock } from '../clock/clock.js';
import { Config } from '../config/config.js';
import { repeatIfCut } from '../database/repeat-reads.js';
import { Problem } from '../problems/problem.js';
import { ACCEPTED_KINDS, REQUIRES_ADMIN, REQUIRES_FRESH, type BearerKind } from './access.js';
import { bearerOf } from './bearer.js';
import { hasDevice } from './session.queries.js';
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
    private readonly clock: Clock,
    @InjectEntityManager() private readonly db: EntityManager,
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

    if (this.reflector.get<boolean | undefined>(REQUIRES_ADMIN, context.getHandler())) await this.requireAdmin(request);
    if (this.reflector.get<boolean | undefined>(REQUIRES_FRESH, context.getHandler())) this.requireFresh(request);
    return true;
  }

  private async requireAdmin({ principal }: FastifyRequest): Promise<void> {
    if (principal?.kind !== 'access' || !principal.roles.includes('admin')) throw new Problem('admin_required');
    if (principal.acr === 'aal2') return;
    // A password alone, or a factor that counts less, must not be enough where the admin has a better one.
    const { aal2Methods, stepUpMaxAgeSeconds: maxAge } = this.config.twoFactor;
    if (!(await repeatIfCut(() => hasDevice(this.db, principal.userId, aal2Methods)))) return;
    throw new Problem('insufficient_user_authentication', { stepUp: { acrValues: 'aal2', maxAge } });
  }

  private requireFresh({ principal }: FastifyRequest): void {
    if (principal?.kind !== 'access') return;
    const { stepUpMaxAgeSeconds: maxAge } = this.config.twoFactor;
    if (this.clock.seconds() - principal.authTime <= maxAge) return;
    throw new Problem('insufficient_user_authentication', { stepUp: { acrValues: principal.acr, maxAge } });
  }
}

function bearerKindOf(token: string): BearerKind | null {
  const typ = readTokenHeader(token)?.typ;
  if (typ === tokenTypes.access) return 'access';
  return typ === tokenTypes.enrollment ? 'enrollment' : null;
}

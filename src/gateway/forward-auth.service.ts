import { Injectable, Logger } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { FastifyRequest } from 'fastify';
import type { EntityManager } from 'typeorm';
import { Clock } from '../clock/clock.js';
import { Config } from '../config/config.js';
import { Problem } from '../problems/problem.js';
import { AccessReader } from '../tokens/access-reader.js';
import { IdentityTokens } from '../tokens/identity-token.js';
import { bearerOf } from '../tokens/bearer.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { mayBeCrossSite } from './cookie-origin.js';
import { identityHeaders, tellsEmail } from './identity-headers.js';
import { objectionTo, readRequirements } from './requirements.js';
import { findVerifiedEmail } from './verified-email.queries.js';

/** Seconds: a database that restarts is back about then. */
const RETRY_AFTER = 2;

/** Tells a gateway whether a request may pass, and who sends it. */
@Injectable()
export class ForwardAuth {
  private readonly logger = new Logger(ForwardAuth.name);

  constructor(
    private readonly reader: AccessReader,
    private readonly identityTokens: IdentityTokens,
    private readonly config: Config,
    private readonly clock: Clock,
    @InjectEntityManager() private readonly db: EntityManager,
  ) {}

  /**
   * The headers that tell who the user is. Whatever fails is a refusal: nginx makes a server error of every other
   * answer, and some gateways let a request pass when there is none.
   * @throws Problem 401 or 403, and nothing else
   */
  async admit(request: FastifyRequest): Promise<Record<string, string>> {
    try {
      const principal = await this.principalOf(request);
      this.expectRequirements(principal, request.query);
      return await this.headersOf(principal);
    } catch (cause) {
      if (cause instanceof Problem) throw cause;
      // An SQL error's message may hold parameters; its name is enough to look further.
      this.logger.error(`Nobody is let through: ${cause instanceof Error ? cause.name : 'an unknown error'}`);
      // Not 401, which would make every client throw its token away and sign in again, all at once.
      throw new Problem('authorization_unknown', { retryAfter: RETRY_AFTER });
    }
  }

  private async principalOf(request: FastifyRequest): Promise<AccessPrincipal> {
    const token = bearerOf(request, this.config);
    if (!token) throw new Problem('authentication_required');
    if (request.usedAuthCookie && mayBeCrossSite(request)) throw new Problem('cross_site_request');
    const principal = await this.reader.read(token);
    if (!principal) throw new Problem('invalid_token');
    return principal;
  }

  private expectRequirements(principal: AccessPrincipal, query: unknown): void {
    const required = readRequirements(query);
    if ('senseless' in required) {
      // Names only: a value may be a token that somebody put there.
      this.logger.warn(`A gateway asks for what makes no sense: ${JSON.stringify(required.senseless).slice(0, 200)}`);
      throw new Problem('gateway_misconfigured');
    }
    const objection = objectionTo(principal, required, this.clock.seconds());
    if (objection) throw objection;
  }

  private async headersOf(principal: AccessPrincipal): Promise<Record<string, string>> {
    const { forwardHeaders, identityAudience } = this.config.gateway;
    const email = tellsEmail(forwardHeaders) ? await findVerifiedEmail(this.db, principal.userId) : null;
    return {
      ...identityHeaders(forwardHeaders, principal, email),
      ...(identityAudience === null
        ? {}
        : { 'x-auth-identity-token': this.identityTokens.sign(principal, identityAudience) }),
    };
  }
}

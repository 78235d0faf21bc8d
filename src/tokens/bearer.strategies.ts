import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { FastifyRequest } from 'fastify';
import { ExtractJwt, Strategy, type JwtFromRequestFunction, type SecretOrKeyProvider } from 'passport-jwt';
import type { EntityManager } from 'typeorm';
import { Config } from '../config/config.js';
import { AccessReader } from './access-reader.js';
import { bearerOf } from './bearer.js';
import { findOpenEnrollment } from './enrollment.queries.js';
import type { AccessPrincipal, EnrollmentPrincipal } from './principal.js';
import { tokenAlgorithms, type TokenKind } from './token-kinds.js';
import { TokenKeys } from './token-keys.js';
import { TokenSigner } from './token.signer.js';

function strategyOptions(
  keys: TokenKeys,
  kind: Extract<TokenKind, 'access' | 'enrollment'>,
  jwtFromRequest: JwtFromRequestFunction,
) {
  const secretOrKeyProvider: SecretOrKeyProvider = (_request, token, done) => {
    void keys.askFor(String(token)).then(() => {
      const key = keys.forVerifying(kind, String(token));
      if (!key) return done('The token is of another kind');
      // The declared type knows text and bytes only; a KeyObject spares parsing the key for every request.
      done(null, key.verifyingKey as unknown as Buffer);
    }, done);
  };
  return {
    jwtFromRequest,
    algorithms: [...tokenAlgorithms[kind]],
    // Both times are checked by TokenSigner with the injected clock.
    ignoreExpiration: true,
    jsonWebTokenOptions: { ignoreNotBefore: true },
    secretOrKeyProvider,
  };
}

@Injectable()
export class AccessTokenStrategy extends PassportStrategy(Strategy, 'access') {
  constructor(
    keys: TokenKeys,
    private readonly signer: TokenSigner,
    private readonly reader: AccessReader,
    private readonly config: Config,
  ) {
    const token = (request: FastifyRequest) => bearerOf(request, config);
    super({ ...strategyOptions(keys, 'access', token), passReqToCallback: true });
  }

  /** The signature of a token is verified the first time that it comes. */
  override authenticate(...[request, options]: Parameters<Strategy['authenticate']>): void {
    const token = bearerOf(request as unknown as FastifyRequest, this.config);
    const known = token === null ? null : this.signer.recallAccess(token);
    if (!known) return super.authenticate(request, options);
    this.reader.principalOf(known).then(
      (principal) => (principal ? this.success(principal) : this.fail(401)),
      (error: unknown) => this.error(error as Error),
    );
  }

  async validate(request: FastifyRequest, payload: unknown): Promise<AccessPrincipal | null> {
    const claims = this.signer.acceptAccess(bearerOf(request, this.config) ?? '', payload);
    return claims && this.reader.principalOf(claims);
  }
}

@Injectable()
export class EnrollmentTokenStrategy extends PassportStrategy(Strategy, 'enrollment') {
  constructor(
    keys: TokenKeys,
    private readonly signer: TokenSigner,
    @InjectEntityManager() private readonly db: EntityManager,
  ) {
    // Never from a cookie: that is for access tokens.
    super(strategyOptions(keys, 'enrollment', ExtractJwt.fromAuthHeaderAsBearerToken()));
  }

  async validate(payload: unknown): Promise<EnrollmentPrincipal | null> {
    const claims = this.signer.checkEnrollment(payload);
    const enrollment = claims && (await findOpenEnrollment(this.db, claims.jti));
    if (!claims || !enrollment) return null;
    return { kind: 'enrollment', userId: claims.sub, enrollmentId: claims.jti, methods: enrollment.methods };
  }
}

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
    config: Config,
  ) {
    super(strategyOptions(keys, 'access', (request: FastifyRequest) => bearerOf(request, config)));
  }

  async validate(payload: unknown): Promise<AccessPrincipal | null> {
    const claims = this.signer.checkAccess(payload);
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

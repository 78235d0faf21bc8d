import { Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { Clock } from '../clock/clock.js';
import { Config } from '../config/config.js';
import { acrOf, amrOf, type Acr } from './assurance.js';
import { TokenKeys } from './token-keys.js';
import {
  accessClaims,
  codeClaims,
  enrollmentClaims,
  isTimely,
  type AccessClaims,
  type CodeClaims,
  type EnrollmentClaims,
  type TokenKind,
} from './token-kinds.js';
import { VerifiedTokens } from './verified-tokens.js';

/** What an access token tells about a session. */
export interface AccessGrant {
  userId: string;
  sessionId: string;
  roles: readonly string[];
  proved: readonly string[];
  amr: readonly string[];
  authenticatedAt: Date;
}

/** Signs and verifies every JSON Web Token of the service. Verifying answers null, never why. */
@Injectable()
export class TokenSigner {
  constructor(
    private readonly jwt: JwtService,
    private readonly keys: TokenKeys,
    private readonly verified: VerifiedTokens,
    private readonly config: Config,
    private readonly clock: Clock,
  ) {}

  /** An access token (RFC 9068): `typ: at+jwt`, and the algorithm and `kid` of the key that signs now. */
  signAccess(grant: AccessGrant): { accessToken: string; expiresIn: number; acr: Acr } {
    const { issuer, audience, accessTtlSeconds } = this.config.tokens;
    const now = this.clock.seconds();
    const acr = acrOf(grant.proved, this.config.twoFactor.aal2Methods);
    const claims: AccessClaims = {
      iss: issuer,
      aud: audience,
      sub: grant.userId,
      sid: grant.sessionId,
      iat: now,
      exp: now + accessTtlSeconds,
      jti: randomUUID(),
      auth_time: Math.floor(grant.authenticatedAt.getTime() / 1000),
      amr: amrOf(grant.amr, acr),
      acr,
      roles: [...grant.roles],
    };
    const header = this.keys.accessHeader();
    return { accessToken: this.jwt.sign(claims, { algorithm: header.alg, header }), expiresIn: accessTtlSeconds, acr };
  }

  /** The code token of a challenge; it lives as long as the challenge. */
  signCode(userId: string, challengeId: string, lifetimeSeconds: number): string {
    return this.signSymmetric('code', userId, challengeId, lifetimeSeconds);
  }

  signEnrollment(userId: string, enrollmentId: string, lifetimeSeconds: number): string {
    return this.signSymmetric('enrollment', userId, enrollmentId, lifetimeSeconds);
  }

  async verifyAccess(token: string): Promise<AccessClaims | null> {
    const known = this.recallAccess(token);
    if (known) return known;
    await this.keys.askFor(token);
    return this.acceptAccess(token, this.verifySignature('access', token));
  }

  /** The claims of an access token that was verified before and whose key and times still hold; null of any other. */
  recallAccess(token: string): AccessClaims | null {
    const claims = this.verified.recall(token);
    return claims && this.isTimely(claims) ? claims : null;
  }

  /** The claims of an access token whose signature has been verified; null where one does not hold. */
  acceptAccess(token: string, payload: unknown): AccessClaims | null {
    const claims = this.checkClaims(accessClaims, payload);
    if (claims?.aud !== this.config.tokens.audience) return null;
    this.verified.remember(token, claims);
    return claims;
  }

  /** An expired code token still names its challenge, so that the answer can say that it is expired. */
  verifyCode(token: string): (CodeClaims & { timely: boolean }) | null {
    const claims = codeClaims.safeParse(this.verifySignature('code', token)).data;
    if (claims?.iss !== this.config.tokens.issuer) return null;
    return { ...claims, timely: this.isTimely(claims) };
  }

  checkEnrollment(payload: unknown): EnrollmentClaims | null {
    return this.checkClaims(enrollmentClaims, payload);
  }

  private signSymmetric(kind: 'code' | 'enrollment', sub: string, jti: string, lifetimeSeconds: number): string {
    const now = this.clock.seconds();
    const claims: CodeClaims = { iss: this.config.tokens.issuer, sub, jti, iat: now, exp: now + lifetimeSeconds };
    return this.jwt.sign(claims, { algorithm: 'HS256', header: this.keys.symmetricHeader(kind) });
  }

  private checkClaims<T extends { iss: string; iat: number; exp: number; nbf?: number | undefined }>(
    schema: z.ZodType<T>,
    payload: unknown,
  ): T | null {
    const claims = schema.safeParse(payload).data;
    if (claims?.iss !== this.config.tokens.issuer) return null;
    return this.isTimely(claims) ? claims : null;
  }

  private isTimely(claims: Parameters<typeof isTimely>[0]): boolean {
    return isTimely(claims, this.clock.seconds(), this.config.tokens.leewaySeconds);
  }

  /** Times are checked by us, with the injected clock and more strictly than jsonwebtoken does. */
  private verifySignature(kind: TokenKind, token: string): unknown {
    const key = this.keys.forVerifying(kind, token);
    if (!key) return null;
    try {
      return this.jwt.verify<object>(token, {
        algorithms: [key.algorithm],
        ignoreExpiration: true,
        ignoreNotBefore: true,
      });
    } catch {
      return null;
    }
  }
}

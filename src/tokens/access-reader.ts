import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import type { AccessPrincipal } from './principal.js';
import { findLiveSession } from './session.queries.js';
import type { AccessClaims } from './token-kinds.js';
import { TokenSigner } from './token.signer.js';

/** Who stands behind an access token: the one place that asks whether its session still lives. */
@Injectable()
export class AccessReader {
  constructor(
    private readonly signer: TokenSigner,
    @InjectEntityManager() private readonly db: EntityManager,
  ) {}

  /** For those who hold the token itself; null for every other text. */
  async read(token: string): Promise<AccessPrincipal | null> {
    const claims = await this.signer.verifyAccess(token);
    return claims && this.principalOf(claims);
  }

  /** A revoked session's access tokens die with it, although their signatures are good for minutes more. */
  async principalOf(claims: AccessClaims): Promise<AccessPrincipal | null> {
    const session = await findLiveSession(this.db, claims.sid);
    if (!session) return null;
    return {
      kind: 'access',
      userId: claims.sub,
      sessionId: claims.sid,
      roles: session.roles,
      amr: claims.amr,
      acr: claims.acr,
      authTime: claims.auth_time,
    };
  }
}

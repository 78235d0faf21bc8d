import { Injectable } from '@nestjs/common';
import { LiveSessions } from './live-sessions.js';
import type { AccessPrincipal } from './principal.js';
import type { AccessClaims } from './token-kinds.js';
import { TokenSigner } from './token.signer.js';

/** Who stands behind an access token: the one place that asks whether its session still lives. */
@Injectable()
export class AccessReader {
  constructor(
    private readonly signer: TokenSigner,
    private readonly sessions: LiveSessions,
  ) {}

  /** For those who hold the token itself; null for every other text. */
  async read(token: string): Promise<AccessPrincipal | null> {
    const claims = await this.signer.verifyAccess(token);
    return claims && this.principalOf(claims);
  }

  /** A revoked session's access tokens die with it, although their signatures are good for minutes more. */
  async principalOf(claims: AccessClaims): Promise<AccessPrincipal | null> {
    const session = await this.sessions.find(claims.sid);
    // A step-up replaces the tokens of before, or a stolen one would go on beside the new one (OWASP ASVS 5.0 7.2.4).
    if (!session || claims.auth_time < session.authTime) return null;
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

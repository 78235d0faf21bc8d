import { Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { v7 as uuidv7 } from 'uuid';
import { Clock } from '../clock/clock.js';
import { Config } from '../config/config.js';
import type { AccessPrincipal } from './principal.js';
import { SigningKeys } from './signing-keys.js';

/** Not among the kinds that this service verifies: whatever reads tokens here refuses this type before its signature. */
const IDENTITY_TOKEN_TYPE = 'identity+jwt';

/** Seconds: it is made for one request, on its way from the gateway to the service behind it. */
const LIFETIME = 60;

/**
 * What a gateway hands to the services behind it, so that they need not trust every host that reaches them. It opens
 * nothing here: another `typ`, and another `aud` than that of access tokens (RFC 8725 §3.11, §3.9).
 */
@Injectable()
export class IdentityTokens {
  private readonly jwt = new JwtService();

  constructor(
    private readonly signingKeys: SigningKeys,
    private readonly config: Config,
    private readonly clock: Clock,
  ) {}

  sign(principal: AccessPrincipal, audience: string): string {
    const { signingKey, algorithm, kid } = this.signingKeys.current;
    const now = this.clock.seconds();
    const claims = {
      iss: this.config.tokens.issuer,
      aud: audience,
      sub: principal.userId,
      sid: principal.sessionId,
      iat: now,
      exp: now + LIFETIME,
      jti: uuidv7(),
      auth_time: principal.authTime,
      amr: principal.amr,
      acr: principal.acr,
      roles: principal.roles,
    };
    const header = { alg: algorithm, typ: IDENTITY_TOKEN_TYPE, kid };
    // The declared type knows text and bytes only; a KeyObject spares parsing the key for every request.
    return this.jwt.sign(claims, { algorithm, header, privateKey: signingKey as unknown as Buffer });
  }
}

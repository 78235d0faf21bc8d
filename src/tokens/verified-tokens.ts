import { Injectable } from '@nestjs/common';
import type { KeyObject } from 'node:crypto';
import { SigningKeys } from './signing-keys.js';
import { readTokenHeader } from './token-header.js';
import type { AccessClaims } from './token-kinds.js';

/** Tokens that one replica remembers, at most: some 1.5 kB each. */
const CAPACITY = 5_000;

interface Verified {
  claims: AccessClaims;
  kid: string | undefined;
  key: KeyObject | undefined;
}

/**
 * Access tokens whose signature was found good. A client sends the same token for minutes, and checking an ES256
 * signature costs more than the rest of such a request. Whatever can change is not remembered: the key, the time and
 * the session are asked for every request.
 */
@Injectable()
export class VerifiedTokens {
  private readonly known = new Map<string, Verified>();

  constructor(private readonly keys: SigningKeys) {}

  /** The claims of a token that was verified before; null where it was not, or its key has been withdrawn since. */
  recall(token: string): AccessClaims | null {
    const verified = this.known.get(token);
    if (!verified) return null;
    if (verified.key && this.keys.find(verified.kid)?.verifyingKey === verified.key) return verified.claims;
    this.known.delete(token);
    return null;
  }

  /** Only after its signature was verified. */
  remember(token: string, claims: AccessClaims): void {
    const kid = readTokenHeader(token)?.kid;
    this.known.set(token, { claims, kid, key: this.keys.find(kid)?.verifyingKey });
    if (this.known.size <= CAPACITY) return;
    // A Map keeps the order of insertion, so this is the one verified longest ago.
    const [oldest] = this.known.keys();
    if (oldest !== undefined) this.known.delete(oldest);
  }
}

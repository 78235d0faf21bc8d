import { Injectable } from '@nestjs/common';
import { createSecretKey, type KeyObject } from 'node:crypto';
import type { SigningAlgorithm } from '../config/signing-key.js';
import { Keys } from '../crypto/keys.js';
import { SigningKeys } from './signing-keys.js';
import { readTokenHeader, type TokenHeader } from './token-header.js';
import { tokenTypes, type TokenKind } from './token-kinds.js';

/** A key, and the only algorithm that a token may name with it. */
interface BoundKey {
  algorithm: SigningAlgorithm;
  verifyingKey: KeyObject;
}

/** Which key belongs to which token: decided by its `typ`, and refused where `alg` or `kid` do not go with that. */
@Injectable()
export class TokenKeys {
  private readonly code: BoundKey;
  private readonly enrollment: BoundKey;

  constructor(
    private readonly signingKeys: SigningKeys,
    keys: Keys,
  ) {
    this.code = { algorithm: 'HS256', verifyingKey: createSecretKey(keys.for('code-token')) };
    this.enrollment = { algorithm: 'HS256', verifyingKey: createSecretKey(keys.for('enrollment-token')) };
  }

  /** The header of an access token that is signed now. */
  accessHeader(): TokenHeader & { alg: SigningAlgorithm } {
    const { algorithm, kid } = this.signingKeys.current;
    return { alg: algorithm, typ: tokenTypes.access, kid };
  }

  /** By the header and not by the time: another key may sign from one moment to the next. */
  forSigning(header: Partial<TokenHeader> | undefined): KeyObject {
    switch (header?.typ) {
      case tokenTypes.access: {
        const key = this.signingKeys.find(header.kid)?.signingKey;
        if (!key) throw new Error('An access token is signed with a key that cannot sign');
        return key;
      }
      case tokenTypes.code:
        return this.code.verifyingKey;
      case tokenTypes.enrollment:
        return this.enrollment.verifyingKey;
      default:
        throw new Error('A token is signed without one of our types');
    }
  }

  /** Before an access token is verified: another replica may have signed it with a key that it made a moment ago. */
  async askFor(token: string): Promise<void> {
    const header = readTokenHeader(token);
    if (header?.typ === tokenTypes.access) await this.signingKeys.ask(header.kid);
  }

  /** The key of a token that claims to be of this kind; null where its header says otherwise. */
  forVerifying(kind: TokenKind, token: string): BoundKey | null {
    const header = readTokenHeader(token);
    if (header?.typ !== tokenTypes[kind]) return null;
    const key = kind === 'access' ? this.signingKeys.find(header.kid) : this[kind];
    return key?.algorithm === header.alg ? key : null;
  }

  /** The key of a token of any kind, for a library that asks before it knows the kind. */
  forToken(token: string): KeyObject {
    for (const kind of ['access', 'code', 'enrollment'] as const) {
      const key = this.forVerifying(kind, token);
      if (key) return key.verifyingKey;
    }
    throw new Error('The token names no key of ours');
  }
}

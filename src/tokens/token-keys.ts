import { Injectable } from '@nestjs/common';
import { createSecretKey, type KeyObject } from 'node:crypto';
import { Keys } from '../crypto/keys.js';
import { SigningKeys } from './signing-keys.js';
import { readTokenHeader } from './token-header.js';
import { tokenAlgorithms, tokenTypes, type TokenKind } from './token-kinds.js';

/** Which key belongs to which token: decided by its `typ`, and refused where `alg` or `kid` do not go with that. */
@Injectable()
export class TokenKeys {
  private readonly code: KeyObject;
  private readonly enrollment: KeyObject;

  constructor(
    private readonly signingKeys: SigningKeys,
    keys: Keys,
  ) {
    this.code = createSecretKey(keys.for('code-token'));
    this.enrollment = createSecretKey(keys.for('enrollment-token'));
  }

  get currentKid(): string {
    return this.signingKeys.current.kid;
  }

  forSigning(typ: string | undefined): KeyObject {
    switch (typ) {
      case tokenTypes.access:
        return this.signingKeys.current.privateKey;
      case tokenTypes.code:
        return this.code;
      case tokenTypes.enrollment:
        return this.enrollment;
      default:
        throw new Error('A token is signed without one of our types');
    }
  }

  /** The key of a token that claims to be of this kind; null where its header says otherwise. */
  forVerifying(kind: TokenKind, token: string): KeyObject | null {
    const header = readTokenHeader(token);
    if (header?.typ !== tokenTypes[kind] || header.alg !== tokenAlgorithms[kind]) return null;
    switch (kind) {
      case 'access':
        return this.signingKeys.find(header.kid)?.publicKey ?? null;
      case 'code':
        return this.code;
      case 'enrollment':
        return this.enrollment;
    }
  }

  /** The key of a token of any kind, for a library that asks before it knows the kind. */
  forToken(token: string): KeyObject {
    for (const kind of ['access', 'code', 'enrollment'] as const) {
      const key = this.forVerifying(kind, token);
      if (key) return key;
    }
    throw new Error('The token names no key of ours');
  }
}

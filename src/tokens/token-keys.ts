import { Injectable } from '@nestjs/common';
import type { KeyObject } from 'node:crypto';
import type { SigningAlgorithm } from '../config/signing-key.js';
import { Keys, type RingKey } from '../crypto/keys.js';
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
  /** By key id. */
  private readonly code: ReadonlyMap<string, BoundKey>;
  private readonly enrollment: ReadonlyMap<string, BoundKey>;

  constructor(
    private readonly signingKeys: SigningKeys,
    private readonly keys: Keys,
  ) {
    this.code = boundKeys(keys.ring('code-token'));
    this.enrollment = boundKeys(keys.ring('enrollment-token'));
  }

  /** The header of an access token that is signed now. */
  accessHeader(): TokenHeader & { alg: SigningAlgorithm } {
    const { algorithm, kid } = this.signingKeys.current;
    return { alg: algorithm, typ: tokenTypes.access, kid };
  }

  /** The header of a code or enrollment token that is signed now. */
  symmetricHeader(kind: 'code' | 'enrollment'): TokenHeader & { alg: 'HS256' } {
    return { alg: 'HS256', typ: tokenTypes[kind], kid: this.keys.ring(`${kind}-token`)[0].id };
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
      case tokenTypes.enrollment: {
        const ring = header.typ === tokenTypes.code ? this.code : this.enrollment;
        const key = ring.get(header.kid ?? '')?.verifyingKey;
        if (!key) throw new Error('A token is signed with a key that is not ours');
        return key;
      }
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
    const key = kind === 'access' ? this.signingKeys.find(header.kid) : this[kind].get(header.kid ?? '');
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

function boundKeys(ring: readonly RingKey[]): ReadonlyMap<string, BoundKey> {
  return new Map(ring.map(({ id, key }) => [id, { algorithm: 'HS256', verifyingKey: key }]));
}

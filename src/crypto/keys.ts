import { Injectable } from '@nestjs/common';
import { createHash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { Config } from '../config/config.js';

/** What a derived key is for. A key of one purpose never verifies or opens what another made. */
export type KeyPurpose =
  | 'secret-box'
  | 'codes'
  | 'recovery-codes'
  | 'code-token'
  | 'enrollment-token'
  | 'refresh-token'
  | 'counters'
  | 'audit-chain';

/**
 * A key of a ring. Its id tells which key made something, and nothing about the key; nor does the key itself in a log. Node
 * parses bytes anew for every HMAC, which takes Node 24 six times as long as the HMAC.
 */
export interface RingKey {
  id: string;
  key: KeyObject;
}

/**
 * Every key of the service, derived with HKDF-SHA256 (RFC 5869). SECRET_KEY's make what is new; those of
 * SECRET_KEYS_ACCEPTED verify and open what another SECRET_KEY made, so that it can be replaced while people are
 * signed in.
 */
@Injectable()
export class Keys {
  private readonly derived = new Map<KeyPurpose, readonly [RingKey, ...RingKey[]]>();

  constructor(private readonly config: Config) {}

  /** What makes something new: 32 bytes, the same for the same purpose and SECRET_KEY. */
  for(purpose: KeyPurpose): KeyObject {
    return this.ring(purpose)[0].key;
  }

  /** What verifies and opens: the key that makes something new comes first. */
  ring(purpose: KeyPurpose): readonly [RingKey, ...RingKey[]] {
    const known = this.derived.get(purpose);
    if (known) return known;
    const { secretKey, acceptedSecretKeys } = this.config.secrets;
    const ring = [derive(secretKey, purpose), ...acceptedSecretKeys.map((each) => derive(each, purpose))] as const;
    this.derived.set(purpose, ring);
    return ring;
  }
}

function derive(secretKey: string, purpose: KeyPurpose): RingKey {
  const key = Buffer.from(hkdfSync('sha256', secretKey, '', `countersign/v1/${purpose}`, 32));
  return { id: createHash('sha256').update(key).digest('hex').slice(0, 8), key: createSecretKey(key) };
}

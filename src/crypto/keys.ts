import { Injectable } from '@nestjs/common';
import { hkdfSync } from 'node:crypto';
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

/** Every key of the service, derived from SECRET_KEY with HKDF-SHA256 (RFC 5869). */
@Injectable()
export class Keys {
  private readonly derived = new Map<KeyPurpose, Buffer>();

  constructor(private readonly config: Config) {}

  /** 32 bytes, the same for the same purpose and root secret. */
  for(purpose: KeyPurpose): Buffer {
    const known = this.derived.get(purpose);
    if (known) return known;
    const key = Buffer.from(hkdfSync('sha256', this.config.secrets.secretKey, '', `countersign/v1/${purpose}`, 32));
    this.derived.set(purpose, key);
    return key;
  }
}

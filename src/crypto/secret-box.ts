import { Injectable } from '@nestjs/common';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { Config } from '../config/config.js';
import { readKeyRing } from './key-ring.js';
import { Keys, type RingKey } from './keys.js';

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** The sealed text names a key that the ring does not hold, or was made for another row, or was changed. */
export class UnsealError extends Error {}

/**
 * Seals secrets for the database: AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce. The purpose and the
 * row's id are associated data, so a sealed secret copied into another row does not open there.
 * Form: `v1.<key id>.<base64url of nonce, ciphertext, tag>`.
 *
 * The keys derived from SECRET_KEY (and those still accepted) always open, so that ENCRYPTION_KEYS may be set on a
 * database that has been without.
 */
@Injectable()
export class SecretBox {
  private readonly ring: readonly [RingKey, ...RingKey[]];

  constructor(config: Config, keys: Keys) {
    const derived = keys.ring('secret-box');
    const [first = derived[0], ...others] = readKeyRing(config.secrets.encryptionKeys);
    this.ring = [first, ...others, ...derived];
  }

  /** The id of the key that seals. */
  get sealingKeyId(): string {
    return this.ring[0].id;
  }

  /** The ids of all keys that open. */
  get keyIds(): string[] {
    return this.ring.map(({ id }) => id);
  }

  seal(plain: string, purpose: string, rowId: string): string {
    const { id, key } = this.ring[0];
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(associated(purpose, rowId));
    const sealed = Buffer.concat([iv, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `v1.${id}.${sealed.toString('base64url')}`;
  }

  /** @throws UnsealError, never an empty secret: a guess that decrypts to "" would match an empty code. */
  open(sealed: string, purpose: string, rowId: string): string {
    const [version, id, body] = sealed.split('.');
    const key = this.ring.find((candidate) => candidate.id === id);
    if (version !== 'v1' || !key || !body) {
      throw new UnsealError(`Sealed with the key "${id ?? ''}", which neither SECRET_KEY nor ENCRYPTION_KEYS gives`);
    }
    const bytes = Buffer.from(body, 'base64url');
    try {
      const decipher = createDecipheriv('aes-256-gcm', key.key, bytes.subarray(0, IV_BYTES), {
        authTagLength: TAG_BYTES,
      })
        .setAAD(associated(purpose, rowId))
        .setAuthTag(bytes.subarray(-TAG_BYTES));
      return decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
    } catch {
      throw new UnsealError('The sealed secret was changed or belongs to another row');
    }
  }
}

function associated(purpose: string, rowId: string): Buffer {
  return Buffer.from(`${purpose}\0${rowId}`);
}

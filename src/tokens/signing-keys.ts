import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Repository } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { ConfigurationError } from '../config/env.js';
import { SecretBox, UnsealError } from '../crypto/secret-box.js';
import { rowsOf } from '../database/sql.js';
import { SigningKey } from './signing-key.entity.js';

const PURPOSE = 'signing-key';
/** Any fixed number; replicas that start on an empty database queue here to make one key, not several. */
const FIRST_KEY_LOCK = 4_227_002;

interface LoadedKey {
  kid: string;
  privateKey: KeyObject;
  publicKey: KeyObject;
  publicJwk: Record<string, string>;
}

/**
 * The ES256 keys of access tokens. They live in the database, so every replica has the same ones, and are parsed
 * once into KeyObjects: signing with PEM text costs fifteen times as much.
 */
@Injectable()
export class SigningKeys implements OnModuleInit {
  private keys: readonly LoadedKey[] = [];

  constructor(
    @InjectRepository(SigningKey) private readonly repository: Repository<SigningKey>,
    private readonly box: SecretBox,
  ) {}

  async onModuleInit(): Promise<void> {
    const rows = await this.rowsOrFirst();
    this.keys = rows.map((row) => this.load(row));
  }

  /** The key that signs. */
  get current(): LoadedKey {
    const [newest] = this.keys;
    if (!newest) throw new Error('The signing keys are not loaded yet');
    return newest;
  }

  find(kid: string | undefined): LoadedKey | null {
    return this.keys.find((key) => key.kid === kid) ?? null;
  }

  /** The public halves, as a JWK Set (RFC 7517 §5). */
  jwks(): { keys: Record<string, string>[] } {
    return { keys: this.keys.map((key) => key.publicJwk) };
  }

  private async rowsOrFirst(): Promise<SigningKey[]> {
    return this.repository.manager.transaction(async (tx) => {
      await rowsOf(tx, 'SELECT pg_advisory_xact_lock($1)', [FIRST_KEY_LOCK]);
      const rows = await tx.find(SigningKey, { order: { createdAt: 'DESC' } });
      if (rows.length > 0) return rows;
      const first = this.generate();
      await tx.insert(SigningKey, first);
      return [first];
    });
  }

  private generate(): SigningKey {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const kid = uuidv7();
    const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
    if (!kty || !crv || !x || !y) throw new Error('An EC key has no coordinates');
    const row = new SigningKey();
    row.kid = kid;
    row.algorithm = 'ES256';
    row.publicJwk = { kty, crv, x, y, kid, use: 'sig', alg: 'ES256' };
    row.sealedPrivateKey = this.box.seal(privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(), PURPOSE, kid);
    row.createdAt = new Date();
    return row;
  }

  private load(row: SigningKey): LoadedKey {
    try {
      const privateKey = createPrivateKey(this.box.open(row.sealedPrivateKey, PURPOSE, row.kid));
      return { kid: row.kid, privateKey, publicKey: createPublicKey(privateKey), publicJwk: row.publicJwk };
    } catch (cause) {
      if (!(cause instanceof UnsealError)) throw cause;
      throw new ConfigurationError([
        'SECRET_KEY (or ENCRYPTION_KEYS) is not the one that this database was sealed with; restore it, or start on an empty database',
      ]);
    }
  }
}

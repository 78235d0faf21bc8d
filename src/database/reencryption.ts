import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Config } from '../config/config.js';
import { ConfigurationError } from '../config/env.js';
import { sealedColumns, type SealedColumn } from '../crypto/sealed-columns.js';
import { SecretBox, UnsealError } from '../crypto/secret-box.js';
import { countSealed, findMissingKeyIds, readBatch, replaceSealed, type SealedRow } from './sealed.queries.js';

const COLUMNS: readonly SealedColumn[] = Object.values(sealedColumns);
/** Rows of one transaction: their locks are held for milliseconds, so nobody who signs in meanwhile waits. */
const BATCH = 100;

export interface SealedCount {
  /** `table.column`, or `queued messages`. */
  place: string;
  keyId: string;
  count: number;
  /** Whether it is the first key of ENCRYPTION_KEYS, the one that seals. */
  seals: boolean;
}

export interface ReencryptionResult {
  resealed: number;
  /** Somebody else wrote these rows meanwhile. */
  changedMeanwhile: number;
  /** No key opens these: they were tampered with, or put into another row. They are left as they are. */
  unopenable: number;
}

/**
 * Seals everything that is stored with the first of ENCRYPTION_KEYS, while the service runs. What is done is told by
 * the key id in each sealed text, so it may be killed at any moment and started again, also twice at once.
 */
@Injectable()
export class Reencryption implements OnModuleInit {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly box: SecretBox,
    private readonly config: Config,
  ) {}

  /** A key that was taken out too early stops the start, before anybody's authenticator is refused. */
  async onModuleInit(): Promise<void> {
    const missing = await findMissingKeyIds(this.db, COLUMNS, this.box.keyIds);
    if (missing.length === 0) return;
    if (this.config.secrets.encryptionKeys === null) {
      throw new ConfigurationError([
        'SECRET_KEY (or ENCRYPTION_KEYS) is not the one that this database was sealed with; restore it, or start on an empty database',
      ]);
    }
    const names = missing.map((id) => `"${id}"`).join(', ');
    throw new ConfigurationError([
      `ENCRYPTION_KEYS lacks keys that still seal what is stored: ${names}; add them again behind the first key, or restore the SECRET_KEY that they follow from, and re-encrypt before you take them out`,
    ]);
  }

  /** How much each key seals. A key that is named nowhere here may be taken out of ENCRYPTION_KEYS. */
  async status(): Promise<SealedCount[]> {
    const counts = await countSealed(this.db, COLUMNS);
    return counts.map((each) => ({ ...each, seals: each.keyId === this.box.sealingKeyId }));
  }

  async run(): Promise<ReencryptionResult> {
    const result = { resealed: 0, changedMeanwhile: 0, unopenable: 0 };
    for (const column of COLUMNS) {
      let batch: SealedRow[];
      let after: string | null = null;
      do {
        batch = await readBatch(this.db, column, this.box.sealingKeyId, after, BATCH);
        after = batch.at(-1)?.id ?? null;
        const resealed = batch.flatMap((row) => this.reseal(column, row) ?? []);
        const replaced = await replaceSealed(this.db, column, resealed);
        result.resealed += replaced;
        result.changedMeanwhile += resealed.length - replaced;
        result.unopenable += batch.length - resealed.length;
      } while (batch.length === BATCH);
    }
    return result;
  }

  private reseal({ purpose }: SealedColumn, { id, sealed }: SealedRow): (SealedRow & { resealed: string }) | null {
    try {
      return { id, sealed, resealed: this.box.seal(this.box.open(sealed, purpose, id), purpose, id) };
    } catch (cause) {
      if (cause instanceof UnsealError) return null;
      throw cause;
    }
  }
}

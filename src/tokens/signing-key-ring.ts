import { Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit, type Actor } from '../audit/audit.service.js';
import { Config } from '../config/config.js';
import type { SigningAlgorithm } from '../config/signing-key.js';
import { sealedColumns } from '../crypto/sealed-columns.js';
import { SecretBox } from '../crypto/secret-box.js';
import { JobRunner } from '../jobs/job-runner.js';
import { PUBLISHED_AHEAD, stateOf, verifiesOnFor, type KeyLife, type KeyState } from './key-life.js';
import { exportKey, generateKey, importKey, materialOf, type KeyMaterial } from './key-material.js';
import {
  activateNextKey,
  cancelRetirement,
  expireKey,
  findLastKey,
  findLiveKeys,
  findNextKey,
  hasCurrentKey,
  insertKey,
  listKeys,
  lockRing,
  planRetirement,
  removeExpiredKeys,
  type LiveSigningKey,
  type NewSigningKey,
} from './signing-key.queries.js';

const { purpose: PURPOSE } = sealedColumns.signingKeys;
/** UTC. Any quiet minute: nothing changes at once. */
const EVERY_NIGHT = '23 3 * * *';

/** What was asked of the ring cannot be done. The sentence is for the one who asked. */
export class SigningKeyRefused extends Error {
  override readonly name = 'SigningKeyRefused';
}

export interface KeyInRing extends KeyLife {
  kid: string;
  algorithm: SigningAlgorithm;
  state: KeyState;
  createdAt: Date;
}

/** `made` is false where a next key was there already: it is the answer, and nothing was changed. */
export interface Rotation {
  made: boolean;
  kid: string;
  activatesAt: Date;
}

/**
 * The keys in the database: one signs, the next one is published before it does, those before it verify until their
 * last token has died. Everything here is a time in a row; which key signs now is read by `SigningKeys`.
 */
@Injectable()
export class SigningKeyRing implements OnModuleInit, OnApplicationBootstrap {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly box: SecretBox,
    private readonly audit: Audit,
    private readonly jobs: JobRunner,
    private readonly config: Config,
  ) {}

  /** Whether the operator brought keys along, so that those of the database are not used. */
  get unused(): boolean {
    return this.config.tokens.signingKeys.length > 0;
  }

  onModuleInit(): void {
    if (this.unused) return;
    this.jobs.repeat('rotate-signing-key', EVERY_NIGHT, () => this.rotateOnSchedule());
  }

  /** Another SIGNING_ALGORITHM is not made to wait for the night. A command that only reads rotates nothing. */
  async onApplicationBootstrap(): Promise<void> {
    if (!this.unused && this.jobs.works) await this.rotateOnSchedule();
  }

  /** Removes what has expired, and rotates where the last key is too old or not for SIGNING_ALGORITHM. */
  async rotateOnSchedule(): Promise<void> {
    await removeExpiredKeys(this.db);
    const { signingAlgorithm, signingKeyRotationSeconds } = this.config.tokens;
    const last = await findLastKey(this.db);
    if (!last) return;
    const tooOld = signingKeyRotationSeconds !== null && last.age >= signingKeyRotationSeconds;
    if (tooOld || last.algorithm !== signingAlgorithm) await this.rotate({ kind: 'system' });
  }

  /** Newest first. */
  async list(): Promise<KeyInRing[]> {
    this.refuseUnused();
    const rows = await listKeys(this.db);
    return rows.map(({ now, ...key }) => ({ ...key, state: stateOf(key, now) }));
  }

  /** Publishes the next key, and lets it sign as soon as no cached JWKS lacks it. */
  async rotate(actor: Actor): Promise<Rotation> {
    this.refuseUnused();
    const fresh = await this.newKey();
    return this.db.transaction(async (tx) => {
      await lockRing(tx);
      const next = await findNextKey(tx);
      if (next) return { made: false, ...next };
      const retired = await planRetirement(tx, PUBLISHED_AHEAD, verifiesOnFor(this.config.tokens));
      for (const key of retired) await this.recordRetired(tx, key, actor);
      return { made: true, kid: fresh.kid, activatesAt: await this.insert(tx, fresh, PUBLISHED_AHEAD, actor) };
    });
  }

  /**
   * For a key that somebody else may have: it verifies nothing from now on, and another one signs at once. Replicas
   * follow within FOLLOW_INTERVAL.
   */
  async retire(kid: string, actor: Actor): Promise<void> {
    this.refuseUnused();
    const fresh = await this.newKey();
    await this.db.transaction(async (tx) => {
      await lockRing(tx);
      const expired = await expireKey(tx, kid);
      if (!expired) throw new SigningKeyRefused(`No key with the kid "${kid}" signs or verifies; list the keys first`);
      await this.recordRetired(tx, { kid, ...expired }, actor);
      await this.ensureCurrent(tx, fresh, actor);
    });
  }

  /** At the first start, makes the first key: one, however many replicas start at once. */
  async ensureFirst(): Promise<void> {
    if (await hasCurrentKey(this.db)) return;
    const fresh = await this.newKey();
    await this.db.transaction(async (tx) => {
      await lockRing(tx);
      await this.ensureCurrent(tx, fresh, { kind: 'system' });
    });
  }

  /** Every key that signs or verifies, or is going to. */
  read(): Promise<LiveSigningKey[]> {
    return findLiveKeys(this.db);
  }

  open({ kid, algorithm, sealedPrivateKey }: LiveSigningKey): KeyMaterial {
    return materialOf(importKey(this.box.open(sealedPrivateKey, PURPOSE, kid), algorithm), algorithm, kid);
  }

  private async ensureCurrent(tx: EntityManager, fresh: NewSigningKey, actor: Actor): Promise<void> {
    await cancelRetirement(tx);
    if (await hasCurrentKey(tx)) return;
    const next = await activateNextKey(tx);
    if (next) await this.audit.record(tx, 'signing-key.activated', { userId: null, actor }, next);
    else await this.insert(tx, fresh, 0, actor);
  }

  /** Made before the ring is locked: the others would wait for the primes of an RSA key. */
  private async newKey(): Promise<NewSigningKey> {
    const algorithm = this.config.tokens.signingAlgorithm;
    const key = await generateKey(algorithm);
    const { kid, publicJwk } = materialOf(key, algorithm);
    return { kid, algorithm, publicJwk, sealedPrivateKey: this.box.seal(exportKey(key), PURPOSE, kid) };
  }

  private async insert(tx: EntityManager, key: NewSigningKey, inSeconds: number, actor: Actor): Promise<Date> {
    const activatesAt = await insertKey(tx, key, inSeconds);
    const details = { kid: key.kid, algorithm: key.algorithm, activatesAt: activatesAt.toISOString() };
    await this.audit.record(tx, 'signing-key.created', { userId: null, actor }, details);
    return activatesAt;
  }

  private recordRetired(tx: EntityManager, key: { kid: string; expiresAt: Date }, actor: Actor): Promise<void> {
    const details = { kid: key.kid, expiresAt: key.expiresAt.toISOString() };
    return this.audit.record(tx, 'signing-key.retired', { userId: null, actor }, details);
  }

  private refuseUnused(): void {
    if (!this.unused) return;
    throw new SigningKeyRefused(
      'SIGNING_KEY is set, so the keys of the database are not used. To rotate, put the new key behind the old one in SIGNING_KEY_FILE and restart every replica; ten minutes later put it first and restart again',
    );
  }
}

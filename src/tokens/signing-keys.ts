import { Injectable, Logger, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { Config } from '../config/config.js';
import { ConfigurationError } from '../config/env.js';
import type { OwnSigningKey } from '../config/signing-key.js';
import { UnsealError } from '../crypto/secret-box.js';
import { FOLLOW_INTERVAL, stateOf, type KeyLife } from './key-life.js';
import { materialOf, type KeyMaterial, type PublicJwk } from './key-material.js';
import { SigningKeyRing } from './signing-key-ring.js';
import type { LiveSigningKey } from './signing-key.queries.js';

/** Milliseconds. Tokens with invented key ids would else be a way to keep the database busy. */
const ASK_INTERVAL = 1_000;

type ScheduledKey = KeyMaterial & KeyLife;

/** What can sign, as `current` answers it. */
type SigningKeyInUse = ScheduledKey & { signingKey: NonNullable<KeyMaterial['signingKey']> };

/**
 * The keys of access tokens as this replica knows them: the operator's own, or those of the ring, which are read again
 * every FOLLOW_INTERVAL. The times of a key are read ahead, and compared with the database's clock as this process
 * reckons it, so all replicas change to the next key at the same moment, even while the database is away.
 */
@Injectable()
export class SigningKeys implements OnModuleInit, BeforeApplicationShutdown {
  private readonly logger = new Logger(SigningKeys.name);
  private keys: readonly ScheduledKey[] = [];
  /** By sealed text; null for one that could not be opened, which is said once. */
  private opened: ReadonlyMap<string, KeyMaterial | null> = new Map();
  /** Milliseconds by which the database's clock is ahead of this process'. */
  private databaseAhead = 0;
  private timer: NodeJS.Timeout | undefined;
  private reading: Promise<void> | null = null;
  private askedAt = -Infinity;
  private failing = false;

  constructor(
    private readonly ring: SigningKeyRing,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  async onModuleInit(): Promise<void> {
    const { signingAlgorithm, signingKeys } = this.config.tokens;
    if (signingAlgorithm === 'HS256') {
      this.logger.warn('SIGNING_ALGORITHM is HS256: whoever can verify access tokens can also make them');
    }
    if (this.ring.unused) {
      this.keys = signingKeys.map(ownKey);
      return;
    }
    await this.ring.ensureFirst();
    this.take(await this.ring.read(), { strict: true });
    this.timer = setInterval(() => void this.follow(), FOLLOW_INTERVAL * 1_000).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    this.timer = undefined;
    await this.reading;
  }

  /** The key that signs. */
  get current(): SigningKeyInUse {
    const now = this.databaseNow();
    const signs = this.keys.filter(canSign);
    // A key that takes over at once may lie a moment ahead of the time that is reckoned here.
    const current =
      signs.find((key) => stateOf(key, now) === 'current') ?? signs.find((key) => stateOf(key, now) === 'next');
    if (!current) throw new Error('There is no key to sign with');
    return current;
  }

  find(kid: string | undefined): KeyMaterial | null {
    return this.live().find((key) => key.kid === kid) ?? null;
  }

  /** Another replica may have signed with a key that it made a moment ago: reads the ring where a key id is unknown. */
  async ask(kid: string | undefined): Promise<void> {
    if (kid === undefined || !this.timer || this.find(kid)) return;
    // what is being read may have been begun too early
    await this.reading;
    if (performance.now() - this.askedAt < ASK_INTERVAL) return;
    this.askedAt = performance.now();
    await this.follow();
  }

  /** The public halves, as a JWK Set (RFC 7517 §5). */
  jwks(): { keys: PublicJwk[] } {
    return { keys: this.live().flatMap(({ publicJwk }) => (publicJwk ? [publicJwk] : [])) };
  }

  private live(): readonly ScheduledKey[] {
    const now = this.databaseNow();
    return this.keys.filter((key) => stateOf(key, now) !== 'expired');
  }

  private follow(): Promise<void> {
    this.reading ??= this.read().finally(() => (this.reading = null));
    return this.reading;
  }

  /** While the database is away the keys that are known go on; nobody can be signed in then anyway. */
  private async read(): Promise<void> {
    try {
      this.take(await this.ring.read());
      if (this.failing) this.logger.log('The signing keys are followed again');
      this.failing = false;
    } catch (error) {
      if (!this.failing) this.logger.warn(`The signing keys cannot be read: ${(error as Error).message}`);
      this.failing = true;
    }
  }

  private take(rows: readonly LiveSigningKey[], { strict = false } = {}): void {
    const opened = new Map(rows.map((row) => [row.sealedPrivateKey, this.open(row, strict)]));
    this.opened = opened;
    this.keys = rows.flatMap((row) => {
      const material = opened.get(row.sealedPrivateKey);
      const { activatesAt, retiresAt, expiresAt } = row;
      return material ? [{ ...material, activatesAt, retiresAt, expiresAt }] : [];
    });
    const [any] = rows;
    if (any) this.databaseAhead = any.now.getTime() - this.clock.now().getTime();
  }

  /** After the start one key that cannot be opened must not keep the others, or what was retired, from being followed. */
  private open(row: LiveSigningKey, strict: boolean): KeyMaterial | null {
    const known = this.opened.get(row.sealedPrivateKey);
    if (known !== undefined) return known;
    try {
      return this.ring.open(row);
    } catch (cause) {
      if (!(cause instanceof UnsealError)) throw cause;
      const problem = `SECRET_KEY (or ENCRYPTION_KEYS) is not the one that this database was sealed with; restore it, or start on an empty database. ${cause.message}`;
      if (strict) throw new ConfigurationError([problem]);
      this.logger.error(`The signing key ${row.kid} cannot be opened: ${problem}`);
      return null;
    }
  }

  private databaseNow(): Date {
    return new Date(this.clock.now().getTime() + this.databaseAhead);
  }
}

function canSign(key: ScheduledKey): key is SigningKeyInUse {
  return key.signingKey !== null;
}

/** The first one signs, the others were retired long ago and verify until they are taken out. */
function ownKey({ key, algorithm }: OwnSigningKey, index: number): ScheduledKey {
  const since = new Date(0);
  return { ...materialOf(key, algorithm), activatesAt: since, retiresAt: index === 0 ? null : since, expiresAt: null };
}

import { Injectable, type OnModuleInit } from '@nestjs/common';
import { hash, verify } from '@node-rs/argon2';
import { Config } from '../config/config.js';
import { readKeyRing } from '../crypto/key-ring.js';
import type { RingKey } from '../crypto/keys.js';
import { HashLane } from './hash-lane.js';

/** `Algorithm.Argon2id`: the library's enum is const and cannot be imported by isolated modules. */
const ARGON2ID = 2;

/** Hashes and checks passwords, a few at a time. */
@Injectable()
export class Passwords implements OnModuleInit {
  private readonly lane = new HashLane();
  private readonly options: { algorithm: number; memoryCost: number; timeCost: number; parallelism: number };
  /** The first one hashes, all of them verify. */
  private readonly peppers: readonly RingKey[];
  private dummyHash = '';

  constructor(config: Config) {
    const { memoryKib, iterations, parallelism } = config.accounts.argon2;
    this.options = { algorithm: ARGON2ID, memoryCost: memoryKib, timeCost: iterations, parallelism };
    this.peppers = readKeyRing(config.secrets.passwordPepper);
  }

  /** Made before the first request: made by it, that one would take twice as long and tell that nobody is there. */
  async onModuleInit(): Promise<void> {
    this.dummyHash = await this.makeHash('nobody has this password');
  }

  /**
   * Where the hash is the answer to an attempt, `count` counts that first.
   * @throws Problem busy, with nothing counted
   */
  hash(password: string, count: () => Promise<unknown> = nothing): Promise<string> {
    return this.lane.pass(count, () => this.makeHash(normalize(password)));
  }

  /**
   * Whether the password is the hashed one, which `count` finds after it has counted the attempt: no guess is looked at
   * before. Without a hash (nobody there, or nobody with a password) an equally expensive comparison fails, so that
   * time does not tell who has an account.
   * @throws Problem busy, with nothing counted
   */
  verify<Found extends { passwordHash: string | null }>(
    password: string,
    count: () => Promise<Found>,
  ): Promise<Found & { matches: boolean }> {
    return this.lane.pass(count, async (found) => {
      const matches = await this.compare(found.passwordHash ?? this.dummyHash, password);
      return { ...found, matches: matches && found.passwordHash !== null };
    });
  }

  /** Whether the next sign-in should hash the password anew: other costs or another pepper are set by now. */
  isOutdated(passwordHash: string): boolean {
    const { pepperId, phc } = read(passwordHash);
    const { memoryCost, timeCost, parallelism } = this.options;
    const costs = `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$`;
    return pepperId !== (this.peppers[0]?.id ?? '') || !phc.startsWith(costs);
  }

  get load(): HashLane['load'] {
    return this.lane.load;
  }

  private compare(passwordHash: string, password: string): Promise<boolean> {
    const { pepperId, phc } = read(passwordHash);
    const pepper = this.peppers.find(({ id }) => id === pepperId);
    if (pepperId !== '' && !pepper) throw new Error(`PASSWORD_PEPPER lacks the key "${pepperId}"`);
    return verify(phc, normalize(password), pepper && { secret: pepper.key.export() });
  }

  private async makeHash(password: string): Promise<string> {
    const [pepper] = this.peppers;
    if (!pepper) return hash(password, this.options);
    return pepper.id + (await hash(password, { ...this.options, secret: pepper.key.export() }));
  }
}

async function nothing(): Promise<void> {}

/** A hash is stored as PHC string, behind the id of its pepper where there is one. */
function read(stored: string): { pepperId: string; phc: string } {
  const start = stored.indexOf('$');
  return { pepperId: stored.slice(0, start), phc: stored.slice(start) };
}

/** One form for what looks the same on every keyboard (NIST SP 800-63B-4 §3.1.1.2). */
function normalize(password: string): string {
  return password.normalize('NFC');
}

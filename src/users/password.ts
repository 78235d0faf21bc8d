import { Injectable, type OnModuleInit } from '@nestjs/common';
import { hash, verify } from '@node-rs/argon2';
import { randomInt } from 'node:crypto';
import pLimit from 'p-limit';
import { availableParallelism } from 'node:os';
import { Config } from '../config/config.js';
import { readKeyRing } from '../crypto/key-ring.js';
import type { RingKey } from '../crypto/keys.js';
import { Problem } from '../problems/problem.js';

/** `Algorithm.Argon2id`: the library's enum is const and cannot be imported by isolated modules. */
const ARGON2ID = 2;
const QUEUE_LENGTH = 64;
/** Kept below the four threads of libuv's pool: past that, hashing would hold up every file read and DNS look-up. */
const LANES = Math.min(3, Math.max(1, availableParallelism()));

/** Hashes and checks passwords in a lane of its own, so that a storm of sign-ins slows only sign-ins. */
@Injectable()
export class Passwords implements OnModuleInit {
  private readonly lane = pLimit(LANES);
  private readonly options: { algorithm: number; memoryCost: number; timeCost: number; parallelism: number };
  /** The first one hashes, all of them verify. */
  private readonly peppers: readonly RingKey[];
  private dummyHash = '';
  private done = 0;
  private waitedMilliseconds = 0;

  constructor(config: Config) {
    const { memoryKib, iterations, parallelism } = config.accounts.argon2;
    this.options = { algorithm: ARGON2ID, memoryCost: memoryKib, timeCost: iterations, parallelism };
    this.peppers = readKeyRing(config.secrets.passwordPepper);
  }

  /** Made before the first request: made by it, that one would take twice as long and tell that nobody is there. */
  async onModuleInit(): Promise<void> {
    this.dummyHash = await this.makeHash('nobody has this password');
  }

  /** @throws Problem busy, when 64 others wait already */
  hash(password: string): Promise<string> {
    return this.inLane(() => this.makeHash(normalize(password)));
  }

  /**
   * Whether the password is the hashed one. Without a hash (nobody there, or nobody with a password) an equally
   * expensive comparison fails, so that time does not tell who has an account.
   */
  async verify(passwordHash: string | null, password: string): Promise<boolean> {
    const { pepperId, phc } = read(passwordHash ?? this.dummyHash);
    const pepper = this.peppers.find(({ id }) => id === pepperId);
    if (pepperId !== '' && !pepper) throw new Error(`PASSWORD_PEPPER lacks the key "${pepperId}"`);
    const matches = await this.inLane(() => verify(phc, normalize(password), pepper && { secret: pepper.key }));
    return matches && passwordHash !== null;
  }

  /** Whether the next sign-in should hash the password anew: other costs or another pepper are set by now. */
  isOutdated(passwordHash: string): boolean {
    const { pepperId, phc } = read(passwordHash);
    const { memoryCost, timeCost, parallelism } = this.options;
    const costs = `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$`;
    return pepperId !== (this.peppers[0]?.id ?? '') || !phc.startsWith(costs);
  }

  /** How many wait now, and how many have waited for how long since the start. */
  get load(): { waiting: number; done: number; waitedSeconds: number } {
    return { waiting: this.lane.pendingCount, done: this.done, waitedSeconds: this.waitedMilliseconds / 1_000 };
  }

  private async makeHash(password: string): Promise<string> {
    const [pepper] = this.peppers;
    if (!pepper) return hash(password, this.options);
    return pepper.id + (await hash(password, { ...this.options, secret: pepper.key }));
  }

  private inLane<T>(task: () => Promise<T>): Promise<T> {
    // At random: those who were sent away together must not come back together.
    if (this.lane.pendingCount >= QUEUE_LENGTH) throw new Problem('busy', { retryAfter: randomInt(2, 6) });
    const came = performance.now();
    return this.lane(() => {
      this.waitedMilliseconds += performance.now() - came;
      this.done += 1;
      return task();
    });
  }
}

/** A hash is stored as PHC string, behind the id of its pepper where there is one. */
function read(stored: string): { pepperId: string; phc: string } {
  const start = stored.indexOf('$');
  return { pepperId: stored.slice(0, start), phc: stored.slice(start) };
}

/** One form for what looks the same on every keyboard (NIST SP 800-63B-4 §3.1.1.2). */
function normalize(password: string): string {
  return password.normalize('NFC');
}

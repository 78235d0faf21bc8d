import { Injectable, type OnModuleInit } from '@nestjs/common';
import { hash, verify } from '@node-rs/argon2';
import pLimit from 'p-limit';
import { availableParallelism } from 'node:os';
import { Config } from '../config/config.js';
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
  private dummyHash = '';
  private done = 0;
  private waitedMilliseconds = 0;

  constructor(config: Config) {
    const { memoryKib, iterations, parallelism } = config.accounts.argon2;
    this.options = { algorithm: ARGON2ID, memoryCost: memoryKib, timeCost: iterations, parallelism };
  }

  /** Made before the first request: made by it, that one would take twice as long and tell that nobody is there. */
  async onModuleInit(): Promise<void> {
    this.dummyHash = await hash('nobody has this password', this.options);
  }

  /** @throws Problem busy, when 64 others wait already */
  hash(password: string): Promise<string> {
    return this.inLane(() => hash(normalize(password), this.options));
  }

  /**
   * Whether the password is the hashed one. Without a hash (nobody there, or nobody with a password) an equally
   * expensive comparison fails, so that time does not tell who has an account.
   */
  async verify(passwordHash: string | null, password: string): Promise<boolean> {
    const matches = await this.inLane(() => verify(passwordHash ?? this.dummyHash, normalize(password)));
    return matches && passwordHash !== null;
  }

  /** How many wait now, and how many have waited for how long since the start. */
  get load(): { waiting: number; done: number; waitedSeconds: number } {
    return { waiting: this.lane.pendingCount, done: this.done, waitedSeconds: this.waitedMilliseconds / 1_000 };
  }

  private inLane<T>(task: () => Promise<T>): Promise<T> {
    if (this.lane.pendingCount >= QUEUE_LENGTH) throw new Problem('busy', { retryAfter: 2 });
    const came = performance.now();
    return this.lane(() => {
      this.waitedMilliseconds += performance.now() - came;
      this.done += 1;
      return task();
    });
  }
}

/** One form for what looks the same on every keyboard (NIST SP 800-63B-4 §3.1.1.2). */
function normalize(password: string): string {
  return password.normalize('NFC');
}

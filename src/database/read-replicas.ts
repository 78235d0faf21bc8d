import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { Clock } from '../clock/clock.js';
import { Config } from '../config/config.js';
import { databaseCodeOf, isDatabaseAway } from '../problems/database-away.js';
import { dataSourceOptions } from './data-source.js';

/** Connections to each read replica, at most: administrators are few. */
const POOL_SIZE = 4;
/** Milliseconds for which a read replica that failed is left alone. */
const REST = 10_000;

/** The read replica's own trouble: 28 and 3D it lets us not in, 55000 not yet, and the rest it lacks or may not show. */
const UNFIT = /^(28|3D|55000|42P01|42703|42501)/;
/** Too slow there is too slow everywhere, and must not become a burden to the primary. */
const STATEMENT_TIMEOUT = '57014';

/** Runs a read on a database that it chooses. */
export type Reader = <T>(read: (db: EntityManager) => Promise<T>) => Promise<T>;

/**
 * Where the lists of administrators are read. What is found may be a moment old, so nothing that decides may ask here;
 * whoever wants it says so, and every other statement goes to the primary.
 */
@Injectable()
export class ReadReplicas implements OnApplicationShutdown {
  private readonly replicas: readonly ReadReplica[];
  private turn = 0;

  constructor(
    @InjectEntityManager() private readonly primary: EntityManager,
    clock: Clock,
    { storage }: Config,
  ) {
    this.replicas = storage.replicaUrls.map((url, index) => new ReadReplica(`Read replica ${index + 1}`, url, clock));
  }

  /** A read replica is asked in turn; the primary where there is none, or where the one that was asked fails. */
  readonly read: Reader = async (read) => {
    const replica = this.next();
    if (!replica) return read(this.primary);
    try {
      const found = await read(await replica.open());
      replica.answered();
      return found;
    } catch (thrown) {
      if (!isItsFault(thrown)) throw thrown;
      replica.failed(thrown);
      return read(this.primary);
    }
  };

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.close()));
  }

  private next(): ReadReplica | undefined {
    this.turn += 1;
    const inTurn = this.replicas.map((_, index) => this.replicas[(this.turn + index) % this.replicas.length]);
    return inTurn.find((replica) => replica?.mayBeAsked());
  }
}

class ReadReplica {
  private readonly logger = new Logger(ReadReplicas.name);
  private readonly source: DataSource;
  private opening: Promise<unknown> | null = null;
  private away = false;
  /** Milliseconds since 1970. */
  private restsUntil = 0;

  /** `name` is what is logged: a URL holds a password. */
  constructor(
    private readonly name: string,
    url: string,
    private readonly clock: Clock,
  ) {
    this.source = new DataSource(dataSourceOptions(url, POOL_SIZE));
  }

  /** After its rest one caller tries it: if it is still away, nobody else waits for that. */
  mayBeAsked(): boolean {
    if (!this.away) return true;
    if (this.clock.now().getTime() < this.restsUntil) return false;
    this.rest();
    return true;
  }

  /** Connects at the first use, so that a read replica that is away stops no start. */
  async open(): Promise<EntityManager> {
    this.opening ??= this.source.initialize().catch((cause: unknown) => {
      this.opening = null;
      throw cause;
    });
    await this.opening;
    return this.source.manager;
  }

  answered(): void {
    if (this.away) this.logger.log(`${this.name} answers again`);
    this.away = false;
  }

  failed(thrown: unknown): void {
    this.rest();
    if (this.away) return;
    this.away = true;
    this.logger.warn(`${this.name} failed (${databaseCodeOf(thrown) || 'no answer'}): lists are read from the primary`);
  }

  async close(): Promise<void> {
    await this.opening?.catch(() => undefined);
    if (this.source.isInitialized) await this.source.destroy();
  }

  private rest(): void {
    this.restsUntil = this.clock.now().getTime() + REST;
  }
}

function isItsFault(thrown: unknown): boolean {
  const code = databaseCodeOf(thrown);
  return code !== STATEMENT_TIMEOUT && (isDatabaseAway(thrown) || UNFIT.test(code));
}

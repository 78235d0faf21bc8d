import { Logger } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { isPooled } from '../database/pooled.js';

const CHANNEL = 'countersign_sessions';

/** Milliseconds. Every replica says that it is there, and hears itself: both directions of the connection work. */
const HELLO_INTERVAL = 1_000;
/** A replica that has not been heard for so long is gone, and one that does not hear itself must not trust its memory. */
const SILENCE_LIMIT = 3_000;
const RECONNECT_PAUSE = 1_000;
const CONNECT_TIMEOUT = 5_000;
/** How long a change waits at most until every replica has heard of it. */
const SETTLE_LIMIT = 500;

interface Waiting {
  peers: Set<string>;
  done: () => void;
}

export interface SessionListener {
  /** The sessions or the roles of a user have changed. */
  changed(userId: string): void;
  /** Changes may have been missed. */
  lost(): void;
}

/**
 * How replicas tell each other of changes: LISTEN on a connection of its own, fed by triggers, so that no statement can
 * forget to. PostgreSQL delivers in the order of the commits.
 */
export class SessionChannel {
  private readonly logger = new Logger('Sessions');
  private readonly self = randomUUID();
  /** Replicas, and when each was last heard (monotonic milliseconds). */
  private readonly heard = new Map<string, number>();
  private readonly waiting = new Map<string, Waiting>();
  private client: Client | null = null;
  private hello: NodeJS.Timeout | undefined;
  private reconnect: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    private readonly databaseUrl: string,
    private readonly listener: SessionListener,
  ) {}

  async start(): Promise<void> {
    const client = new Client({
      connectionString: this.databaseUrl,
      application_name: 'countersign-sessions',
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      query_timeout: SILENCE_LIMIT,
      keepAlive: true,
      // Sessions that end at once are announced at once.
      pipeline: true,
    });
    client.on('error', () => this.lose(client));
    client.on('end', () => this.lose(client));
    client.on('notification', ({ payload = '' }) => this.hear(payload));
    try {
      await client.connect();
      if (await isPooled(client)) return this.goWithout(client);
      await client.query(`LISTEN ${CHANNEL}`);
    } catch (error) {
      this.logger.warn(
        `Ended sessions cannot be listened for: ${error instanceof Error ? error.message : String(error)}`,
      );
      return this.lose(client);
    }
    if (this.stopped) return void client.end().catch(() => undefined);
    this.client = client;
    this.say(`hello ${this.self}`);
    this.hello = setInterval(() => this.say(`hello ${this.self}`), HELLO_INTERVAL).unref();
  }

  /**
   * A pooler lends a connection out between two statements: what is announced meanwhile goes to somebody else, or to
   * nobody, while a hello may still come back. So nothing is trusted, and it is said once.
   */
  private goWithout(client: Client): void {
    this.stopped = true;
    this.logger.warn(
      'A pooler stands before the database: every session is looked up; DATABASE_DIRECT_URL spares that',
    );
    client.end().catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.hello);
    clearTimeout(this.reconnect);
    const { client } = this;
    if (!client) return;
    // So that nobody waits for this replica any more.
    await this.notify(`bye ${this.self}`).catch(() => undefined);
    this.client = null;
    await client.end().catch(() => undefined);
  }

  /** Whether everything that was committed more than a moment ago has been heard. */
  isReliable(): boolean {
    return this.client !== null && this.isPresent(this.self);
  }

  /** Waits until every replica that is there has heard of what was committed before this call. */
  async settle(): Promise<void> {
    if (!this.isReliable()) return;
    const id = randomUUID();
    const peers = new Set([...this.heard.keys()].filter((replica) => this.isPresent(replica)));
    await new Promise<void>((resolve) => {
      const limit = setTimeout(() => done(), SETTLE_LIMIT);
      const done = () => {
        clearTimeout(limit);
        this.waiting.delete(id);
        resolve();
      };
      this.waiting.set(id, { peers, done });
      this.notify(`sync ${id}`).catch(done);
    });
  }

  private hear(message: string): void {
    const [kind, id = '', replica = ''] = message.split(' ');
    switch (kind) {
      case 'user':
        return this.listener.changed(id);
      case 'hello':
        return void this.heard.set(id, performance.now());
      case 'bye':
        return void this.heard.delete(id);
      case 'sync':
        return this.say(`heard ${id} ${this.self}`);
      case 'heard':
        return this.confirm(id, replica);
      default:
        // A newer version may say more.
        return;
    }
  }

  private confirm(id: string, replica: string): void {
    const waiting = this.waiting.get(id);
    waiting?.peers.delete(replica);
    if (waiting?.peers.size === 0) waiting.done();
  }

  private isPresent(replica: string): boolean {
    return performance.now() - (this.heard.get(replica) ?? -Infinity) < SILENCE_LIMIT;
  }

  private say(message: string): void {
    this.notify(message).catch(() => undefined);
  }

  private async notify(message: string): Promise<void> {
    await this.client?.query('SELECT pg_notify($1, $2)', [CHANNEL, message]);
  }

  private lose(client: Client): void {
    if (this.client !== null && this.client !== client) return;
    this.client = null;
    clearInterval(this.hello);
    this.heard.clear();
    this.listener.lost();
    for (const { done } of [...this.waiting.values()]) done();
    client.end().catch(() => undefined);
    if (this.stopped) return;
    clearTimeout(this.reconnect);
    this.reconnect = setTimeout(() => void this.start(), RECONNECT_PAUSE).unref();
  }
}

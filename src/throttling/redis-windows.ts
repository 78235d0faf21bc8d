import { Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { RedisClientType } from '@redis/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { WindowStore, type Hits } from './window-store.js';

/** Milliseconds. Nobody waits longer for a count: the window of this process stands in. */
const PATIENCE = 250;
const CONNECT_TIMEOUT = 2_000;
const LONGEST_WAIT = 2_000;
/** Counts that wait for an answer, at most: a Redis that stands still, or whose machine has gone, keeps its connection. */
const MOST_WAITING = 1_000;
/** In one step: a window without an end would block an address for ever. */
const HIT = `
  local hits = redis.call('INCR', KEYS[1])
  local left = redis.call('PTTL', KEYS[1])
  if left < 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    left = tonumber(ARGV[1])
  end
  return { hits, left }`;

/** The same in Redis. Losing it loses these counts and nothing else: what is exact is counted in PostgreSQL. */
export class RedisWindows extends WindowStore implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger(RedisWindows.name);
  private redis: RedisClientType | undefined;
  private away = false;

  constructor(private readonly url: string) {
    super();
  }

  /** Does not wait for Redis: a start without it counts by itself. */
  async onModuleInit(): Promise<void> {
    const { createClient } = await import('@redis/client');
    const redis: RedisClientType = createClient({
      url: this.url,
      // Whoever asks while Redis is away hears so at once.
      disableOfflineQueue: true,
      commandsQueueMaxLength: MOST_WAITING,
      socket: {
        connectTimeout: CONNECT_TIMEOUT,
        reconnectStrategy: (attempt) => Math.min(attempt * 100, LONGEST_WAIT),
      },
    });
    redis.on('error', (error: Error & { code?: string }) => this.report(error));
    redis.on('ready', () => {
      if (this.away) this.logger.log('Redis counts requests again');
      this.away = false;
    });
    this.redis = redis;
    redis.connect().catch((error: unknown) => this.report(error as Error));
  }

  onApplicationShutdown(): void {
    this.redis?.destroy();
  }

  async hit(key: Buffer, seconds: number): Promise<Hits> {
    const [hits, left] = await this.ask(`countersign:window:${key.toString('base64url')}`, seconds * 1_000);
    return { hits, secondsLeft: Math.max(1, Math.ceil(left / 1_000)) };
  }

  private async ask(key: string, milliseconds: number): Promise<[number, number]> {
    if (!this.redis) throw new Error('Redis was not asked yet');
    const asked = this.redis.eval(HIT, { keys: [key], arguments: [String(milliseconds)] });
    asked.catch(() => undefined);
    const answer = await Promise.race([asked, sleep(PATIENCE, null, { ref: false })]);
    if (answer === null) throw new Error('Redis is slow');
    return answer as [number, number];
  }

  /** Once: a server that is away is away for many seconds. A whole message may hold the address and its password. */
  private report(error: Error & { code?: string }): void {
    if (!this.away) this.logger.error(`Redis is away, so this process counts by itself (${error.code ?? error.name})`);
    this.away = true;
  }
}

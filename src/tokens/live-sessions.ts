import { Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Clock } from '../clock/clock.js';
import { Config } from '../config/config.js';
import { repeatRead } from '../database/repeat-reads.js';
import { SessionChannel } from './session-channel.js';
import { findLiveSession, type LiveState } from './session.queries.js';

/** Sessions that one replica remembers, at most: some 300 bytes each. */
const CAPACITY = 50_000;
/** However well it is kept, a memory is refreshed after so many seconds. */
const MAX_AGE_SECONDS = 60;

interface Known {
  state: LiveState;
  /** Milliseconds since 1970, and of the monotonic clock: a clock that is set back must not make a session live on. */
  until: number;
  monotonicUntil: number;
}

/**
 * Whether a session lives, and what its user may do: asked before every authenticated request, so it is remembered. Every
 * change that ends a session or touches a user's roles is announced at its commit; a replica that does not hear itself
 * for three seconds remembers nothing and asks each time, as it also does behind a pooler.
 */
@Injectable()
export class LiveSessions implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly known = new Map<string, Known>();
  private readonly sessionsOf = new Map<string, Set<string>>();
  /** How often something has changed: an answer that was under way meanwhile must not be remembered. */
  private changes = 0;
  private readonly channel: SessionChannel;

  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly clock: Clock,
    { storage }: Config,
  ) {
    this.channel = new SessionChannel(storage.directUrl, {
      changed: (userId) => this.forget(userId),
      lost: () => this.forgetAll(),
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.channel.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.channel.stop();
    this.forgetAll();
  }

  /** Null where the session, or its user, no longer stands. */
  async find(sessionId: string): Promise<LiveState | null> {
    const known = this.recall(sessionId);
    if (known) return known;
    const { changes } = this;
    const state = await repeatRead(() => findLiveSession(this.db, sessionId));
    if (state && changes === this.changes && this.channel.isReliable()) this.remember(sessionId, state);
    return state;
  }

  /** After a change that ended sessions: waits until no replica remembers them. */
  settle(): Promise<void> {
    return this.channel.settle();
  }

  private recall(sessionId: string): LiveState | null {
    const known = this.known.get(sessionId);
    if (!known) return null;
    if (this.channel.isReliable() && this.isFresh(known)) return known.state;
    this.drop(sessionId, known.state.userId);
    return null;
  }

  private isFresh({ until, monotonicUntil }: Known): boolean {
    return until > this.clock.now().getTime() && monotonicUntil > performance.now();
  }

  private remember(sessionId: string, state: LiveState): void {
    const seconds = Math.min(state.secondsLeft, MAX_AGE_SECONDS);
    this.known.set(sessionId, {
      state,
      until: this.clock.now().getTime() + seconds * 1000,
      monotonicUntil: performance.now() + seconds * 1000,
    });
    const others = this.sessionsOf.get(state.userId);
    if (others) others.add(sessionId);
    else this.sessionsOf.set(state.userId, new Set([sessionId]));
    if (this.known.size <= CAPACITY) return;
    // A Map keeps the order of insertion, so this is the one remembered longest ago.
    for (const [oldest, { state: its }] of this.known) return this.drop(oldest, its.userId);
  }

  private forget(userId: string): void {
    this.changes += 1;
    for (const sessionId of this.sessionsOf.get(userId) ?? []) this.known.delete(sessionId);
    this.sessionsOf.delete(userId);
  }

  private forgetAll(): void {
    this.changes += 1;
    this.known.clear();
    this.sessionsOf.clear();
  }

  private drop(sessionId: string, userId: string): void {
    this.known.delete(sessionId);
    const others = this.sessionsOf.get(userId);
    others?.delete(sessionId);
    if (others?.size === 0) this.sessionsOf.delete(userId);
  }
}

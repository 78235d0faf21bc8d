import { Injectable, Logger } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Clock } from '../clock/clock.js';
import type { AuditEventType } from './audit-events.js';

/** An event that has its place in the chain. */
export interface SealedEvent {
  id: string;
  type: AuditEventType;
  at: Date;
  userId: string | null;
  actor: string;
  actorId: string | null;
  sessionId: string | null;
  details: Record<string, unknown>;
}

/** Gets every event once, in the order of the chain, in the transaction that seals it. */
export type AuditListener = (tx: EntityManager, events: readonly SealedEvent[]) => Promise<void>;

/**
 * Milliseconds. For so long a listener that throws holds the seal back, and everything is tried again: a lock or a
 * restart of the database passes, and what it interrupted must not be lost. What lasts longer is a mistake in the
 * listener, and that must not keep the log unsealed, which is when it could be changed unnoticed.
 */
const PATIENCE = 60_000;

/** Hands what is sealed to other features. They subscribe in `onModuleInit`. */
@Injectable()
export class AuditFeed {
  private readonly logger = new Logger(AuditFeed.name);
  private readonly listeners: AuditListener[] = [];
  /** Since when a listener has thrown without a success in between. */
  private readonly failing = new Map<AuditListener, number>();

  constructor(private readonly clock: Clock) {}

  subscribe(listener: AuditListener): void {
    this.listeners.push(listener);
  }

  /** @throws what a listener threw, while there is hope that trying again helps */
  async publish(tx: EntityManager, events: readonly SealedEvent[]): Promise<void> {
    for (const listener of this.listeners) {
      try {
        // a savepoint: what a failed listener wrote is undone, and the transaction goes on
        await tx.transaction((nested) => listener(nested, events));
        this.failing.delete(listener);
      } catch (error) {
        const now = this.clock.now().getTime();
        const since = this.failing.get(listener) ?? now;
        this.failing.set(listener, since);
        if (now - since < PATIENCE) throw error;
        this.logger.error(`${events.length} audit events were sealed without a listener that fails: ${String(error)}`);
      }
    }
  }
}

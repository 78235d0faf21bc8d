import { Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { Keys } from '../crypto/keys.js';
import { AuditFeed } from './audit-feed.js';
import { Audit } from './audit.service.js';
import { eventMac, isMadeWith, nextLink, recordMac, type ChainPlace, type Link } from './chain.js';
import {
  appendLinks,
  countUnsealed,
  findHead,
  findUnsealed,
  removeUnsealed,
  tryLockChain,
  type UnsealedEvent,
} from './chain.queries.js';
import type { StoredEvent } from './stored-event.js';

/** Milliseconds. For about so long an event can be removed unnoticed. */
const INTERVAL = 1_000;
const BATCH = 1_000;
/** Milliseconds before another look, while another replica seals. */
const PAUSE = 20;

/** How a batch ended: another replica was at it, nothing is left, or there may be more. */
type Outcome = 'busy' | 'done' | 'more';

/**
 * Gives recorded events their place in the chain, about a second later: a place can only be taken by one transaction
 * after another, and a sign-in must not wait for all others. Every replica tries, and one at a time does it.
 */
@Injectable()
export class Sealer implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(Sealer.name);
  private timer: NodeJS.Timeout | undefined;
  /** What the timer started and is not over. */
  private running: Promise<void> | null = null;
  private failing = false;

  constructor(
    private readonly audit: Audit,
    private readonly feed: AuditFeed,
    private readonly keys: Keys,
    @InjectEntityManager() private readonly db: EntityManager,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.running ??= this.sealQuietly().finally(() => (this.running = null));
    }, INTERVAL).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
  }

  /** Returns when everything is sealed that was recorded before. */
  async sealNow(): Promise<void> {
    for (;;) {
      const outcome = await this.sealBatch();
      if (outcome === 'done') return;
      if (outcome === 'busy') await sleep(PAUSE);
    }
  }

  private async sealQuietly(): Promise<void> {
    try {
      while ((await countUnsealed(this.db)) > 0 && (await this.sealBatch()) === 'more');
      if (this.failing) this.logger.log('Audit events are sealed again');
      this.failing = false;
    } catch (error) {
      // once: a database that is away is away for many seconds
      if (!this.failing) this.logger.error(`Audit events cannot be sealed for now: ${String(error)}`);
      this.failing = true;
    }
  }

  private sealBatch(): Promise<Outcome> {
    return this.db.transaction(async (tx) => {
      if (!(await tryLockChain(tx))) return 'busy';
      const head = await findHead(tx);
      // The first batch takes all that is older than the chain; from then on nothing without a mac is sealed.
      const unsealed = await findUnsealed(tx, head ? BATCH : null);
      if (unsealed.length === 0) return 'done';
      const events: StoredEvent[] = [];
      for (const each of unsealed.filter(({ sealed }) => !sealed)) {
        if (this.isAsRecorded(each, head)) events.push(each.event);
        else await this.reportGap(tx, each);
      }
      await appendLinks(tx, this.linksOf(events, head));
      await removeUnsealed(
        tx,
        unsealed.map(({ eventId }) => eventId),
      );
      if (events.length > 0) {
        await this.feed.publish(
          tx,
          events.map((event) => ({ ...event, at: new Date(event.at) })),
        );
      }
      return 'more';
    });
  }

  private isAsRecorded(
    each: UnsealedEvent,
    head: ChainPlace | null,
  ): each is UnsealedEvent & { readonly event: StoredEvent } {
    if (!each.event) return false;
    if (!each.mac) return head === null;
    const { event, mac } = each;
    return isMadeWith(this.keys.ring('audit-chain'), mac, (key) => recordMac(key, event));
  }

  private linksOf(events: readonly StoredEvent[], head: ChainPlace | null): Omit<Link, 'event'>[] {
    const key = this.keys.for('audit-chain');
    let before = head;
    return events.map((event) => {
      const mac = eventMac(key, event);
      before = nextLink(key, before, mac);
      return { ...before, eventId: event.id, eventMac: mac };
    });
  }

  /** It stays outside the chain, where the check finds it, and nobody is told that it happened. */
  private async reportGap(tx: EntityManager, { eventId, event }: UnsealedEvent): Promise<void> {
    const found = event ? 'changed' : 'missing';
    this.logger.error(`Audit event ${eventId} was ${found} before it was sealed: somebody writes to the audit log`);
    await this.audit.record(tx, 'audit.gap', { userId: null }, { eventId, found });
  }
}

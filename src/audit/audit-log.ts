import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import type { Reader } from '../database/read-replicas.js';
import { findEvents, timeBefore, type EventFilter, type EventPlace } from './audit-log.queries.js';
import type { KnownHead } from './chain-check.js';
import { findHead } from './chain.queries.js';
import type { StoredEvent } from './stored-event.js';

const PAGE = 1_000;

/** Reads the audit log. */
@Injectable()
export class AuditLog {
  constructor(@InjectEntityManager() private readonly db: EntityManager) {}

  /** The newest first, after a place in the list. */
  newest(filter: EventFilter, after: EventPlace | null, limit: number, db = this.db): Promise<StoredEvent[]> {
    return findEvents(db, filter, 'newest first', after, limit);
  }

  /**
   * Everything that matches and happened until now, the oldest first, however much it is: pages are read as fast as
   * they are taken, without a transaction in between, and reading ends when the taker stops.
   */
  async *exportEvents(
    filter: EventFilter,
    reader: Reader = (read) => read(this.db),
  ): AsyncGenerator<StoredEvent, void> {
    const until = { ...filter, to: filter.to ?? (await timeBefore(this.db, 0)) };
    let after: EventPlace | null = null;
    for (;;) {
      const place: EventPlace | null = after;
      const events: StoredEvent[] = await reader((db) => findEvents(db, until, 'oldest first', place, PAGE));
      yield* events;
      after = events.at(-1) ?? null;
      if (events.length < PAGE) return;
    }
  }

  /** Where the chain ends now. Kept outside of the database, it lets the check find that the end was cut off. */
  async head(): Promise<KnownHead | null> {
    const head = await findHead(this.db);
    return head && { seq: head.seq, hash: head.hash.toString('hex') };
  }
}

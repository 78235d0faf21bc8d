import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Keys, type RingKey } from '../crypto/keys.js';
import { anchorMac, faultsOf, isMadeWith, type ChainPlace, type Fault } from './chain.js';
import { countUnsealed, findAnchor, findLinks, findUnchained } from './chain.queries.js';

const PAGE = 1_000;
const FIRST_FAULTS = 100;
const LEAST_ID = '00000000-0000-0000-0000-000000000000';

/** The end of the chain, as exports and the log keep it. `hash` is hexadecimal. */
export interface KnownHead {
  seq: number;
  hash: string;
}

export interface CheckedChain {
  intact: boolean;
  /** How many links were looked at. */
  events: number;
  /** When the first and the last event in the chain happened. */
  from: string | null;
  to: string | null;
  head: KnownHead | null;
  /** Events that wait for their place, which takes about a second. */
  unsealed: number;
  /** The first hundred. */
  faults: Fault[];
}

/**
 * Tells whether anybody changed the audit log. It finds an event that was changed, removed, added or moved, in the log
 * or in the chain, by anybody who can write to the database but does not have SECRET_KEY.
 *
 * It cannot find: an event that was removed together with its row in `audit_unsealed` in the second before it was
 * sealed, or whose time was changed in that second; the newest events where they were cut off together with the end of
 * the chain, unless a head is given that an earlier export or log line told; and nothing that was done with SECRET_KEY.
 */
@Injectable()
export class ChainCheck {
  constructor(
    private readonly keys: Keys,
    @InjectEntityManager() private readonly db: EntityManager,
  ) {}

  /** Reads page by page, all of it from one moment: what is sealed or removed meanwhile does not disturb it. */
  verify(known: KnownHead | null = null): Promise<CheckedChain> {
    return this.db.transaction('REPEATABLE READ', async (tx) => {
      const walk = new Walk(this.keys.ring('audit-chain'), known);
      await walk.links(tx);
      await walk.unchained(tx);
      return walk.result(await countUnsealed(tx));
    });
  }
}

class Walk {
  private events = 0;
  private from: string | null = null;
  private to: string | null = null;
  private head: ChainPlace | null = null;
  private knownIsMet: boolean;
  private intact = true;
  private readonly faults: Fault[] = [];

  constructor(
    private readonly ring: readonly RingKey[],
    private readonly known: KnownHead | null,
  ) {
    this.knownIsMet = known === null;
  }

  async links(tx: EntityManager): Promise<void> {
    const anchor = await findAnchor(tx);
    if (anchor) this.beginAt(anchor, anchor.mac);
    for (;;) {
      const links = await findLinks(tx, this.head?.seq ?? 0, PAGE);
      for (const link of links) {
        this.blame(faultsOf(this.ring, this.head, link));
        this.events++;
        this.from ??= link.event?.at ?? null;
        this.to = link.event?.at ?? this.to;
        this.stepTo(link);
      }
      if (links.length < PAGE) break;
    }
    if (this.known && !this.knownIsMet) this.blame([{ seq: this.known.seq, eventId: null, kind: 'missing' }]);
  }

  async unchained(tx: EntityManager): Promise<void> {
    let afterId: string | null = LEAST_ID;
    while (afterId !== null) {
      const page = await findUnchained(tx, afterId, PAGE);
      this.blame((page?.unchained ?? []).map((eventId) => ({ seq: null, eventId, kind: 'unchained' })));
      afterId = page?.lastId ?? null;
    }
  }

  result(unsealed: number): CheckedChain {
    const { intact, events, from, to, faults } = this;
    const head = this.head && { seq: this.head.seq, hash: this.head.hash.toString('hex') };
    return { intact, events, from, to, head, unsealed, faults };
  }

  private beginAt(anchor: ChainPlace, mac: Buffer): void {
    if (!isMadeWith(this.ring, mac, (key) => anchorMac(key, anchor))) {
      this.blame([{ seq: anchor.seq, eventId: null, kind: 'broken link' }]);
    }
    // What was removed for its age was checked when it was removed.
    if (this.known && this.known.seq < anchor.seq) this.knownIsMet = true;
    this.stepTo(anchor);
  }

  private stepTo({ seq, hash }: ChainPlace): void {
    this.head = { seq, hash };
    if (seq === this.known?.seq) this.knownIsMet = hash.toString('hex') === this.known.hash;
  }

  private blame(faults: readonly Fault[]): void {
    if (faults.length > 0) this.intact = false;
    this.faults.push(...faults.slice(0, FIRST_FAULTS - this.faults.length));
  }
}

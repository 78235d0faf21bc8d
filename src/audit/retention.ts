import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Config } from '../config/config.js';
import { Keys } from '../crypto/keys.js';
import { JobRunner } from '../jobs/job-runner.js';
import { Jobs } from '../jobs/jobs.service.js';
import { anotherShiftOf, workShift } from '../jobs/upkeep.js';
import { timeBefore } from './audit-log.queries.js';
import { Audit } from './audit.service.js';
import { anchorMac, faultsOf, type Link } from './chain.js';
import { findAnchor, findHead, findLinks, lockChain, removeUpTo } from './chain.queries.js';

/** UTC, when few are awake. */
const EVERY_NIGHT = '23 2 * * *';
const TASK = 'remove-old-audit-events';
const BATCH = 1_000;

/** Removes events that are older than AUDIT_RETENTION, from the beginning of the chain on. */
@Injectable()
export class Retention implements OnModuleInit, OnApplicationBootstrap {
  private readonly logger = new Logger(Retention.name);

  constructor(
    private readonly audit: Audit,
    private readonly config: Config,
    private readonly keys: Keys,
    private readonly runner: JobRunner,
    private readonly jobs: Jobs,
    @InjectEntityManager() private readonly db: EntityManager,
  ) {}

  onModuleInit(): void {
    this.runner.repeat(TASK, EVERY_NIGHT, () => this.removeFor());
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.tellHead();
  }

  /** Removes what it can in so long; where that is not all, another job goes on, on whichever replica. */
  async removeFor(milliseconds?: number): Promise<void> {
    if (await workShift(() => this.removeBatch(), milliseconds)) return this.tellHead();
    await this.jobs.enqueue(this.db, TASK, {}, anotherShiftOf(TASK));
  }

  /** Kept elsewhere, as logs are, this line proves later that the end of the chain was not cut off. */
  private async tellHead(): Promise<void> {
    const head = await findHead(this.db);
    if (head) this.logger.log(`The audit chain ends at ${head.seq} with ${head.hash.toString('hex')}`);
  }

  /** @returns whether it was the last */
  private async removeBatch(): Promise<boolean> {
    const { retentionSeconds } = this.config.audit;
    if (retentionSeconds === null) return true;
    return this.db.transaction(async (tx) => {
      await lockChain(tx);
      const old = await this.findOld(tx, await timeBefore(tx, retentionSeconds));
      const last = old.at(-1);
      if (!last) return true;
      const ids = old.map(({ eventId }) => eventId);
      await removeUpTo(tx, { seq: last.seq, hash: last.hash, mac: anchorMac(this.keys.for('audit-chain'), last) }, ids);
      await this.audit.record(tx, 'audit.removed', { userId: null }, { events: old.length, upTo: last.seq });
      return old.length < BATCH;
    });
  }

  /**
   * The first links whose events are all older. It ends before the first fault: else somebody could make the service
   * itself destroy an event and the proof of it, by writing an old time into it.
   */
  private async findOld(tx: EntityManager, cutoff: string): Promise<Link[]> {
    const ring = this.keys.ring('audit-chain');
    const anchor = await findAnchor(tx);
    const links = await findLinks(tx, anchor?.seq ?? 0, BATCH);
    const end = links.findIndex((link, index) => {
      const { event } = link;
      const faulty = faultsOf(ring, links[index - 1] ?? anchor, link).length > 0;
      if (faulty) this.logger.error(`Audit events from ${link.seq} on are kept: the chain is not intact there`);
      return faulty || event === null || event.at >= cutoff;
    });
    return end < 0 ? links : links.slice(0, end);
  }
}

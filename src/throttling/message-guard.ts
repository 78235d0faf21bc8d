import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import { createHmac, type KeyObject } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { Audit, type By } from '../audit/audit.service.js';
import { Config } from '../config/config.js';
import { Keys } from '../crypto/keys.js';
import { JobRunner } from '../jobs/job-runner.js';
import { DestinationLimit } from './destination-limit.js';
import {
  endPauses,
  enterCountry,
  findCountries,
  findToday,
  forgiveToday,
  insertSentCode,
  markAnswered,
  pauseIfIgnored,
  removeOldCounts,
  secondsUntilCountry,
  secondsUntilNewDestination,
  secondsUntilTomorrow,
  takeFromBudget,
  takeNewDestination,
  type CountryState,
} from './message-guard.queries.js';
import type { SendPermission, SendRefusal } from './send-permission.js';
import { forgetOneSend, secondsUntilSend, takeSend } from './sends.queries.js';

/** Where a message goes; `country` of a number as ISO 3166-1 alpha-2, or what stands for none. */
export type Destination = { channel: 'email'; to: string } | { channel: 'sms'; to: string; country: string };

export interface TakeOptions {
  /** The account that adds the destination, whose row is locked. */
  newTo?: string | null;
  /** The destination's own limit was taken when the message was asked for. */
  destinationTaken?: boolean;
  /** Whether something can come back that proves that somebody reads there. */
  answerable?: boolean;
}

export interface GuardState {
  sentToday: number;
  /** Null where no budget is set. */
  budgetLeft: number | null;
  countries: CountryState[];
}

/** Fewer codes say nothing about a country. */
const FEWEST_JUDGED = 50;
const EVERY_HOUR = '17 * * * *';
const ALLOWED: SendPermission = { allowed: true };

/**
 * The one gate before every code and invitation that goes out. Text messages cost money, and whoever shares in what an
 * operator earns by them has a reason to ask for many, to numbers that nobody reads: so they are limited by the first
 * digits of the number and by a budget, and pause for a country whose codes do not come back.
 */
@Injectable()
export class MessageGuard implements OnModuleInit {
  private readonly logger = new Logger(MessageGuard.name);
  private readonly hashKey: KeyObject;

  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly jobs: JobRunner,
    private readonly destinationLimit: DestinationLimit,
    private readonly audit: Audit,
    private readonly config: Config,
    keys: Keys,
  ) {
    this.hashKey = keys.for('counters');
  }

  onModuleInit(): void {
    const accountSeconds = this.config.limits.sendPerAccount?.seconds ?? 0;
    this.jobs.repeat('remove-old-sends', EVERY_HOUR, () => removeOldCounts(this.db, accountSeconds));
  }

  /** Takes one message in the caller's transaction from every limit that it falls under, or from none. */
  async take(tx: EntityManager, destination: Destination, options: TakeOptions = {}): Promise<SendPermission> {
    const limits = this.limitsOf(tx, destination, options);
    if (limits.length < 2) return (await limits[0]?.()) ?? ALLOWED;
    // What one limit refuses must not count at another: nothing was sent.
    await tx.query('SAVEPOINT message_limits');
    for (const limit of limits) {
      const permission = await limit();
      if (permission.allowed) continue;
      await tx.query('ROLLBACK TO SAVEPOINT message_limits');
      return permission;
    }
    await tx.query('RELEASE SAVEPOINT message_limits');
    return ALLOWED;
  }

  /** The right code came back, so what was sent there was wanted: it counts neither there nor for numbers like it. */
  async forgive(tx: EntityManager, { channel, to }: Pick<Destination, 'channel' | 'to'>): Promise<void> {
    await this.destinationLimit.forgive(tx, to);
    if (channel === 'email') return;
    await markAnswered(tx, this.keyOf('number', to));
    await forgetOneSend(tx, this.keyOf('prefix', prefixOf(to)));
  }

  async state(): Promise<GuardState> {
    const { dailyBudget } = this.config.sms;
    const { sent, used } = await findToday(this.db);
    const budgetLeft = dailyBudget === null ? null : Math.max(0, dailyBudget - used);
    return { sentToday: sent, budgetLeft, countries: await findCountries(this.db) };
  }

  /** Ends the pause of one country; without one those of all, and today's budget begins anew. */
  async reset(country: string | null, by: By): Promise<void> {
    await this.db.transaction(async (tx) => {
      await endPauses(tx, country);
      if (country === null) await forgiveToday(tx);
      await this.audit.record(tx, 'message-guard.reset', { userId: null, ...by }, { country });
    });
  }

  private limitsOf(
    tx: EntityManager,
    destination: Destination,
    { newTo = null, destinationTaken = false, answerable = true }: TakeOptions,
  ): (() => Promise<SendPermission>)[] {
    const { to } = destination;
    const limits: (() => Promise<SendPermission>)[] = [];
    if (!destinationTaken) limits.push(() => this.destinationLimit.take(tx, to));
    if (newTo !== null) limits.push(() => this.takeNew(tx, newTo, to));
    if (destination.channel === 'email') return limits;
    const { country } = destination;
    limits.push(
      () => this.enter(tx, country),
      () => this.takePrefix(tx, to),
      () => this.takeBudget(tx),
    );
    if (answerable) limits.push(() => this.judge(tx, country, to));
    return limits;
  }

  private async takeNew(tx: EntityManager, userId: string, to: string): Promise<SendPermission> {
    const rate = this.config.limits.sendPerAccount;
    if (rate === null || (await takeNewDestination(tx, { userId, key: this.keyOf('new', to) }, rate))) return ALLOWED;
    return refused('too_many_messages', await secondsUntilNewDestination(tx, userId, rate));
  }

  private async enter(tx: EntityManager, country: string): Promise<SendPermission> {
    if (await enterCountry(tx, country, this.config.sms.minVerifyRate === null)) return ALLOWED;
    return refused('messages_paused', await secondsUntilCountry(tx, country));
  }

  private async takePrefix(tx: EntityManager, to: string): Promise<SendPermission> {
    const rate = this.config.sms.perPrefix;
    if (rate === null) return ALLOWED;
    const key = this.keyOf('prefix', prefixOf(to));
    const limits = { cooldownSeconds: 0, rates: [rate] };
    if (await takeSend(tx, key, limits)) return ALLOWED;
    return refused('too_many_messages', await secondsUntilSend(tx, key, limits));
  }

  private async takeBudget(tx: EntityManager): Promise<SendPermission> {
    const budget = this.config.sms.dailyBudget;
    const used = await takeFromBudget(tx, budget);
    if (used === null) return refused('messages_paused', await secondsUntilTomorrow(tx));
    if (budget !== null && used === budget) {
      this.logger.error(`The budget of ${budget} text messages a day is used up: none goes out until midnight UTC`);
      await this.audit.record(tx, 'message-guard.budget-reached', { userId: null }, { budget });
    }
    return ALLOWED;
  }

  /** The message that shows that codes are ignored still goes out: its transaction is what the pause is stored by. */
  private async judge(tx: EntityManager, country: string, to: string): Promise<SendPermission> {
    await insertSentCode(tx, country, this.keyOf('number', to));
    const percent = this.config.sms.minVerifyRate;
    const judged = percent === null ? null : await pauseIfIgnored(tx, country, { fewest: FEWEST_JUDGED, percent });
    if (judged) {
      const { sent, answered } = judged;
      this.logger.error(`Text messages to ${country} pause for an hour: of ${sent} codes ${answered} came back`);
      await this.audit.record(tx, 'message-guard.paused', { userId: null }, { country, sent, answered });
    }
    return ALLOWED;
  }

  /** Keyed: a copy of the database tells nobody whom codes were sent to. */
  private keyOf(what: 'new' | 'number' | 'prefix', value: string): Buffer {
    return createHmac('sha256', this.hashKey).update(`${what}\0${value}`).digest();
  }
}

function refused(refusal: SendRefusal, retryAfter: number): SendPermission {
  return { allowed: false, refusal, retryAfter };
}

/** Fraud works through ranges: numbers that are rented together differ in their last digits. */
function prefixOf(number: string): string {
  return number.slice(0, -4);
}

import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { AuditFeed } from '../audit/audit-feed.js';
import { Audit } from '../audit/audit.service.js';
import { SecretBox } from '../crypto/secret-box.js';
import { JobRunner } from '../jobs/job-runner.js';
import { Jobs } from '../jobs/jobs.service.js';
import { anotherShiftOf, workShift } from '../jobs/upkeep.js';
import {
  deleteOldDeliveries,
  findDueDelivery,
  insertDeliveries,
  insertDelivery,
  restartDelivery,
  secondsUntilNext,
  settleDelivery,
  type Delivery,
  type DueDelivery,
} from './deliveries.queries.js';
import { SWITCHED_OFF, verdictOn, type Verdict } from './verdict.js';
import { bodyOf, toWebhookEvent, type WebhookEvent } from './webhook-events.js';
import { WEBHOOK_SECRET } from './webhook-secret.js';
import { WebhookSender } from './webhook-sender.js';
import { lockWebhook, recordFailure, recordSuccess, type Patience } from './webhooks.queries.js';

const HOUR = 3600;
const PATIENCE: Patience = { failures: 50, overSeconds: HOUR, lastingSeconds: 72 * HOUR };

/** Milliseconds after which a job begins no other attempt: a mail may be waiting for its worker. */
const TURN = 2_000;
/** After the mails: nobody waits for a webhook before a screen. */
const PRIORITY = 10;
/** UTC, when few are awake. */
const EVERY_NIGHT = '41 3 * * *';
const REMOVAL = 'remove-old-webhook-deliveries';
const KEPT_DAYS = 30;
const REMOVED_AT_ONCE = 5_000;

/** Tells webhooks what happened: a row for each event and webhook, until it is delivered or given up, and a job for each webhook. */
@Injectable()
export class Deliveries implements OnModuleInit {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly audit: Audit,
    private readonly feed: AuditFeed,
    private readonly jobs: Jobs,
    private readonly runner: JobRunner,
    private readonly box: SecretBox,
    private readonly sender: WebhookSender,
  ) {}

  onModuleInit(): void {
    this.feed.subscribe(async (tx, events) => {
      const told = events.map((event) => toWebhookEvent(event)).filter((event) => event !== null);
      if (told.length > 0) await this.plan(tx, told);
    });
    this.runner.handle('deliver-to-webhook', ({ webhookId }) => this.deliver(webhookId));
    this.runner.repeat(REMOVAL, EVERY_NIGHT, () => this.removeOld());
  }

  /** One event for one webhook, whatever it listens to; null where the webhook is switched off. */
  tell(webhookId: string, event: WebhookEvent): Promise<Delivery | null> {
    return this.db.transaction(async (tx) => {
      const delivery = await insertDelivery(tx, webhookId, { ...event, body: bodyOf(event) });
      if (delivery) await this.enqueue(tx, webhookId);
      return delivery;
    });
  }

  /** Null where the webhook is switched off, or has no such delivery. */
  restart(webhookId: string, deliveryId: string): Promise<Delivery | null> {
    return this.db.transaction(async (tx) => {
      const delivery = await restartDelivery(tx, webhookId, deliveryId);
      if (delivery) await this.enqueue(tx, webhookId);
      return delivery;
    });
  }

  private async plan(tx: EntityManager, events: readonly WebhookEvent[]): Promise<void> {
    const rows = events.map((event) => ({ id: event.id, type: event.type, body: bodyOf(event) }));
    for (const { webhookId } of await insertDeliveries(tx, rows)) await this.enqueue(tx, webhookId);
  }

  /**
   * The key: one job waits for each webhook, until the first that is due. The queue: one is done at a time, over all
   * replicas, so events go out in order, and a slow receiver takes one worker and no more.
   */
  private enqueue(tx: EntityManager, webhookId: string, delaySeconds = 0): Promise<void> {
    const name = `webhook-${webhookId}`;
    const options = { key: name, queue: name, priority: PRIORITY, delaySeconds };
    return this.jobs.enqueue(tx, 'deliver-to-webhook', { webhookId }, options);
  }

  private async deliver(webhookId: string): Promise<void> {
    const end = performance.now() + TURN;
    do {
      const due = await findDueDelivery(this.db, webhookId);
      if (!due) break;
      await this.attempt(due);
    } while (performance.now() < end);
    await this.db.transaction(async (tx) => {
      if (!(await lockWebhook(tx, webhookId))) return;
      const seconds = await secondsUntilNext(tx, webhookId);
      if (seconds !== null) await this.enqueue(tx, webhookId, seconds);
    });
  }

  /** No transaction is open while the receiver thinks. A process that dies meanwhile leaves the attempt to be made again. */
  private async attempt(due: DueDelivery): Promise<void> {
    const attempts = due.attempts + (due.active ? 1 : 0);
    const verdict = due.active ? verdictOn(await this.send(due), attempts, Math.random()) : SWITCHED_OFF;
    await this.db.transaction((tx) => this.settle(tx, due, verdict, attempts));
  }

  private send({ webhookId, url, eventId, body, sealedSecret, sealedPreviousSecret }: DueDelivery) {
    const secrets = [sealedSecret, sealedPreviousSecret]
      .filter((sealed) => sealed !== null)
      .map((sealed) => this.box.open(sealed, WEBHOOK_SECRET, webhookId));
    return this.sender.send({ url, id: eventId, body, secrets });
  }

  private async settle(tx: EntityManager, due: DueDelivery, verdict: Verdict, attempts: number): Promise<void> {
    const { webhookId, active } = due;
    if (!(await lockWebhook(tx, webhookId))) return;
    const counts = (await settleDelivery(tx, due, verdict, attempts)) && active;
    if (!counts) return;
    if (verdict.state === 'delivered') return recordSuccess(tx, webhookId);
    const reason = await recordFailure(tx, webhookId, verdict.status === 410, PATIENCE);
    if (reason) await this.audit.record(tx, 'webhook.disabled', { userId: null }, { webhookId, reason });
  }

  private async removeOld(): Promise<void> {
    const removePage = async () => (await deleteOldDeliveries(this.db, KEPT_DAYS, REMOVED_AT_ONCE)) < REMOVED_AT_ONCE;
    if (await workShift(removePage)) return;
    await this.jobs.enqueue(this.db, REMOVAL, {}, anotherShiftOf(REMOVAL));
  }
}

import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Audit, type By } from '../audit/audit.service.js';
import { Clock } from '../clock/clock.js';
import { Config } from '../config/config.js';
import { SecretBox } from '../crypto/secret-box.js';
import { invalidCursor, pageOf, readCursor, type Page } from '../paging/page.js';
import { Problem } from '../problems/problem.js';
import { findDeliveries, type Delivery } from './deliveries.queries.js';
import { Deliveries } from './deliveries.service.js';
import { targetFault } from './target.js';
import { TEST_EVENT, type WebhookEventType } from './webhook-events.js';
import { newWebhookSecret, WEBHOOK_SECRET } from './webhook-secret.js';
import {
  deleteWebhook,
  findWebhook,
  findWebhooks,
  insertWebhook,
  rotateSecret,
  updateWebhook,
  type Webhook,
  type WebhookChanges,
} from './webhooks.queries.js';

/** Every event is a row and a request for each of them. */
const MOST = 20;
/** Seconds in which both secrets sign, so that receivers need not change theirs at the same moment. */
const ROTATION_OVERLAP = 24 * 3600;

/** What administrators do with webhooks. */
@Injectable()
export class Webhooks {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly audit: Audit,
    private readonly box: SecretBox,
    private readonly config: Config,
    private readonly clock: Clock,
    private readonly deliveries: Deliveries,
  ) {}

  findAll(): Promise<Webhook[]> {
    return findWebhooks(this.db);
  }

  /** @throws Problem not_found */
  async get(id: string): Promise<Webhook> {
    return found(await findWebhook(this.db, id));
  }

  async deliveriesOf(id: string, limit: number, cursor?: string): Promise<Page<Delivery>> {
    await this.get(id);
    const [before = null] = readCursor(cursor, 1) ?? [];
    if (before !== null && !/^\d{1,18}$/.test(before)) throw invalidCursor();
    const rows = await findDeliveries(this.db, id, { limit: limit + 1, before });
    return pageOf(rows, limit, ({ place }) => [place]);
  }

  /** The secret is in this answer and in no other. */
  async create(
    { url, events, description }: { url: string; events: readonly WebhookEventType[]; description: string },
    by: By,
  ): Promise<{ webhook: Webhook; secret: string }> {
    const target = this.targetOf(url);
    const id = uuidv7();
    const secret = newWebhookSecret();
    const sealedSecret = this.box.seal(secret, WEBHOOK_SECRET, id);
    const webhook = await this.db.transaction(async (tx) => {
      const created = await insertWebhook(tx, { id, url: target.href, events, description, sealedSecret }, MOST);
      if (!created) throw new Problem('too_many_webhooks');
      await this.audit.record(tx, 'webhook.created', { userId: null, ...by }, { webhookId: id, host: target.host });
      return created;
    });
    return { webhook, secret };
  }

  update(id: string, { url, ...rest }: WebhookChanges, by: By): Promise<Webhook> {
    const changes = url === undefined ? rest : { ...rest, url: this.targetOf(url).href };
    return this.db.transaction(async (tx) => {
      const webhook = found(await updateWebhook(tx, id, changes));
      const details = { webhookId: id, fields: Object.keys(changes), host: new URL(webhook.url).host };
      await this.audit.record(tx, 'webhook.updated', { userId: null, ...by }, details);
      return webhook;
    });
  }

  async remove(id: string, by: By): Promise<void> {
    await this.db.transaction(async (tx) => {
      if (!(await deleteWebhook(tx, id))) throw new Problem('not_found');
      await this.audit.record(tx, 'webhook.removed', { userId: null, ...by }, { webhookId: id });
    });
  }

  /** The secret is in this answer and in no other. */
  async rotate(id: string, by: By): Promise<{ webhook: Webhook; secret: string }> {
    const secret = newWebhookSecret();
    const sealed = this.box.seal(secret, WEBHOOK_SECRET, id);
    const webhook = await this.db.transaction(async (tx) => {
      const rotated = found(await rotateSecret(tx, id, sealed, ROTATION_OVERLAP));
      await this.audit.record(tx, 'webhook.secret-rotated', { userId: null, ...by }, { webhookId: id });
      return rotated;
    });
    return { webhook, secret };
  }

  async test(id: string): Promise<Delivery> {
    await this.get(id);
    const about = { id: uuidv7(), type: TEST_EVENT, at: this.clock.now(), data: { webhookId: id } } as const;
    const delivery = await this.deliveries.tell(id, about);
    if (!delivery) throw new Problem('webhook_inactive');
    return delivery;
  }

  async redeliver(id: string, deliveryId: string): Promise<Delivery> {
    const { active } = await this.get(id);
    if (!active) throw new Problem('webhook_inactive');
    return found(await this.deliveries.restart(id, deliveryId));
  }

  /** @throws Problem webhook_target_not_allowed */
  private targetOf(url: string): URL {
    const target = URL.canParse(url) ? new URL(url) : null;
    const fault = target ? targetFault(target, this.config.webhooks.allowPrivateTargets) : 'is not a URL';
    if (target && fault === null) return target;
    throw new Problem('webhook_target_not_allowed', { detail: `The URL ${fault}.` });
  }
}

function found<T>(value: T | null): T {
  if (value === null) throw new Problem('not_found');
  return value;
}

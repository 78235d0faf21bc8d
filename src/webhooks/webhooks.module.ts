import { Module } from '@nestjs/common';
import { Deliveries } from './deliveries.service.js';
import { WebhookSender } from './webhook-sender.js';
import { WebhooksController } from './webhooks.controller.js';
import { Webhooks } from './webhooks.service.js';

/** Other services are told what happened. */
@Module({ controllers: [WebhooksController], providers: [Webhooks, Deliveries, WebhookSender] })
export class WebhooksModule {}

import { Body, Controller, Delete, Get, HttpCode, Param, ParseUUIDPipe, Patch, Post, Query } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { By } from '../audit/audit.service.js';
import { CurrentClient, type Client } from '../audit/client.js';
import { PageQueryDto } from '../paging/page.js';
import { Problems } from '../problems/answers.js';
import { AdminsOnly, CurrentUser, RequiresFresh } from '../tokens/access.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import {
  ApiDeliveryId,
  ApiWebhookId,
  CreateWebhookDto,
  toDeliveryDto,
  toWebhookDto,
  UpdateWebhookDto,
  WebhookDeliveryDto,
  WebhookDeliveryPageDto,
  WebhookDetailsDto,
  WebhookDto,
  WebhookListDto,
  WebhookWithSecretDto,
} from './webhooks.dto.js';
import { Webhooks } from './webhooks.service.js';

const RECENT = 10;

@ApiTags('admin')
@Controller('admin/webhooks')
export class WebhooksController {
  constructor(private readonly webhooks: Webhooks) {}

  @Get()
  @AdminsOnly()
  @ApiOperation({ operationId: 'listWebhooks', summary: 'The webhooks' })
  @ApiOkResponse({ type: WebhookListDto, description: 'All of them.' })
  async list(): Promise<WebhookListDto> {
    return { items: (await this.webhooks.findAll()).map(toWebhookDto) };
  }

  @Post()
  @AdminsOnly()
  @RequiresFresh()
  @ApiOperation({
    operationId: 'createWebhook',
    summary: 'Tell another service what happens',
    description:
      'Events are posted and signed as Standard Webhooks says. The secret is in this answer and in no other.',
  })
  @ApiCreatedResponse({ type: WebhookWithSecretDto, description: 'The webhook and its secret.' })
  @Problems('webhook_target_not_allowed', 'too_many_webhooks')
  async create(
    @Body() { url, events = [], description = '' }: CreateWebhookDto,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<WebhookWithSecretDto> {
    const { webhook, secret } = await this.webhooks.create({ url, events, description }, byAdmin(admin, client));
    return { ...toWebhookDto(webhook), secret };
  }

  @Get(':id')
  @AdminsOnly()
  @ApiWebhookId()
  @ApiOperation({ operationId: 'getWebhook', summary: 'A webhook, and how its last deliveries went' })
  @ApiOkResponse({ type: WebhookDetailsDto, description: 'The webhook.' })
  @Problems('not_found')
  async get(@Param('id', ParseUUIDPipe) id: string): Promise<WebhookDetailsDto> {
    const webhook = await this.webhooks.get(id);
    const { items } = await this.webhooks.deliveriesOf(id, RECENT);
    return { ...toWebhookDto(webhook), recentDeliveries: items.map(toDeliveryDto) };
  }

  @Patch(':id')
  @AdminsOnly()
  @RequiresFresh()
  @ApiWebhookId()
  @ApiOperation({ operationId: 'updateWebhook', summary: 'Change a webhook, or switch it off or on' })
  @ApiOkResponse({ type: WebhookDto, description: 'The webhook.' })
  @Problems('not_found', 'webhook_target_not_allowed')
  async update(
    @Param('id', ParseUUIDPipe) id: string,
    @Body() body: UpdateWebhookDto,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<WebhookDto> {
    return toWebhookDto(await this.webhooks.update(id, body, byAdmin(admin, client)));
  }

  @Delete(':id')
  @HttpCode(204)
  @AdminsOnly()
  @RequiresFresh()
  @ApiWebhookId()
  @ApiOperation({
    operationId: 'removeWebhook',
    summary: 'Remove a webhook',
    description: 'Its deliveries go with it; nothing more is sent.',
  })
  @ApiNoContentResponse({ description: 'Removed.' })
  @Problems('not_found')
  async remove(
    @Param('id', ParseUUIDPipe) id: string,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.webhooks.remove(id, byAdmin(admin, client));
  }

  @Post(':id/rotate-secret')
  @HttpCode(200)
  @AdminsOnly()
  @RequiresFresh()
  @ApiWebhookId()
  @ApiOperation({
    operationId: 'rotateWebhookSecret',
    summary: 'Replace the secret',
    description:
      'For 24 hours both secrets sign, so that the receiver may change in between. The new one is in this answer and in no other.',
  })
  @ApiOkResponse({ type: WebhookWithSecretDto, description: 'The webhook and its new secret.' })
  @Problems('not_found')
  async rotateSecret(
    @Param('id', ParseUUIDPipe) id: string,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<WebhookWithSecretDto> {
    const { webhook, secret } = await this.webhooks.rotate(id, byAdmin(admin, client));
    return { ...toWebhookDto(webhook), secret };
  }

  @Post(':id/test')
  @HttpCode(202)
  @AdminsOnly()
  @RequiresFresh()
  @ApiWebhookId()
  @ApiOperation({ operationId: 'testWebhook', summary: 'Send a `webhook.test` event now' })
  @ApiAcceptedResponse({ type: WebhookDeliveryDto, description: 'It is being sent; look at the delivery.' })
  @Problems('not_found', 'webhook_inactive')
  async test(@Param('id', ParseUUIDPipe) id: string): Promise<WebhookDeliveryDto> {
    return toDeliveryDto(await this.webhooks.test(id));
  }

  @Get(':id/deliveries')
  @AdminsOnly()
  @ApiWebhookId()
  @ApiOperation({
    operationId: 'listWebhookDeliveries',
    summary: 'What became of each event',
    description: 'Those of the last 30 days.',
  })
  @ApiOkResponse({ type: WebhookDeliveryPageDto, description: 'One page of deliveries.' })
  @Problems('not_found')
  async deliveries(
    @Param('id', ParseUUIDPipe) id: string,
    @Query() { limit, cursor }: PageQueryDto,
  ): Promise<WebhookDeliveryPageDto> {
    const { items, nextCursor } = await this.webhooks.deliveriesOf(id, limit, cursor);
    return { items: items.map(toDeliveryDto), nextCursor };
  }

  @Post(':id/deliveries/:deliveryId/redeliver')
  @HttpCode(202)
  @AdminsOnly()
  @RequiresFresh()
  @ApiDeliveryId()
  @ApiOperation({
    operationId: 'redeliverWebhook',
    summary: 'Send an event again, or now instead of later',
    description: 'Under the same `webhook-id`. If it fails, the attempts begin from the first one.',
  })
  @ApiAcceptedResponse({ type: WebhookDeliveryDto, description: 'It is being sent; look at the delivery.' })
  @Problems('not_found', 'webhook_inactive')
  async redeliver(
    @Param('id', ParseUUIDPipe) id: string,
    @Param('deliveryId', ParseUUIDPipe) deliveryId: string,
  ): Promise<WebhookDeliveryDto> {
    return toDeliveryDto(await this.webhooks.redeliver(id, deliveryId));
  }
}

function byAdmin({ userId }: AccessPrincipal, client: Client): By {
  return { actor: { kind: 'admin', userId }, client };
}

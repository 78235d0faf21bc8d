import { applyDecorators } from '@nestjs/common';
import { ApiParam, ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ArrayUnique, IsArray, IsBoolean, IsIn, IsString, MaxLength, ValidateIf } from 'class-validator';
import { PageDto } from '../paging/page.js';
import type { Delivery } from './deliveries.queries.js';
import { URL_MAX_LENGTH } from './target.js';
import { WEBHOOK_EVENT_TYPES, type WebhookEventType } from './webhook-events.js';
import type { Webhook } from './webhooks.queries.js';

const DESCRIPTION_MAX_LENGTH = 200;
const EXAMPLE_ID = '019aa8d2-c1f4-7b2e-9a35-3e8d5f1c6b44';
const EXAMPLE_DELIVERY = '7c9e6679-7425-40de-944b-e07fc1f90ae7';
const EXAMPLE_TIME = '2026-11-21T10:00:00.000Z';
const EVENTS = { enum: WEBHOOK_EVENT_TYPES, enumName: 'WebhookEventType', isArray: true } as const;

/** The `{id}` of a path below /admin/webhooks. */
export const ApiWebhookId = () =>
  ApiParam({ name: 'id', format: 'uuid', example: EXAMPLE_ID, description: 'A webhook of the list.' });

export const ApiDeliveryId = () =>
  applyDecorators(
    ApiWebhookId(),
    ApiParam({
      name: 'deliveryId',
      format: 'uuid',
      example: EXAMPLE_DELIVERY,
      description: 'One of the webhook’s deliveries.',
    }),
  );

const present = (name: string) => (body: object) => (body as Record<string, unknown>)[name] !== undefined;

export class CreateWebhookDto {
  @ApiProperty({
    maxLength: URL_MAX_LENGTH,
    example: 'https://example.com/hooks/sign-ins',
    description:
      'Where events are posted: https, a public host, no user name, password or fragment. Put no secret into it: the signature proves who sends.',
  })
  @IsString()
  @MaxLength(URL_MAX_LENGTH)
  url!: string;

  @ApiPropertyOptional({
    ...EVENTS,
    example: ['sign-in.failed'],
    description: 'What it is told. Empty or absent: everything.',
  })
  @ValidateIf(present('events'))
  @IsArray()
  @ArrayUnique()
  @IsIn(WEBHOOK_EVENT_TYPES, { each: true })
  events?: WebhookEventType[];

  @ApiPropertyOptional({
    maxLength: DESCRIPTION_MAX_LENGTH,
    example: 'Our security dashboard',
    description: 'What it is for.',
  })
  @ValidateIf(present('description'))
  @IsString()
  @MaxLength(DESCRIPTION_MAX_LENGTH)
  description?: string;
}

export class UpdateWebhookDto {
  @ApiPropertyOptional({
    maxLength: URL_MAX_LENGTH,
    example: 'https://example.com/hooks/sign-ins',
    description: 'Where events are posted from now on, those that wait for another attempt too.',
  })
  @ValidateIf(present('url'))
  @IsString()
  @MaxLength(URL_MAX_LENGTH)
  url?: string;

  @ApiPropertyOptional({ ...EVENTS, example: ['sign-in.failed'], description: 'What it is told. Empty: everything.' })
  @ValidateIf(present('events'))
  @IsArray()
  @ArrayUnique()
  @IsIn(WEBHOOK_EVENT_TYPES, { each: true })
  events?: WebhookEventType[];

  @ApiPropertyOptional({
    example: true,
    description: '`false`: nothing is sent, and what happens meanwhile is not sent later. `true` forgets its failures.',
  })
  @ValidateIf(present('active'))
  @IsBoolean()
  active?: boolean;

  @ApiPropertyOptional({
    maxLength: DESCRIPTION_MAX_LENGTH,
    example: 'Our security dashboard',
    description: 'What it is for.',
  })
  @ValidateIf(present('description'))
  @IsString()
  @MaxLength(DESCRIPTION_MAX_LENGTH)
  description?: string;
}

/** An address that is told what happens. */
export class WebhookDto {
  @ApiProperty({ format: 'uuid', example: EXAMPLE_ID, description: 'The webhook.' })
  id!: string;

  @ApiProperty({ example: 'https://example.com/hooks/sign-ins', description: 'Where events are posted.' })
  url!: string;

  @ApiProperty({ example: 'Our security dashboard', description: 'What it is for; may be empty.' })
  description!: string;

  @ApiProperty({ ...EVENTS, example: ['sign-in.failed'], description: 'What it is told. Empty: everything.' })
  events!: WebhookEventType[];

  @ApiProperty({ example: true, description: 'Whether anything is sent.' })
  active!: boolean;

  @ApiProperty({
    type: String,
    nullable: true,
    enum: ['failures', 'gone', null],
    example: null,
    description:
      'Why the service switched it off: `failures` (too many, for too long) or `gone` (it answered 410). Null where it is active, or where an administrator did.',
  })
  disabledReason!: Webhook['disabledReason'];

  @ApiProperty({ type: 'integer', example: 0, description: 'Failed attempts in a row.' })
  failures!: number;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null, description: 'Since when.' })
  failingSince!: string | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: null,
    description: 'Until when the secret before the present one signs too; null where there is none.',
  })
  previousSecretUntil!: string | null;

  @ApiProperty({ type: String, format: 'date-time', example: EXAMPLE_TIME, description: 'When it was created.' })
  createdAt!: string;

  @ApiProperty({ type: String, format: 'date-time', example: EXAMPLE_TIME, description: 'When it was last changed.' })
  updatedAt!: string;
}

export class WebhookListDto {
  @ApiProperty({ type: [WebhookDto], description: 'The oldest first.' })
  items!: WebhookDto[];
}

/** A webhook with the secret that is shown once. */
export class WebhookWithSecretDto extends WebhookDto {
  @ApiProperty({
    example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=',
    description: 'What the receiver checks signatures with. Never shown again.',
  })
  secret!: string;
}

/** What became of one event at one webhook. */
export class WebhookDeliveryDto {
  @ApiProperty({ format: 'uuid', example: EXAMPLE_DELIVERY, description: 'The delivery.' })
  id!: string;

  @ApiProperty({
    format: 'uuid',
    example: '019aa8d3-1b2c-7d4e-8f5a-6b7c8d9e0f11',
    description: 'The event, as the header `webhook-id` names it and the audit log knows it.',
  })
  eventId!: string;

  @ApiProperty({ example: 'sign-in.failed', description: 'Its type; `webhook.test` for a test.' })
  type!: string;

  @ApiProperty({
    enum: ['pending', 'delivered', 'failed'],
    example: 'delivered',
    description: '`pending`: an attempt is planned. `failed`: it was given up.',
  })
  state!: Delivery['state'];

  @ApiProperty({ type: 'integer', example: 1, description: 'Attempts so far.' })
  attempts!: number;

  @ApiProperty({ type: 'integer', nullable: true, example: 204, description: 'The status of the last answer.' })
  lastStatus!: number | null;

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'Not reached (ECONNREFUSED)',
    description: 'Why the last attempt failed, where the status does not tell.',
  })
  lastError!: string | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: null,
    description: 'While it is pending.',
  })
  nextAttemptAt!: string | null;

  @ApiProperty({ type: String, format: 'date-time', example: EXAMPLE_TIME, description: 'When it was planned.' })
  createdAt!: string;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: EXAMPLE_TIME,
    description: 'When the receiver took it.',
  })
  deliveredAt!: string | null;
}

/** A webhook and how it fares. */
export class WebhookDetailsDto extends WebhookDto {
  @ApiProperty({ type: [WebhookDeliveryDto], description: 'The ten newest deliveries.' })
  recentDeliveries!: WebhookDeliveryDto[];
}

export class WebhookDeliveryPageDto extends PageDto {
  @ApiProperty({ type: [WebhookDeliveryDto], description: 'The newest event first.' })
  items!: WebhookDeliveryDto[];
}

export function toWebhookDto(webhook: Webhook) {
  return {
    id: webhook.id,
    url: webhook.url,
    description: webhook.description,
    events: webhook.events,
    active: webhook.active,
    disabledReason: webhook.disabledReason,
    failures: webhook.failures,
    failingSince: webhook.failingSince?.toISOString() ?? null,
    previousSecretUntil: webhook.previousSecretUntil?.toISOString() ?? null,
    createdAt: webhook.createdAt.toISOString(),
    updatedAt: webhook.updatedAt.toISOString(),
  };
}

export function toDeliveryDto(delivery: Delivery): WebhookDeliveryDto {
  return {
    id: delivery.id,
    eventId: delivery.eventId,
    type: delivery.type,
    state: delivery.state,
    attempts: delivery.attempts,
    lastStatus: delivery.lastStatus,
    lastError: delivery.lastError,
    nextAttemptAt: delivery.nextAttemptAt?.toISOString() ?? null,
    createdAt: delivery.createdAt.toISOString(),
    deliveredAt: delivery.deliveredAt?.toISOString() ?? null,
  };
}

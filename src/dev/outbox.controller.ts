import { Controller, Delete, Get, Header, Headers, HttpCode, Query, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Outbox, type OutboxMessage } from '../notifications/outbox.js';
import { Public } from '../tokens/access.js';
import { outboxPage } from './outbox-page.js';

/** Shows a developer the messages that would have been sent. Never imported in production. */
@ApiExcludeController()
@Controller({ path: 'dev' })
export class OutboxController {
  constructor(private readonly outbox: Outbox) {}

  @Public()
  @Get('outbox')
  @Header('Vary', 'Accept')
  show(
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('accept') accept: string | undefined,
    @Query('format') format: unknown,
  ): string | { items: OutboxMessage[] } {
    const items = this.outbox.list();
    if (format === 'json' || accept?.includes('application/json')) return { items };
    reply.type('text/html; charset=utf-8');
    return outboxPage(items);
  }

  @Public()
  @Get('outbox.json')
  list(): { items: OutboxMessage[] } {
    return { items: this.outbox.list() };
  }

  @Public()
  @Delete('outbox')
  @HttpCode(204)
  clear(): void {
    this.outbox.clear();
  }
}

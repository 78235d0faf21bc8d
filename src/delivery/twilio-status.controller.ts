import { Body, Controller, Headers, HttpCode, Logger, Post, Req } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { SkipThrottle } from '@nestjs/throttler';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { FastifyRequest } from 'fastify';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import { CurrentClient, type Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { TWILIO_STATUS_PATH } from '../notifications/twilio.js';
import { Problem } from '../problems/problem.js';
import { Public } from '../tokens/access.js';
import { isReported } from './delivery.queries.js';

type Form = Record<string, string | string[]>;

/** What became of a message. The states on the way there (accepted, queued, sending) tell nobody anything. */
const OUTCOMES = new Set(['sent', 'delivered', 'undelivered', 'failed']);
const LOST = new Set(['undelivered', 'failed']);

/**
 * Where Twilio reports what became of a text message. Excluded from the API's document: nobody else can call it. Not
 * throttled: all reports come from few addresses, and refusing one costs no more than a keyed hash.
 */
@ApiExcludeController()
@SkipThrottle({ overall: true })
@Controller('webhooks/twilio')
export class TwilioStatusController {
  private readonly logger = new Logger('Twilio');

  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly audit: Audit,
    private readonly config: Config,
  ) {}

  @Public()
  @Post('status')
  @HttpCode(204)
  async receive(
    @Body() form: unknown,
    @Headers('x-twilio-signature') signature: string | undefined,
    @Req() request: FastifyRequest,
    @CurrentClient() client: Client,
  ): Promise<void> {
    const query = queryOf(request.url);
    if (!isForm(form) || !(await this.isSigned(form, signature, query))) throw new Problem('invalid_signature');
    const { MessageSid: providerId, MessageStatus: state, ErrorCode: errorCode } = form;
    if (typeof providerId !== 'string' || !/^[A-Z]{2}[0-9a-fA-F]{32}$/.test(providerId)) return;
    if (typeof state !== 'string' || !OUTCOMES.has(state)) return;
    const details = {
      providerId,
      messageId: uuidOrNull(new URLSearchParams(query).get('messageId')),
      state,
      errorCode: typeof errorCode === 'string' && /^\d{1,6}$/.test(errorCode) ? Number(errorCode) : null,
    };
    const isNews = await this.db.transaction(async (tx) => {
      // Twilio repeats a report that it got no answer to
      if (await isReported(tx, providerId, state)) return false;
      await this.audit.record(tx, 'message.delivery', { userId: null, actor: { kind: 'system' }, client }, details);
      return true;
    });
    if (isNews && LOST.has(state)) {
      this.logger.warn(
        `Text message ${details.messageId ?? providerId} was not delivered (${details.errorCode ?? state})`,
      );
    }
  }

  /** The signature covers the URL under which Twilio reached us and every parameter; the comparison is its own. */
  private async isSigned(form: Form, signature: string | undefined, query: string): Promise<boolean> {
    const { authToken } = this.config.sms.twilio;
    if (authToken === null || signature === undefined) return false;
    // this one file: the whole client would cost half a second and 24 MB
    const { validateRequest } = await import('twilio/lib/webhooks/webhooks.js');
    return validateRequest(authToken, signature, `${this.config.server.publicUrl}${TWILIO_STATUS_PATH}${query}`, form);
  }
}

/** With its question mark; empty where there is none. */
function queryOf(url: string): string {
  const start = url.indexOf('?');
  return start === -1 ? '' : url.slice(start);
}

/** A body of JSON may hold anything. */
function isForm(body: unknown): body is Form {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return false;
  return Object.values(body).every(
    (value: unknown) =>
      typeof value === 'string' || (Array.isArray(value) && value.every((item) => typeof item === 'string')),
  );
}

function uuidOrNull(text: string | null): string | null {
  return text !== null && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text) ? text : null;
}

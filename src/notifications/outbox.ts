import { Injectable, Logger } from '@nestjs/common';
import { Config } from '../config/config.js';
import { Mailer, type Mail } from './channels.js';
import { maskEmail, maskPhone } from './mask.js';
import { SmsSender, type Sms } from './sms.js';

export interface OutboxMessage {
  id: string;
  channel: 'email' | 'sms';
  to: string;
  /** Empty where it is a text message, and so is `html`. */
  subject: string;
  text: string;
  html: string;
  createdAt: Date;
}

const CAPACITY = 200;

/**
 * Where messages go while no server takes them, in development only. In memory: a code must not survive in a
 * database that somebody later calls production.
 */
@Injectable()
export class Outbox extends Mailer {
  private readonly logger = new Logger(Outbox.name);
  private messages: OutboxMessage[] = [];

  constructor(private readonly config: Config) {
    super();
  }

  async send({ messageId, to, subject, text, html }: Mail): Promise<void> {
    this.keep({ id: messageId, channel: 'email', to, subject, text, html });
    this.tell(`Mail to ${maskEmail(to)}`);
  }

  async sendSms({ messageId, to, body }: Sms): Promise<void> {
    this.keep({ id: messageId, channel: 'sms', to, subject: '', text: body, html: '' });
    this.tell(`Text message to ${maskPhone(to)}`);
  }

  /** Newest first. */
  list(): OutboxMessage[] {
    return [...this.messages];
  }

  clear(): void {
    this.messages = [];
  }

  private keep(message: Omit<OutboxMessage, 'createdAt'>): void {
    this.messages = [{ ...message, createdAt: new Date() }, ...this.messages].slice(0, CAPACITY);
  }

  private tell(what: string): void {
    this.logger.log(`${what} is in the outbox: ${this.config.server.publicUrl}/dev/outbox`);
  }
}

/** The outbox in the place of whoever delivers text messages. */
export class OutboxSms extends SmsSender {
  constructor(private readonly outbox: Outbox) {
    super();
  }

  send(sms: Sms): Promise<void> {
    return this.outbox.sendSms(sms);
  }
}

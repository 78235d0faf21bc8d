import { Injectable, Logger } from '@nestjs/common';
import { Config } from '../config/config.js';
import { Mailer, type Mail } from './channels.js';
import { maskEmail } from './mask.js';

export interface OutboxMail {
  id: string;
  to: string;
  subject: string;
  text: string;
  html: string;
  createdAt: Date;
}

const CAPACITY = 200;

/**
 * Where mails go while no mail server is configured, in development only. In memory: a code must not survive in a
 * database that somebody later calls production.
 */
@Injectable()
export class Outbox extends Mailer {
  private readonly logger = new Logger(Outbox.name);
  private mails: OutboxMail[] = [];

  constructor(private readonly config: Config) {
    super();
  }

  async send({ messageId, to, subject, text, html }: Mail): Promise<void> {
    const mail = { id: messageId, to, subject, text, html, createdAt: new Date() };
    this.mails = [mail, ...this.mails].slice(0, CAPACITY);
    this.logger.log(`Mail to ${maskEmail(to)} is in the outbox: ${this.config.server.publicUrl}/dev/outbox`);
  }

  /** Newest first. */
  list(): OutboxMail[] {
    return [...this.mails];
  }

  clear(): void {
    this.mails = [];
  }
}

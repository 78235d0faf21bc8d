import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import type { DeliveryState } from '../audit/audit-events.js';
import { Audit } from '../audit/audit.service.js';
import { Config } from '../config/config.js';
import { crashAt } from '../config/failpoints.js';
import { SecretBox } from '../crypto/secret-box.js';
import { firstRow } from '../database/sql.js';
import { JobRunner, RetryLater, type JobAttempt } from '../jobs/job-runner.js';
import { Jobs } from '../jobs/jobs.service.js';
import type { Tasks } from '../jobs/tasks.js';
import { Mailer, MailRefusedError, MailUnansweredError } from './channels.js';
import { matchLocale } from './locale.js';
import { maskEmail, maskPhone } from './mask.js';
import type { Message, Notice, TextMessage } from './messages.js';
import { SmsRefusedError, SmsSender } from './sms.js';
import { smsText } from './sms-text.js';
import { Templates } from './templates.js';

const PURPOSE = 'message';

/** Seconds between the attempts at a mail that expires; the last one repeats. */
const WAITS = [5, 15, 45, 60] as const;
/** As many as the queue can count: its expiry ends it. */
const ATTEMPTS_IF_EXPIRING = 32_767;
/** With the queue's own waits, e, e², … seconds: more than four days. */
const ATTEMPTS = 25;
/** Ten seconds: a text message costs money, and whoever waits for a code asks again. */
const ATTEMPTS_BY_SMS = 3;
/** Milliseconds, at most, that keep messages which failed together from coming back together. */
const JITTER = 1_000;
/** What a reader may get twice, he must not get three times. */
const MAX_UNANSWERED = 2;

export interface MessageOptions {
  /** It is not sent after that. */
  expiresAt?: Date;
  /** A language tag (BCP 47) or an Accept-Language header. */
  locale?: string | null;
  /** Whose audit log tells what became of it. */
  userId?: string | null;
}

type Job = Tasks['send-message'];

@Injectable()
export class Notifications implements OnModuleInit {
  private readonly logger = new Logger(Notifications.name);

  constructor(
    private readonly jobs: Jobs,
    private readonly runner: JobRunner,
    private readonly box: SecretBox,
    private readonly database: DataSource,
    private readonly audit: Audit,
    private readonly templates: Templates,
    private readonly mailer: Mailer,
    private readonly smsSender: SmsSender,
    private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.runner.handle('send-message', (job, attempt) => this.deliver(job, attempt));
  }

  /**
   * Sends once the caller's transaction has committed, and not at all if it rolls back. The message is sealed: the
   * queue's table shows neither the code nor the address.
   */
  async enqueue(
    tx: EntityManager,
    message: Message | TextMessage,
    { expiresAt, locale = null, userId = null }: MessageOptions = {},
  ): Promise<void> {
    const messageId = uuidv7();
    const job: Job = {
      messageId,
      sealed: this.box.seal(JSON.stringify(message), PURPOSE, messageId),
      expiresAt: expiresAt?.toISOString() ?? null,
      locale: matchLocale(locale),
      about: { userId, kind: message.kind, channel: isText(message) ? 'sms' : 'email' },
    };
    const maxAttempts = isText(message) ? ATTEMPTS_BY_SMS : expiresAt ? ATTEMPTS_IF_EXPIRING : ATTEMPTS;
    await this.jobs.enqueue(tx, 'send-message', job, { maxAttempts });
  }

  /** Tells a user by mail, where he has an address. */
  async tell(
    tx: EntityManager,
    { id: userId, email, locale }: { id: string; email: string | null; locale: string | null },
    notice: Notice,
  ): Promise<void> {
    if (email === null) return;
    await this.enqueue(tx, { ...notice, to: email }, { locale, userId });
  }

  private async deliver(job: Job, { attempt, lastAttempt }: JobAttempt): Promise<void> {
    const { messageId, sealed, expiresAt } = job;
    if (expiresAt !== null && !(await this.isAhead(expiresAt))) {
      const tried = attempt - 1;
      const report = `Message ${messageId} expired after ${tried} attempts; it was dropped`;
      // nobody tried: the queue was late; otherwise a server has been away for as long as a code lives
      if (tried === 0) this.logger.warn(report);
      else this.logger.error(report);
      return this.record(job, 'expired', tried);
    }
    const message = JSON.parse(this.box.open(sealed, PURPOSE, messageId)) as Message | TextMessage;
    try {
      crashAt('before-send');
      await this.handOver(job, message, attempt);
      crashAt('sent-but-not-recorded');
    } catch (error) {
      const state = this.endAfter(error as Error, job, message, { attempt, lastAttempt });
      const who = `${message.kind} ${messageId} to ${isText(message) ? maskPhone(message.to) : maskEmail(message.to)}`;
      if (state === 'refused') this.logger.warn(`${who} will not be sent: ${(error as Error).message}`);
      // a job that failed for good would stay in the queue's table for ever
      else this.logger.error(`${who} was given up after ${attempt} attempts: ${(error as Error).message}`);
      return this.record(job, state, attempt);
    }
    await this.record(job, 'sent', attempt);
  }

  private async handOver({ messageId, locale }: Job, message: Message | TextMessage, attempt: number): Promise<void> {
    const language = matchLocale(locale ?? null);
    if (!isText(message)) {
      await this.mailer.send({ messageId, to: message.to, ...this.templates.render(message, language) });
      return;
    }
    if (attempt > 1) await sleep(Math.random() * JITTER);
    const body = smsText(message, this.config.server.publicUrl, language);
    await this.smsSender.send({ messageId, to: message.to, body });
  }

  /**
   * What a failure means, if it is the end.
   * @throws when another attempt is due
   */
  private endAfter(
    error: Error,
    job: Job,
    message: Message | TextMessage,
    { attempt, lastAttempt }: JobAttempt,
  ): DeliveryState {
    if (error instanceof MailRefusedError || error instanceof SmsRefusedError) return 'refused';
    const wait = WAITS[Math.min(attempt, WAITS.length) - 1] ?? 0;
    if (error instanceof MailUnansweredError) {
      const unanswered = (job.unanswered ?? 0) + 1;
      if (unanswered >= MAX_UNANSWERED || lastAttempt) return 'unanswered';
      throw new RetryLater(error.message, wait, { ...job, unanswered });
    }
    if (lastAttempt) return 'failed';
    if (isText(message) || job.expiresAt === null) throw error;
    throw new RetryLater(error.message, wait, job);
  }

  private async record({ messageId, about }: Job, state: DeliveryState, attempts: number): Promise<void> {
    if (!about) return;
    const { userId, kind, channel } = about;
    const details = { messageId, kind, channel, state, attempts };
    try {
      await this.audit.record(this.database.manager, 'message.delivery', { userId }, details);
    } catch (error) {
      // failing here would send the message again
      this.logger.warn(`That message ${messageId} is ${state} was not recorded: ${(error as Error).message}`);
    }
  }

  /** By the database's clock, which also judges the code in the message. */
  private async isAhead(time: string): Promise<boolean> {
    const row = await firstRow<{ ahead: boolean }>(this.database.manager, 'SELECT now() < $1::timestamptz AS ahead', [
      time,
    ]);
    return row?.ahead === true;
  }
}

function isText(message: Message | TextMessage): message is TextMessage {
  return 'channel' in message;
}

import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { SecretBox } from '../crypto/secret-box.js';
import { firstRow } from '../database/sql.js';
import { JobRunner, type JobAttempt } from '../jobs/job-runner.js';
import { Jobs } from '../jobs/jobs.service.js';
import type { Tasks } from '../jobs/tasks.js';
import { Mailer, MailRefusedError } from './channels.js';
import { maskEmail } from './mask.js';
import type { Message } from './messages.js';
import { Templates } from './templates.js';

const PURPOSE = 'message';

/** The waits between attempts are e, e², … seconds: eight take ten minutes, as long as a code may live. */
const ATTEMPTS_IF_EXPIRING = 8;
/** More than four days. */
const ATTEMPTS = 25;

@Injectable()
export class Notifications implements OnModuleInit {
  private readonly logger = new Logger(Notifications.name);

  constructor(
    private readonly jobs: Jobs,
    private readonly runner: JobRunner,
    private readonly box: SecretBox,
    private readonly database: DataSource,
    private readonly templates: Templates,
    private readonly mailer: Mailer,
  ) {}

  onModuleInit(): void {
    this.runner.handle('send-message', (job, attempt) => this.deliver(job, attempt));
  }

  /**
   * Sends once the caller's transaction has committed, and not at all if it rolls back. The message is sealed: the
   * queue's table shows neither the code nor the address.
   */
  async enqueue(tx: EntityManager, message: Message, { expiresAt }: { expiresAt?: Date } = {}): Promise<void> {
    const messageId = uuidv7();
    const sealed = this.box.seal(JSON.stringify(message), PURPOSE, messageId);
    await this.jobs.enqueue(
      tx,
      'send-message',
      { messageId, sealed, expiresAt: expiresAt?.toISOString() ?? null },
      { maxAttempts: expiresAt ? ATTEMPTS_IF_EXPIRING : ATTEMPTS },
    );
  }

  private async deliver(job: Tasks['send-message'], { attempt, lastAttempt }: JobAttempt): Promise<void> {
    const { messageId, sealed, expiresAt } = job;
    if (expiresAt !== null && !(await this.isAhead(expiresAt))) {
      this.logger.warn(`Message ${messageId} expired before it could be sent (attempt ${attempt}); it was dropped`);
      return;
    }
    const message = JSON.parse(this.box.open(sealed, PURPOSE, messageId)) as Message;
    const who = `${message.kind} ${messageId} to ${maskEmail(message.to)}`;
    try {
      await this.mailer.send({ messageId, to: message.to, ...this.templates.render(message) });
    } catch (error) {
      if (error instanceof MailRefusedError) {
        this.logger.warn(`${who} will not be sent: ${error.message}`);
        return;
      }
      if (!lastAttempt) throw error;
      // a job that failed for good would stay in the queue's table for ever
      this.logger.error(`${who} was given up after ${attempt} attempts: ${(error as Error).message}`);
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

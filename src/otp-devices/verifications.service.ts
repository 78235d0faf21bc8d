import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { SecretBox } from '../crypto/secret-box.js';
import { firstRow } from '../database/sql.js';
import { JobRunner } from '../jobs/job-runner.js';
import { Jobs } from '../jobs/jobs.service.js';
import type { Tasks } from '../jobs/tasks.js';
import { SmsRefusedError } from '../notifications/sms.js';
import { CodeVerifier } from '../notifications/verify-provider.js';
import { storeProviderId } from './challenge.queries.js';

const PURPOSE = 'verification';
const MAX_ATTEMPTS = 3;

/** Lets the provider make and send a code, once the transaction that asks for it has committed. */
@Injectable()
export class Verifications implements OnModuleInit {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly jobs: Jobs,
    private readonly runner: JobRunner,
    private readonly verifier: CodeVerifier,
    private readonly box: SecretBox,
  ) {}

  onModuleInit(): void {
    this.runner.handle('start-verification', (job) => this.start(job));
  }

  /** The number is sealed: the queue's table shows it to nobody. */
  async enqueue(tx: EntityManager, challengeId: string, to: string, expiresAt: Date): Promise<void> {
    const sealedTo = this.box.seal(to, PURPOSE, challengeId);
    const job = { challengeId, sealedTo, expiresAt: expiresAt.toISOString() };
    await this.jobs.enqueue(tx, 'start-verification', job, { maxAttempts: MAX_ATTEMPTS });
  }

  private async start({ challengeId, sealedTo, expiresAt }: Tasks['start-verification']): Promise<void> {
    const ahead = await firstRow<{ ahead: boolean }>(this.db, 'SELECT now() < $1::timestamptz AS ahead', [expiresAt]);
    if (!ahead?.ahead) return;
    try {
      const { providerId } = await this.verifier.start(this.box.open(sealedTo, PURPOSE, challengeId));
      await storeProviderId(this.db, challengeId, providerId);
    } catch (error) {
      // The provider has said no for good, and its driver has logged why; another attempt would get the same answer.
      if (!(error instanceof SmsRefusedError)) throw error;
    }
  }
}

import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { SecretBox } from '../crypto/secret-box.js';
import { JobRunner } from '../jobs/job-runner.js';
import { Jobs } from '../jobs/jobs.service.js';
import type { Tasks } from '../jobs/tasks.js';
import { Notifications } from '../notifications/notifications.service.js';
import { parseIdentifier } from '../users/identity.js';
import { Users } from '../users/users.service.js';

const PURPOSE = 'pause';

/**
 * Tells an owner that somebody guesses at his password, when the first pause begins. The request only notes it, whether
 * or not anybody has the identifier, and a job finds out whose it is: so no answer takes longer for an account.
 */
@Injectable()
export class PauseNotices implements OnModuleInit {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly jobs: Jobs,
    private readonly runner: JobRunner,
    private readonly users: Users,
    private readonly notifications: Notifications,
    private readonly box: SecretBox,
  ) {}

  onModuleInit(): void {
    this.runner.handle('tell-of-pause', (job) => this.tell(job));
  }

  async note(db: EntityManager, identifier: string): Promise<void> {
    const id = uuidv7();
    await this.jobs.enqueue(db, 'tell-of-pause', { id, sealed: this.box.seal(identifier, PURPOSE, id) });
  }

  private async tell({ id, sealed }: Tasks['tell-of-pause']): Promise<void> {
    const parsed = parseIdentifier(this.box.open(sealed, PURPOSE, id));
    const user = parsed && (await this.users.findByIdentifier(parsed));
    if (!user?.active) return;
    // Past the limit of the mailbox: a stranger must not use up the codes of its owner. Only the first pause in a row is told.
    await this.notifications.tell(this.db, user, { kind: 'wrong-passwords' });
  }
}

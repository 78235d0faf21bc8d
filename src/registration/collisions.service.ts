import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { SecretBox } from '../crypto/secret-box.js';
import { JobRunner } from '../jobs/job-runner.js';
import { Jobs } from '../jobs/jobs.service.js';
import type { Tasks } from '../jobs/tasks.js';
import type { WantedIdentity } from '../users/identities.queries.js';
import { Owners } from '../users/owners.service.js';

const PURPOSE = 'collision';

interface Collision {
  wanted: WantedIdentity;
  client: Client;
}

/**
 * Registrations with an identity that is taken. The request only notes it, and a job finds out whose it is and tells
 * him: so the answer takes as long as that of a registration that went well.
 */
@Injectable()
export class Collisions implements OnModuleInit {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly jobs: Jobs,
    private readonly runner: JobRunner,
    private readonly owners: Owners,
    private readonly audit: Audit,
    private readonly box: SecretBox,
  ) {}

  onModuleInit(): void {
    this.runner.handle('tell-owner', (job) => this.tell(job));
  }

  async note(tx: EntityManager, wanted: WantedIdentity, client: Client): Promise<void> {
    const id = uuidv7();
    const { emailCanonical, phoneNumber, username, usernameCanonical } = wanted;
    const collision: Collision = { wanted: { emailCanonical, phoneNumber, username, usernameCanonical }, client };
    const sealed = this.box.seal(JSON.stringify(collision), PURPOSE, id);
    await this.jobs.enqueue(tx, 'tell-owner', { id, sealed });
  }

  private async tell({ id, sealed }: Tasks['tell-owner']): Promise<void> {
    const { wanted, client } = JSON.parse(this.box.open(sealed, PURPOSE, id)) as Collision;
    await this.db.transaction(async (tx) => {
      const owner = await this.owners.find(tx, wanted);
      await this.audit.record(tx, 'user.registration-collided', { userId: owner?.id ?? null, client }, {});
      if (owner) await this.owners.tell(tx, owner, null);
    });
  }
}

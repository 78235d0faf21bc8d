import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit, type By } from '../audit/audit.service.js';
import { Notifications } from '../notifications/notifications.service.js';
import { Problem } from '../problems/problem.js';
import { Tokens } from '../tokens/tokens.service.js';
import { RequirementRules } from '../two-factor/requirement-rules.service.js';
import { deleteUser } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';

/** The end of an account, by its user or by an administrator. */
@Injectable()
export class AccountRemoval {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly users: Users,
    private readonly rules: RequirementRules,
    private readonly tokens: Tokens,
    private readonly notifications: Notifications,
    private readonly audit: Audit,
  ) {}

  /**
   * Removes the user and everything that is his. What stays is the audit log, and the counters of failures and of
   * messages, which hold no address: whoever registers again must not begin with new attempts.
   * @throws Problem not_found, last_admin
   */
  async remove(userId: string, by: By): Promise<void> {
    await this.db.transaction(async (tx) => {
      const user = await this.users.lock(tx, userId);
      if (!user) throw new Problem('not_found');
      await this.tokens.endSessionsOf(tx, userId, 'account_deleted', by);
      await deleteUser(tx, userId);
      if (user.active && user.roles.includes('admin')) await this.rules.requireAdminLeft(tx);
      await this.audit.record(tx, 'user.deleted', { userId, ...by }, {});
      await this.notifications.tell(tx, user, { kind: 'account-deleted' });
    });
  }
}

import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Audit, type By } from '../audit/audit.service.js';
import { allowSeconds } from '../database/patience.js';
import { rowsOf } from '../database/sql.js';
import { JobRunner } from '../jobs/job-runner.js';
import { invalidField, Problem } from '../problems/problem.js';
import { User } from '../users/user.entity.js';
import { bumpEpoch } from '../users/user.queries.js';
import { ConfiguredPolicy, toRule } from './configured-policy.js';
import { PolicyPreview, type ProposedRule } from './policy-preview.service.js';
import {
  deleteRule,
  findFaults,
  findGeneralRules,
  findUserRule,
  putRule,
  putUserRules,
  takeDueRules,
  type RuleDemand,
  type RuleScope,
} from './requirement-rules.queries.js';
import { strictestOf, type RequirementRule } from './requirement.js';
import { endSessionsIn, type SessionScope } from './situations.queries.js';

/** For a rule that is about everybody: some seconds at a hundred thousand sessions. */
const PATIENCE_SECONDS = 30;

/** A later one has five digits in its year, which nobody reads: not JavaScript what PostgreSQL writes, and no client. */
const LAST_MOMENT = new Date('9999-12-31T23:59:59.999Z');

export interface GeneralRules {
  configuration: RequirementRule;
  global: RequirementRule | null;
  roles: RequirementRule[];
}

/** Global, role and user rules. Writing one acts at once, also on sessions that are open. */
@Injectable()
export class RequirementRules implements OnModuleInit {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly configured: ConfiguredPolicy,
    private readonly preview: PolicyPreview,
    private readonly audit: Audit,
    private readonly jobs: JobRunner,
  ) {}

  onModuleInit(): void {
    this.jobs.repeat('end-unmet-sessions', '* * * * *', () => this.applyDue());
  }

  async findGeneral(): Promise<GeneralRules> {
    const rules = (await findGeneralRules(this.db)).map(toRule);
    return {
      configuration: this.configured.rule,
      global: rules.find(({ level }) => level === 'global') ?? null,
      roles: rules.filter(({ level }) => level === 'role'),
    };
  }

  /**
   * Puts a rule in the place of the present one, and ends the sessions that do not meet it.
   *
   * @throws Problem not_found where there is no such user; validation_failed; last_admin where no administrator could
   * sign in any more
   */
  async put(scope: RuleScope, demand: RuleDemand, by: By): Promise<{ rule: RequirementRule; sessionsEnded: number }> {
    this.requireSound(demand);
    return this.db.transaction(async (tx) => {
      if (scope.level === 'user') await this.voidSignInsOf(tx, scope.userId);
      else await allowSeconds(tx, PATIENCE_SECONDS);
      return this.write(tx, scope, demand, by);
    });
  }

  /**
   * Changes parts of a user's own rule; a rule that demands nothing is taken away. What is left out is read under the lock
   * of his row: else of two changes in the same moment the second would undo the first.
   *
   * @throws Problem not_found where there is no such user; validation_failed; last_admin
   */
  async change(userId: string, change: Partial<RuleDemand>, by: By): Promise<void> {
    // Those that stand there already may be trusted no more; they do not count, and hinder no change.
    this.requireSound(change);
    const scope: RuleScope = { level: 'user', userId };
    await this.db.transaction(async (tx) => {
      await this.voidSignInsOf(tx, userId);
      const stored = await findUserRule(tx, userId);
      const demand = demandAfter(stored && toRule(stored), change);
      if (demand.required || demand.methods !== null) await this.write(tx, scope, demand, by);
      else if (await deleteRule(tx, scope)) await this.record(tx, scope, null, by);
    });
  }

  /**
   * Adds to a user's own rule, in the caller's transaction: what stands there already is not lowered, and holds at once
   * where it had a deadline.
   *
   * @throws Problem last_admin where no administrator could sign in any more
   */
  async raise(
    tx: EntityManager,
    userId: string,
    demand: Pick<RuleDemand, 'required' | 'methods'>,
    by: By,
  ): Promise<void> {
    const scope: RuleScope = { level: 'user', userId };
    await this.voidSignInsOf(tx, userId);
    const stored = await findUserRule(tx, userId);
    const raised = { ...(stored ? strictestOf(stored, demand) : demand), deadline: null };
    await putRule(tx, uuidv7(), scope, raised);
    await this.requireAdminStillAble(tx);
    await this.record(tx, scope, raised, by);
    await this.endUnmet(tx, sessionsOf(scope), by);
  }

  /**
   * What a rule would be refused for: to foresee what one does that nobody can set would only mislead.
   *
   * @throws Problem not_found where there is no such user; validation_failed
   */
  async requireSettable({ scope, demand }: ProposedRule): Promise<void> {
    this.requireSound(demand);
    const { known, passed } = await findFaults(this.db, scope, demand);
    if (!known) throw new Problem('not_found');
    if (passed) throw deadlinePassed();
  }

  /** Takes a rule away; nothing happens where there is none. Less is demanded then, so no session ends. */
  async remove(scope: RuleScope, by: By): Promise<void> {
    await this.db.transaction(async (tx) => {
      if (scope.level === 'user') await this.voidSignInsOf(tx, scope.userId);
      if (await deleteRule(tx, scope)) await this.record(tx, scope, null, by);
    });
  }

  /** The same rule for many users, as one operation: all of them or none. Unknown and inactive ones are left out. */
  async putForUsers(
    userIds: readonly string[],
    demand: RuleDemand,
    by: By,
  ): Promise<{ operationId: string; users: number; sessionsEnded: number }> {
    this.requireSound(demand);
    const operationId = uuidv7();
    return this.db.transaction(async (tx) => {
      await allowSeconds(tx, PATIENCE_SECONDS);
      // Locked in one order: two such operations would otherwise wait for each other for ever.
      const locked = await rowsOf<{ id: string; passed: boolean }>(
        tx,
        `WITH locked AS (SELECT id FROM users WHERE id = ANY ($1::uuid[]) AND active ORDER BY id FOR NO KEY UPDATE)
         UPDATE users SET epoch = epoch + 1 FROM locked WHERE users.id = locked.id
         RETURNING users.id, coalesce($2::timestamptz <= now(), false) AS passed`,
        [userIds, demand.deadline],
      );
      if (locked[0]?.passed) throw deadlinePassed();
      const changed = await putUserRules(
        tx,
        locked.map(({ id: userId }) => ({ id: uuidv7(), userId })),
        demand,
      );
      await this.requireAdminStillAble(tx);
      const details = { operationId, level: 'user', role: null, ...plain(demand) } as const;
      const subjects = changed.map((userId) => ({ userId }));
      await this.audit.recordEach(tx, 'two-factor.rule-changed', subjects, by, details);
      await this.audit.record(
        tx,
        'two-factor.rules-changed',
        { userId: null, ...by },
        { operationId, users: changed.length, ...plain(demand) },
      );
      return { operationId, users: changed.length, sessionsEnded: await this.endUnmet(tx, { userIds: changed }, by) };
    });
  }

  /**
   * Ends sessions that no longer meet the policy: those of one user, as when his roles changed, or of everybody.
   *
   * @returns how many
   */
  endUnmetSessions(tx: EntityManager, userId: string | null, by: By = { actor: { kind: 'system' } }): Promise<number> {
    return this.endUnmet(tx, userId === null ? {} : { userIds: [userId] }, by);
  }

  /**
   * Makes sure that somebody can still let the others in again, with what the transaction has changed so far.
   *
   * @throws Problem last_admin
   */
  async requireAdminLeft(tx: EntityManager): Promise<void> {
    await lockAdmins(tx);
    const { able } = await this.preview.countAbleAdmins(tx);
    if (able === 0) throw new Problem('last_admin');
  }

  /** The same for rules, which may be written before there is any administrator. */
  private async requireAdminStillAble(tx: EntityManager): Promise<void> {
    await lockAdmins(tx);
    const { admins, able } = await this.preview.countAbleAdmins(tx);
    if (admins > 0 && able === 0) throw new Problem('last_admin');
  }

  /** What a deadline that has passed means for sessions, and what a rule means for those that began just then. */
  private async applyDue(): Promise<void> {
    await this.db.transaction(async (tx) => {
      if ((await takeDueRules(tx)) === 0) return;
      await allowSeconds(tx, PATIENCE_SECONDS);
      await this.endUnmetSessions(tx, null);
    });
  }

  private async endUnmet(tx: EntityManager, scope: SessionScope, by: By): Promise<number> {
    const unmet = await this.preview.findUnmetSessions(tx, scope);
    if (unmet.length === 0) return 0;
    const ended = await endSessionsIn(tx, scope, unmet);
    const subjects = ended.map(({ id: sessionId, userId }) => ({ userId, sessionId }));
    await this.audit.recordEach(tx, 'session.revoked', subjects, by, { reason: 'policy_changed' });
    return ended.length;
  }

  private async write(tx: EntityManager, scope: RuleScope, demand: RuleDemand, by: By) {
    const stored = await putRule(tx, uuidv7(), scope, demand);
    if (!stored) throw deadlinePassed();
    await this.requireAdminStillAble(tx);
    await this.record(tx, scope, demand, by);
    return { rule: toRule(stored), sessionsEnded: await this.endUnmet(tx, sessionsOf(scope), by) };
  }

  private async record(tx: EntityManager, scope: RuleScope, demand: RuleDemand | null, by: By): Promise<void> {
    const userId = scope.level === 'user' ? scope.userId : null;
    const role = scope.level === 'role' ? scope.role : null;
    const details = { level: scope.level, role, ...(demand ? plain(demand) : { removed: true as const }) };
    await this.audit.record(tx, 'two-factor.rule-changed', { userId, ...by }, details);
  }

  /** Sign-ins of his that are open were asked by the rules of before. His row is held from here on. */
  private async voidSignInsOf(tx: EntityManager, userId: string): Promise<void> {
    const user = await tx.findOne(User, { where: { id: userId }, lock: { mode: 'for_no_key_update' } });
    if (!user) throw new Problem('not_found');
    await bumpEpoch(tx, userId);
  }

  private requireSound({ methods = null, deadline = null }: Partial<RuleDemand>): void {
    this.requireKnownMethods(methods);
    if (deadline !== null && deadline > LAST_MOMENT) throw invalidField('deadline', 'must be before the year 10000');
  }

  /** @throws Problem validation_failed, where the configuration does not trust one of them */
  requireKnownMethods(methods: RuleDemand['methods']): void {
    const unknown = methods?.filter((method) => !this.configured.trusted.includes(method)) ?? [];
    if (unknown.length === 0) return;
    const message = `${unknown.join(', ')} is not trusted by the configuration (TWO_FACTOR_TRUSTED_METHODS)`;
    throw invalidField('methods', message);
  }
}

/** Of two changes that each leave the other's administrator, the second must see the first. */
async function lockAdmins(tx: EntityManager): Promise<void> {
  await rowsOf(tx, "SELECT pg_advisory_xact_lock(hashtext('countersign administrators'))", []);
}

function sessionsOf(scope: RuleScope): SessionScope {
  if (scope.level === 'user') return { userIds: [scope.userId] };
  return scope.level === 'role' ? { role: scope.role } : {};
}

function demandAfter(rule: RequirementRule | null, { required, methods, deadline }: Partial<RuleDemand>): RuleDemand {
  // One that has passed cannot be set again; the rule is in force.
  const deadlineToCome = rule === null || rule.inForce ? null : rule.deadline;
  return {
    required: required ?? rule?.required ?? false,
    methods: methods === undefined ? (rule?.methods ?? null) : methods,
    deadline: deadline === undefined ? deadlineToCome : deadline,
  };
}

function plain({ required, methods, deadline }: RuleDemand) {
  return { required, methods, deadline: deadline?.toISOString() ?? null };
}

function deadlinePassed(): Problem {
  return invalidField('deadline', 'must be in the future; leave it out for a rule that holds at once');
}

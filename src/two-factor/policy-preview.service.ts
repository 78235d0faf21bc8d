import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { validate as isUuid } from 'uuid';
import { allowSeconds } from '../database/patience.js';
import { invalidCursor, pageOf, readCursor, type Page } from '../paging/page.js';
import { ConfiguredPolicy, toRule, type Rules } from './configured-policy.js';
import { foresee, type Prospect } from './foresight.js';
import type { MethodType } from './policy.js';
import { findGeneralRules, type RuleDemand, type RuleScope } from './requirement-rules.queries.js';
import { deadlinesOf, isMetBy, policyOf, requirementOf, rulesAt, type RequirementRule } from './requirement.js';
import {
  countSessionSituations,
  countSituations,
  devicesIn,
  findUsersIn,
  type SessionScope,
  type SituatedUser,
  type StoredSituation,
} from './situations.queries.js';

const PATIENCE_SECONDS = 30;

export interface Preview {
  /** Active users whom the rule is about. */
  users: number;
  prospects: Record<Prospect, number>;
  sessionsEnding: number;
}

export interface ProposedRule {
  scope: RuleScope;
  demand: RuleDemand;
}

/** Tells beforehand what a rule would do, by the decisions that sign-ins take. It changes nothing. */
@Injectable()
export class PolicyPreview {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly configured: ConfiguredPolicy,
  ) {}

  /** What happens once the rule is in force; with a deadline, as it will be then. */
  async count(proposed: ProposedRule): Promise<Preview> {
    const { rulesOf, counts, sessions } = await this.atOneMoment(async (tx) => ({
      rulesOf: await this.rulesWith(tx, proposed),
      counts: await countSituations(tx, proposed.scope),
      sessions: await countSessionSituations(tx, sessionScopeOf(proposed.scope)),
    }));
    const prospects: Preview['prospects'] = { in: 0, enrollment: 0, no_way_in: 0 };
    for (const situation of counts) prospects[this.foresee(situation, rulesOf(situation))] += situation.users;
    return {
      users: counts.reduce((sum, { users }) => sum + users, 0),
      prospects,
      sessionsEnding: sessions
        .filter((situation) => !isMetBy(requirementOf(rulesOf(situation)), situation))
        .reduce((sum, each) => sum + each.sessions, 0),
    };
  }

  /** Which users it would happen to. */
  async list(
    proposed: ProposedRule,
    prospect: Prospect,
    { limit, cursor }: { limit: number; cursor?: string | undefined },
  ): Promise<Page<SituatedUser>> {
    const [after = null] = readCursor(cursor, 1) ?? [];
    if (after !== null && !isUuid(after)) throw invalidCursor();
    const users = await this.atOneMoment(async (tx) => {
      const rulesOf = await this.rulesWith(tx, proposed);
      const keys = (await countSituations(tx, proposed.scope))
        .filter((situation) => this.foresee(situation, rulesOf(situation)) === prospect)
        .map(({ key }) => key);
      return findUsersIn(tx, proposed.scope, keys, after, limit + 1);
    });
    return pageOf(users, limit, ({ id }) => [id]);
  }

  /** The situations of live sessions that do not meet the rules in force, by their keys. */
  async findUnmetSessions(tx: EntityManager, scope: SessionScope): Promise<string[]> {
    const general = (await findGeneralRules(tx)).map(toRule);
    return (await countSessionSituations(tx, scope))
      .filter((situation) => !isMetBy(requirementOf(this.rulesOf(situation, general)), situation))
      .map(({ key }) => key);
  }

  /** How many administrators there are, and how many could sign in now and after every deadline that is to come. */
  async countAbleAdmins(tx: EntityManager): Promise<{ admins: number; able: number }> {
    const general = (await findGeneralRules(tx)).map(toRule);
    let admins = 0;
    let able = 0;
    for (const situation of await countSituations(tx, { level: 'role', role: 'admin' })) {
      const rules = this.rulesOf(situation, general);
      const stages = [rules, ...deadlinesOf(rules).map((moment) => rulesAt(rules, moment))];
      admins += situation.users;
      if (stages.every((stage) => this.foresee(situation, stage) !== 'no_way_in')) able += situation.users;
    }
    return { admins, able };
  }

  /** All statements see the same users and sessions. They look at everybody, so they may take a while. */
  private atOneMoment<T>(look: (tx: EntityManager) => Promise<T>): Promise<T> {
    return this.db.transaction('REPEATABLE READ', async (tx) => {
      await allowSeconds(tx, PATIENCE_SECONDS);
      return look(tx);
    });
  }

  private foresee(situation: StoredSituation, rules: Rules): Prospect {
    const { self, preferred, hasEmail, hasPhone, hasPassword, hasProvider, devices } = situation;
    const addresses: MethodType[] = [...(hasEmail ? ['email' as const] : []), ...(hasPhone ? ['sms' as const] : [])];
    return foresee({
      policy: policyOf(requirementOf(rules), this.configured.fallback),
      required: self,
      preferred,
      addresses: addresses.filter((method) => this.configured.enrollable.includes(method)),
      hasPassword,
      hasProvider,
      enrollable: this.configured.enrollable,
      devices: devicesIn(devices).map((device, index) => ({ ...device, id: String(index) })),
    });
  }

  /** The rules of each situation as they will be when the proposed one is in force. */
  private async rulesWith(tx: EntityManager, { scope, demand }: ProposedRule) {
    const general = (await findGeneralRules(tx)).map(toRule);
    const role = scope.level === 'role' ? scope.role : null;
    const rule: RequirementRule = { level: scope.level, role, ...demand, inForce: true };
    const others = general.filter((other) => other.level !== rule.level || other.role !== rule.role);
    return (situation: Pick<StoredSituation, 'roles' | 'rule'>): Rules => {
      const own = scope.level === 'user' ? null : situation.rule;
      const rules = this.rulesOf({ roles: situation.roles, rule: own }, others);
      return [...(demand.deadline === null ? rules : rulesAt(rules, demand.deadline)), rule];
    };
  }

  private rulesOf(
    { roles, rule }: Pick<StoredSituation, 'roles' | 'rule'>,
    general: readonly RequirementRule[],
  ): Rules {
    const applying = general.filter(({ role }) => role === null || roles.includes(role));
    return [this.configured.rule, ...applying, ...(rule ? [toRule(rule)] : [])];
  }
}

function sessionScopeOf(scope: RuleScope): SessionScope {
  if (scope.level === 'user') return { userIds: [scope.userId] };
  return scope.level === 'role' ? { role: scope.role } : {};
}

import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { rowsOf } from '../database/sql.js';
import { Notifications } from '../notifications/notifications.service.js';
import { Problem } from '../problems/problem.js';
import { User } from '../users/user.entity.js';
import { bumpEpoch } from '../users/user.queries.js';
import { ConfiguredPolicy, type Rules } from './configured-policy.js';
import { findStoredFacts, type ConfirmedDevice, type StoredFacts } from './facts.queries.js';
import {
  decidePreference,
  decideRequirement,
  isPreparedFor,
  type Facts,
  type MethodType,
  type PreferenceVerdict,
} from './policy.js';
import { deadlinesOf, policyOf, requirementOf, rulesAt } from './requirement.js';

/** The facts of a user, with the devices' names and addresses for those who show them. */
export interface UserFacts extends Facts {
  devices: readonly ConfirmedDevice[];
  recoveryCodesLeft: number;
  /** All that apply to him, the configuration's first. */
  rules: Rules;
  /** When he must have enrolled something, where what he has will not do for ever. */
  deadline: Date | null;
}

export interface PreferenceChange {
  preferredMethod?: MethodType | 'none' | null;
  required?: boolean;
}

@Injectable()
export class TwoFactor {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly audit: Audit,
    private readonly notifications: Notifications,
    private readonly configured: ConfiguredPolicy,
  ) {}

  /** @throws Problem invalid_token, where the user was removed or deactivated a moment ago */
  async factsOf(db: EntityManager, userId: string): Promise<UserFacts> {
    const stored = await findStoredFacts(db, userId);
    if (!stored?.active) throw new Problem('invalid_token');
    return this.completed(stored);
  }

  /** The same for somebody else, who may be inactive. */
  async findFactsOf(db: EntityManager, userId: string): Promise<UserFacts | null> {
    const stored = await findStoredFacts(db, userId);
    return stored && this.completed(stored);
  }

  private completed(stored: StoredFacts): UserFacts {
    const rules = this.configured.with(stored.rules);
    const { fallback, enrollable } = this.configured;
    const facts = {
      policy: policyOf(requirementOf(rules), fallback),
      rules,
      enrollable,
      required: stored.twoFactorRequired,
      preferred: stored.preferredMethod,
      devices: stored.devices,
      recoveryCodesLeft: stored.recoveryCodesLeft,
      addresses: [
        ...(stored.emailCanonical === null ? [] : (['email'] as const)),
        ...(stored.phoneNumber === null ? [] : (['sms'] as const)),
      ],
    };
    return { ...facts, deadline: this.deadlineOf(facts) };
  }

  /** Changes what a user may decide himself; sign-ins that are under way become void. */
  async change(userId: string, change: PreferenceChange, client: Client): Promise<UserFacts> {
    if (change.required === undefined && change.preferredMethod === undefined) return this.factsOf(this.db, userId);
    return this.db.transaction(async (tx) => {
      // First, so that the facts cannot change between the decision and the write.
      await bumpEpoch(tx, userId);
      const facts = await this.factsOf(tx, userId);
      const required = change.required ?? facts.required;
      const preferred = change.preferredMethod === undefined ? facts.preferred : change.preferredMethod;
      if (change.required !== undefined) requireAllowed(decideRequirement(facts, change.required));
      if (change.preferredMethod !== undefined) requireAllowed(decidePreference({ ...facts, required }, preferred));
      await rowsOf(tx, 'UPDATE users SET preferred_method = $2, two_factor_required = $3 WHERE id = $1', [
        userId,
        preferred,
        required,
      ]);
      await this.audit.record(tx, 'two-factor.changed', { userId, client }, { ...change });
      if (preferred !== facts.preferred || required !== facts.required) await this.tell(tx, userId, preferred);
      return { ...facts, required, preferred };
    });
  }

  /** The first deadline to come that what the user has will not meet. */
  private deadlineOf(facts: Facts & { rules: Rules }): Date | null {
    const { rules } = facts;
    const unmet = deadlinesOf(rules).find((deadline) => {
      const then = policyOf(requirementOf(rulesAt(rules, deadline)), this.configured.fallback);
      return !isPreparedFor(facts, then);
    });
    return unmet ?? null;
  }

  private async tell(tx: EntityManager, userId: string, method: string | null): Promise<void> {
    const user = await tx.findOneByOrFail(User, { id: userId });
    await this.notifications.tell(tx, user, { kind: 'factor-changed', method });
  }

  /** From now on the user is asked for this method first; null: as the policy says. */
  async prefer(tx: EntityManager, userId: string, method: MethodType | null): Promise<void> {
    await rowsOf(tx, 'UPDATE users SET preferred_method = $2 WHERE id = $1', [userId, method]);
  }
}

function requireAllowed(verdict: PreferenceVerdict): void {
  if (!verdict.allowed) throw new Problem(verdict.reason);
}

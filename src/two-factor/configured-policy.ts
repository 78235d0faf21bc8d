import { Injectable } from '@nestjs/common';
import { Config } from '../config/config.js';
import { RULE_METHODS, type MethodType, type Policy } from './policy.js';
import type { StoredRule } from './requirement-rules.queries.js';
import type { RequirementRule } from './requirement.js';

export type Rules = readonly [RequirementRule, ...RequirementRule[]];

/** What the operator set in the environment: the lowest demand, and the methods that rules can choose from. */
@Injectable()
export class ConfiguredPolicy {
  readonly rule: RequirementRule;
  readonly trusted: readonly MethodType[];
  readonly fallback: Policy['fallback'];
  /** The types of which a user can create a device; recovery codes come with another one. */
  readonly enrollable: readonly MethodType[];

  constructor({ twoFactor, sms }: Config) {
    // Without a driver nobody could receive a text message; what was proved by one before still counts.
    this.enrollable = RULE_METHODS.filter((method) => method !== 'sms' || sms.driver !== null);
    const { trustedMethods } = twoFactor;
    this.trusted = this.enrollable.filter((method) => trustedMethods.some((trusted) => trusted === method));
    this.fallback = twoFactor.fallbackMethod;
    const required = !trustedMethods.includes('none');
    this.rule = { level: 'configuration', role: null, required, methods: this.trusted, deadline: null, inForce: true };
  }

  /** The configuration and what the database adds to it. */
  with(stored: readonly StoredRule[]): Rules {
    return [this.rule, ...stored.map(toRule)];
  }
}

export function toRule(stored: StoredRule): RequirementRule {
  return { ...stored, deadline: stored.deadline === null ? null : new Date(stored.deadline) };
}

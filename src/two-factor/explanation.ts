import type { RequirementRule } from './requirement.js';
import { requirementOf } from './requirement.js';
import type { UserFacts } from './two-factor.service.js';

export interface Explanation {
  required: boolean;
  methods: readonly string[];
  /** When something else must have been enrolled, where what the user has will not do for ever. */
  deadline: Date | null;
  decidedBy: RequirementRule;
  /** The same in a sentence. */
  reason: string;
  /** Everything that was considered, from the general to the particular. */
  rules: readonly RequirementRule[];
}

/** What holds for a user, and why. */
export function explain(facts: UserFacts): Explanation {
  const [configuration, ...others] = facts.rules;
  const self: RequirementRule = {
    level: 'self',
    role: null,
    required: true,
    methods: null,
    deadline: null,
    inForce: true,
  };
  const rules = [configuration, ...others, ...(facts.required ? [self] : [])] as const;
  const { required, methods, decidedBy } = requirementOf(rules);
  const verdict = required ? `${nameOf(decidedBy)} requires a second factor` : 'nothing requires a second factor';
  const until = facts.deadline === null ? '' : `; from ${facts.deadline.toISOString()} on more is demanded`;
  return {
    required,
    methods,
    deadline: facts.deadline,
    decidedBy,
    reason: `${verdict}; accepted: ${methods.join(', ')}${until}`,
    rules,
  };
}

function nameOf({ level, role }: RequirementRule): string {
  switch (level) {
    case 'configuration':
      return 'the configuration (TWO_FACTOR_TRUSTED_METHODS)';
    case 'global':
      return 'the rule for everybody';
    case 'role':
      return `the rule of the role ${role}`;
    case 'user':
      return 'the rule of this user';
    case 'self':
      return 'the user himself';
  }
}

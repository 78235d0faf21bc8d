import type { MethodType, Policy } from './policy.js';

/** From the general to the particular. `self` is the user's own wish. */
const LEVELS = ['configuration', 'global', 'role', 'user', 'self'] as const;
export type RuleLevel = (typeof LEVELS)[number];

/** What one level demands of a user. */
export interface RequirementRule {
  level: RuleLevel;
  /** The role of a rule of that level. */
  role: string | null;
  required: boolean;
  /** Methods that it accepts; null: it does not narrow them. */
  methods: readonly MethodType[] | null;
  /** Until then the rule asks for nothing. */
  deadline: Date | null;
  /** Whether there is no deadline, or it has passed by the database's clock. */
  inForce: boolean;
}

type Demand = Pick<RequirementRule, 'required' | 'methods'>;

/** What all rules together demand, and the one that decided it. */
export interface Requirement {
  required: boolean;
  methods: readonly MethodType[];
  decidedBy: RequirementRule;
}

/** The stronger one comes first. */
const STRENGTH: readonly MethodType[] = ['totp', 'sms', 'email'];

/**
 * The strictest wins, over all levels:
 *
 * 1. a second factor is required as soon as one rule in force requires it;
 * 2. only methods that every rule in force accepts are accepted; where two rules leave none, the strongest method that
 *    one of them names is: nobody can be asked for nothing;
 * 3. the rule that decides is the one that accepts the fewest methods, or else stronger ones, among those that require;
 *    of equal ones the most general, as it would stay when the others are removed.
 *
 * The first rule is the configuration's. Methods that it does not trust do not count where an older rule names them.
 */
export function requirementOf(rules: readonly [RequirementRule, ...RequirementRule[]]): Requirement {
  const [configuration] = rules;
  const trusted = configuration.methods ?? STRENGTH;
  const acceptedBy = ({ methods }: RequirementRule): readonly MethodType[] => {
    const known = trusted.filter((method) => methods?.includes(method) ?? true);
    return known.length > 0 ? known : trusted;
  };
  const inForce = sortedByLevel(rules).filter((rule) => rule.inForce);
  const demanding = inForce.filter((rule) => rule.required);
  const decisive = demanding.length > 0 ? demanding : inForce;
  return {
    required: demanding.length > 0,
    methods: inForce.map(acceptedBy).reduce(narrow, trusted),
    decidedBy: decisive.reduce(
      (strictest, rule) => (isStricter(acceptedBy(rule), acceptedBy(strictest)) ? rule : strictest),
      decisive[0] ?? configuration,
    ),
  };
}

/** Two demands as one that is no weaker than either. */
export function strictestOf(one: Demand, other: Demand): Demand {
  const methods =
    one.methods === null || other.methods === null
      ? (one.methods ?? other.methods)
      : narrow(one.methods, other.methods);
  return { required: one.required || other.required, methods };
}

/** The rules as they will be when a moment has come. */
export function rulesAt<R extends readonly RequirementRule[]>(rules: R, moment: Date): R {
  return rules.map((rule) => ({
    ...rule,
    inForce: rule.inForce || (rule.deadline !== null && rule.deadline <= moment),
  })) as unknown as R;
}

/** The deadlines that are still to come, the next one first. */
export function deadlinesOf(rules: readonly RequirementRule[]): Date[] {
  const times = rules.flatMap(({ deadline, inForce }) => (deadline !== null && !inForce ? [deadline.getTime()] : []));
  return [...new Set(times)].toSorted((a, b) => a - b).map((time) => new Date(time));
}

/** A requirement in the terms of the decisions. */
export function policyOf({ required, methods }: Requirement, fallback: Policy['fallback']): Policy {
  return { trusted: required ? methods : ['none', ...methods], fallback };
}

/** Whether what was proved in a session still meets a requirement. */
export function isMetBy(
  { required, methods }: Requirement,
  session: { proved: readonly string[]; trustedMethod: MethodType | null },
): boolean {
  if (!required) return true;
  // Recovery codes stand in for a device of any method.
  const accepted: readonly string[] = [...methods, 'recovery_codes'];
  const [, ...second] = session.proved;
  return second.some((proof) => accepted.includes(proof)) || accepted.includes(session.trustedMethod ?? '');
}

function narrow(accepted: readonly MethodType[], methods: readonly MethodType[]): readonly MethodType[] {
  const both = accepted.filter((method) => methods.includes(method));
  if (both.length > 0) return both;
  return STRENGTH.filter((method) => accepted.includes(method) || methods.includes(method)).slice(0, 1);
}

function isStricter(methods: readonly MethodType[], than: readonly MethodType[]): boolean {
  if (methods.length !== than.length) return methods.length < than.length;
  const strongest = (accepted: readonly MethodType[]) => STRENGTH.findIndex((method) => accepted.includes(method));
  return strongest(methods) < strongest(than);
}

function sortedByLevel(rules: readonly RequirementRule[]): RequirementRule[] {
  return rules.toSorted(
    (a, b) =>
      LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level) ||
      ((a.role ?? '') < (b.role ?? '') ? -1 : a.role === b.role ? 0 : 1),
  );
}

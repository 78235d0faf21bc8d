import { describe, expect, it } from 'vitest';
import type { MethodType } from './policy.js';
import {
  deadlinesOf,
  isMetBy,
  policyOf,
  requirementOf,
  rulesAt,
  strictestOf,
  type RequirementRule,
  type RuleLevel,
} from './requirement.js';

const TOMORROW = new Date('2027-01-02T00:00:00Z');
const NEXT_WEEK = new Date('2027-01-08T00:00:00Z');

type Options = Partial<Pick<RequirementRule, 'methods' | 'deadline' | 'role'>>;
const rule = (level: RuleLevel, required: boolean, options: Options = {}): RequirementRule => ({
  level,
  role: null,
  required,
  methods: null,
  deadline: null,
  inForce: (options.deadline ?? null) === null,
  ...options,
});

const ALL: readonly MethodType[] = ['email', 'sms', 'totp'];
const optional = rule('configuration', false, { methods: ALL });
const demanded = rule('configuration', true, { methods: ALL });
const everybody = (options?: Options) => rule('global', true, options);
const support = (options?: Options) => rule('role', true, { role: 'support', ...options });
const admins = (options?: Options) => rule('role', true, { role: 'admin', ...options });
const him = (options?: Options) => rule('user', true, options);
const himself = rule('self', true);

type Row = [what: string, rules: [RequirementRule, ...RequirementRule[]], decided: string, methods: string];

/** `level required|optional`, the rule that decides and what is demanded; then the methods that are accepted. */
const ROWS: Row[] = [
  ['nothing but an optional configuration', [optional], 'configuration optional', 'email sms totp'],
  ['nothing but a demanding configuration', [demanded], 'configuration required', 'email sms totp'],
  ['a global rule', [optional, everybody()], 'global required', 'email sms totp'],
  [
    'a global rule that asks for nothing',
    [optional, rule('global', false)],
    'configuration optional',
    'email sms totp',
  ],
  ['no level lowers another', [demanded, rule('user', false)], 'configuration required', 'email sms totp'],
  ['nor the user an admin', [optional, him(), rule('self', false)], 'user required', 'email sms totp'],
  ['a role rule', [optional, support()], 'role required', 'email sms totp'],
  ['a user rule', [optional, him()], 'user required', 'email sms totp'],
  ['his own wish', [optional, himself], 'self required', 'email sms totp'],
  ['a global and a user rule: the general one', [optional, him(), everybody()], 'global required', 'email sms totp'],
  ['the one with fewer methods decides', [optional, everybody(), him({ methods: ['totp'] })], 'user required', 'totp'],
  ['in whatever order', [optional, him({ methods: ['totp'] }), everybody()], 'user required', 'totp'],
  ['methods of a global rule', [demanded, everybody({ methods: ['sms', 'totp'] })], 'global required', 'sms totp'],
  [
    'methods that both accept',
    [optional, everybody({ methods: ['email', 'totp'] }), support({ methods: ['sms', 'totp'] })],
    'global required',
    'totp',
  ],
  [
    'rules that leave nothing: the strongest',
    [optional, support({ methods: ['email'] }), admins({ methods: ['totp'] })],
    'role required',
    'totp',
  ],
  [
    'and again the strongest where three contradict',
    [optional, everybody({ methods: ['email'] }), support({ methods: ['sms'] }), him({ methods: ['email'] })],
    'role required',
    'sms',
  ],
  [
    'methods are narrowed although nothing is required',
    [optional, rule('global', false, { methods: ['totp'] })],
    'global optional',
    'totp',
  ],
  [
    'a narrowing rule and a requiring one',
    [optional, rule('global', false, { methods: ['totp'] }), him()],
    'user required',
    'totp',
  ],
  ['a deadline to come', [optional, everybody({ deadline: TOMORROW })], 'configuration optional', 'email sms totp'],
  [
    'a deadline to come does not narrow',
    [demanded, everybody({ deadline: TOMORROW, methods: ['totp'] })],
    'configuration required',
    'email sms totp',
  ],
  [
    'a method that the configuration no longer trusts is not counted',
    [rule('configuration', true, { methods: ['email', 'totp'] }), him({ methods: ['sms', 'totp'] })],
    'user required',
    'totp',
  ],
  [
    'and a rule that names no other narrows nothing',
    [rule('configuration', true, { methods: ['email'] }), him({ methods: ['totp'] })],
    'configuration required',
    'email',
  ],
];

describe('what rules demand together', () => {
  it.each(ROWS)('%s', (_, rules, decided, methods) => {
    const { required, decidedBy, methods: accepted } = requirementOf(rules);
    expect(`${decidedBy.level} ${required ? 'required' : 'optional'}`).toBe(decided);
    expect(accepted.join(' ')).toBe(methods);
  });

  it('of two roles it names the stricter', () => {
    const { decidedBy } = requirementOf([optional, support(), admins({ methods: ['totp'] })]);
    expect(decidedBy.role).toBe('admin');
  });

  it('leaves the rules as they are', () => {
    const rules = Object.freeze([optional, him(), everybody()]) as unknown as [RequirementRule, RequirementRule];
    requirementOf(rules);
    expect(rules.map(({ level }) => level)).toEqual(['configuration', 'user', 'global']);
  });
});

describe('two demands as one', () => {
  const demand = (required: boolean, ...methods: MethodType[]) => ({
    required,
    methods: methods.length > 0 ? methods : null,
  });
  it.each([
    [demand(false), demand(true), demand(true)],
    [demand(true), demand(false), demand(true)],
    [demand(false, 'totp'), demand(true), demand(true, 'totp')],
    [demand(false), demand(false, 'email', 'totp'), demand(false, 'email', 'totp')],
    [demand(true, 'sms', 'totp'), demand(false, 'email', 'totp'), demand(true, 'totp')],
    // nobody can be asked for nothing
    [demand(true, 'totp'), demand(true, 'email'), demand(true, 'totp')],
    [demand(true, 'email'), demand(true, 'totp'), demand(true, 'totp')],
  ])('%j and %j are %j', (one, other, both) => {
    expect(strictestOf(one, other)).toEqual(both);
  });
});

describe('deadlines', () => {
  const rules = [optional, everybody({ deadline: NEXT_WEEK, methods: ['totp'] }), him({ deadline: TOMORROW })] as const;

  it('come one after the other', () => {
    expect(deadlinesOf(rules)).toEqual([TOMORROW, NEXT_WEEK]);
    expect(requirementOf(rules).required).toBe(false);
    const tomorrow = requirementOf(rulesAt(rules, TOMORROW));
    expect([tomorrow.required, tomorrow.methods, tomorrow.decidedBy.level]).toEqual([true, ALL, 'user']);
    const then = requirementOf(rulesAt(rules, NEXT_WEEK));
    expect([then.required, then.methods, then.decidedBy.level]).toEqual([true, ['totp'], 'global']);
  });

  it('that have passed are none', () => {
    expect(deadlinesOf([optional, { ...everybody({ deadline: TOMORROW }), inForce: true }])).toEqual([]);
  });
});

describe('a requirement as a policy', () => {
  it('trusts its methods, and `none` where nothing is required', () => {
    expect(policyOf(requirementOf([optional]), 'email')).toEqual({ trusted: ['none', ...ALL], fallback: 'email' });
    expect(policyOf(requirementOf([demanded]), 'none')).toEqual({ trusted: ALL, fallback: 'none' });
  });
});

describe('a session', () => {
  type SessionRow = [proved: string, trusted: MethodType | null, demand: RequirementRule, isMet: boolean];
  it.each<SessionRow>([
    ['password', null, optional, true],
    ['password', null, demanded, false],
    ['password email', null, demanded, true],
    ['password email', null, everybody({ methods: ['totp'] }), false],
    ['password email totp', null, everybody({ methods: ['totp'] }), true],
    ['password recovery_codes', null, everybody({ methods: ['totp'] }), true],
    ['email', null, everybody({ methods: ['email'] }), false],
    ['email totp', null, everybody({ methods: ['totp'] }), true],
    ['totp', null, everybody({ methods: ['totp'] }), false],
    ['password', 'totp', everybody({ methods: ['totp'] }), true],
    ['password', 'email', everybody({ methods: ['totp'] }), false],
    ['password', 'recovery_codes', everybody({ methods: ['totp'] }), true],
  ])('of %s, by a browser trusted with %s', (proved, trustedMethod, demand, isMet) => {
    expect(isMetBy(requirementOf([optional, demand]), { proved: proved.split(' '), trustedMethod })).toBe(isMet);
  });
});

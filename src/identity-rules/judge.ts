import ipaddr from 'ipaddr.js';
import { isIP } from 'node:net';
import type { IdentityRule, RulePurpose, RuleSubject } from '../config/identity-rule.js';
import { parsePhone, type Phone } from '../users/phone.js';
import { globMatcher } from './glob.js';
import { isReservedName } from './reserved-names.js';

/** Who somebody says he is and where from: canonical forms; what is absent is not judged. */
export interface Named {
  email?: string | null;
  phoneNumber?: string | null;
  username?: string | null;
  ip?: string | null;
}

export type NamedField = keyof Named;

export interface Verdict {
  allowed: boolean;
  /** The entry that decided; null where none matches. */
  by: Rule | null;
  /** What it is about. */
  field: NamedField | null;
}

/** An entry, ready to be compared. */
export interface Rule extends IdentityRule {
  matches: (facts: Facts) => boolean;
}

interface Facts extends Required<Named> {
  phone: Phone | null;
  address: ipaddr.IPv4 | ipaddr.IPv6 | null;
}

const FIELD_OF: Readonly<Record<RuleSubject, NamedField>> = {
  email: 'email',
  'email-domain': 'email',
  phone: 'phoneNumber',
  'phone-type': 'phoneNumber',
  'phone-country': 'phoneNumber',
  username: 'username',
  ip: 'ip',
};

/** The address first: who is refused by it learns nothing about the rest. */
const FIELDS: readonly NamedField[] = ['ip', 'email', 'phoneNumber', 'username'];

/**
 * Field by field: an allow that matches wins over every deny of the same field; without a match the field is allowed.
 * Not over denies of other fields: whoever claims an address of a welcome domain, which costs nothing, could bring any
 * phone number and any name along.
 */
export function judge(rules: readonly Rule[], purpose: RulePurpose, named: Named): Verdict {
  const facts = factsOf(named);
  let allowedBy: Verdict = { allowed: true, by: null, field: null };
  for (const field of FIELDS) {
    if (facts[field] === null) continue;
    const matching = rules.filter(
      (rule) => FIELD_OF[rule.subject] === field && (rule.purpose ?? purpose) === purpose && rule.matches(facts),
    );
    const by = matching.find(({ effect }) => effect === 'allow') ?? matching[0];
    if (by?.effect === 'deny') return { allowed: false, by, field };
    if (by) allowedBy = { allowed: true, by, field };
  }
  return allowedBy;
}

export function compileRules(rules: readonly IdentityRule[], disposable: ReadonlySet<string>): Rule[] {
  return rules.map((rule) => ({ ...rule, matches: matcherOf(rule, disposable) }));
}

function matcherOf({ subject, pattern }: IdentityRule, disposable: ReadonlySet<string>): Rule['matches'] {
  switch (subject) {
    case 'email':
      return textMatcher('email', globMatcher(pattern));
    case 'email-domain': {
      const listed = pattern === 'disposable' ? disposable : new Set([pattern]);
      return textMatcher('email', (email) => isOrIsBelow(email.slice(email.lastIndexOf('@') + 1), listed));
    }
    case 'phone':
      return textMatcher('phoneNumber', globMatcher(pattern));
    case 'phone-type':
      return ({ phone }) => phone?.type === pattern;
    case 'phone-country':
      return ({ phone }) => phone?.country === pattern;
    case 'username':
      return textMatcher('username', pattern === 'reserved' ? isReservedName : globMatcher(pattern));
    case 'ip': {
      const [range, bits] = ipaddr.parseCIDR(pattern);
      return ({ address }) => address?.kind() === range.kind() && address.match(range, bits);
    }
  }
}

function textMatcher(field: NamedField, matches: (text: string) => boolean): Rule['matches'] {
  return (facts) => {
    const text = facts[field];
    return text !== null && matches(text);
  };
}

/** A provider of such mailboxes gives away names below its domain too. */
function isOrIsBelow(domain: string, listed: ReadonlySet<string>): boolean {
  const labels = domain.split('.');
  return labels.some((_, index) => listed.has(labels.slice(index).join('.')));
}

function factsOf({ email = null, phoneNumber = null, username = null, ip = null }: Named): Facts {
  return {
    email,
    phoneNumber,
    username,
    ip,
    phone: phoneNumber === null ? null : parsePhone(phoneNumber),
    // `::ffff:192.0.2.1` is 192.0.2.1: else an entry for the one would not hold for the other.
    address: ip === null || isIP(ip) === 0 ? null : ipaddr.process(ip),
  };
}

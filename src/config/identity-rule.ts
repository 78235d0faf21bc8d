import ipaddr from 'ipaddr.js';
import type * as LibPhoneNumber from 'libphonenumber-js/max';
import { createRequire } from 'node:module';
import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';

/** What somebody wants to do with an identity: entries may differ. */
export const RULE_PURPOSES = ['registration', 'codes'] as const;
export type RulePurpose = (typeof RULE_PURPOSES)[number];

export const PHONE_TYPES = [
  'mobile',
  'fixed_line',
  // Some countries give both the same numbers.
  'fixed_line_or_mobile',
  'premium_rate',
  'toll_free',
  'shared_cost',
  'voip',
  'personal_number',
  'pager',
  'uan',
  'voicemail',
  'unknown',
] as const;

/** One entry of the operator's list. */
export interface IdentityRule {
  effect: 'allow' | 'deny';
  subject: RuleSubject;
  /** In the canonical form of what it is compared with. */
  pattern: string;
  /** Null: for both. */
  purpose: RulePurpose | null;
  /** As the operator wrote it. */
  text: string;
  /** Which line of which setting it stands in. */
  place: string;
}

/** What is wrong with a line. It never shows what was read. */
export interface RuleFault {
  place: string;
  fault: string;
}

/** Longer than any address: matching costs at most text × pattern. */
const MAX_PATTERN_LENGTH = 254;

const GRAMMAR =
  'must be `allow` or `deny`, what (email, email-domain, phone, phone-type, phone-country, username or ip), a pattern, and perhaps `for registration` or `for codes`';

/** And an account that has a name from before must not lose the link to a new password. */
const USERNAME_FOR_CODES = 'codes go to addresses and numbers, so a username is for registration only';

/** A pattern in its canonical form, or null where it could never match. */
const CANONICAL = {
  email: canonicalEmailGlob,
  'email-domain': canonicalDomain,
  phone: (text: string) => (/^[+*?][0-9*?]*$/.test(text) ? text : null),
  'phone-type': (text: string) => PHONE_TYPES.find((type) => type === text) ?? null,
  'phone-country': (text: string) => (isCountry(text) ? text : null),
  username: (text: string) => (/[\p{L}\p{N}*?]/u.test(text) ? text.normalize('NFKC').toLowerCase() : null),
  ip: canonicalRange,
} as const;

export type RuleSubject = keyof typeof CANONICAL;

const PATTERN_FAULT: Readonly<Record<RuleSubject, string>> = {
  email: 'the pattern must be one of e-mail addresses, such as *@*.example',
  'email-domain': 'the pattern must be `disposable` or a domain, without * and ?',
  phone: 'the pattern must be one of E.164 numbers, such as +4990*',
  'phone-type': `the pattern must be one of ${PHONE_TYPES.join(', ')}`,
  'phone-country': 'the pattern must be a two-letter country code (ISO 3166-1) such as DE',
  username: 'the pattern must be `reserved` or one of usernames, such as *bot',
  ip: 'the pattern must be an address or a CIDR range',
};

/** Entries one a line or separated by `;`, with comments from `#` on; what is wrong with a line in place of its entry. */
export function readIdentityRules(text: string): (IdentityRule | RuleFault)[] {
  return text.split(/\r\n|\r|\n/).flatMap((line, index) => {
    const entries = line.replace(/(^|\s)#.*$/, '').split(';');
    const several = entries.filter((entry) => entry.trim() !== '').length > 1;
    return entries.flatMap((entry, column) => {
      if (entry.trim() === '') return [];
      return [readEntry(entry.trim(), `line ${index + 1}${several ? `, entry ${column + 1}` : ''}`)];
    });
  });
}

function readEntry(text: string, place: string): IdentityRule | RuleFault {
  const [effect = '', what = '', written = '', ...rest] = text.split(/\s+/);
  const [link, goal, ...more] = rest;
  const purpose = goal === undefined ? null : RULE_PURPOSES.find((known) => known === goal);
  const subject = subjectOf(what);
  const complete = written !== '' && (link ?? 'for') === 'for' && more.length === 0 && rest.length !== 1;
  if ((effect !== 'allow' && effect !== 'deny') || !subject || !complete || purpose === undefined) {
    return { place, fault: GRAMMAR };
  }
  if (subject === 'username' && purpose === 'codes') return { place, fault: USERNAME_FOR_CODES };
  const pattern = written.length > MAX_PATTERN_LENGTH ? null : CANONICAL[subject](written);
  if (pattern === null) return { place, fault: PATTERN_FAULT[subject] };
  return {
    effect,
    subject,
    pattern,
    purpose: subject === 'username' ? 'registration' : purpose,
    text: text.replace(/\s+/g, ' '),
    place,
  };
}

function subjectOf(text: string): RuleSubject | null {
  return Object.hasOwn(CANONICAL, text) ? (text as RuleSubject) : null;
}

/** Addresses are compared in NFC and lower case, with their domain in ASCII. */
function canonicalEmailGlob(text: string): string | null {
  const folded = text.normalize('NFC').toLowerCase();
  const at = folded.lastIndexOf('@');
  if (at < 0) return /[*?]/.test(folded) ? folded : null;
  const labels = folded.slice(at + 1).split('.');
  // Half a label has no ASCII form.
  if (labels.some((label) => /[^\p{ASCII}]/u.test(label) && /[*?]/.test(label))) return null;
  const domain = labels.map((label) => (/[^\p{ASCII}]/u.test(label) ? domainToASCII(label) : label));
  return domain.includes('') ? null : folded.slice(0, at + 1) + domain.join('.');
}

function canonicalDomain(text: string): string | null {
  const domain = domainToASCII(text);
  return /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(domain) ? domain : null;
}

/** An IPv4 network in IPv6 clothes (`::ffff:10.0.0.0/104`) is the IPv4 network. */
function canonicalRange(text: string): string | null {
  const [address = '', bits, ...rest] = text.split('/');
  const most = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  if (rest.length > 0 || most === 0 || !/^(0|[1-9]\d{0,2})$/.test(bits ?? '0')) return null;
  const prefix = Number(bits ?? most);
  if (prefix > most) return null;
  const parsed = ipaddr.parse(address);
  if (parsed instanceof ipaddr.IPv4 || !parsed.isIPv4MappedAddress() || prefix < 96) return `${address}/${prefix}`;
  return `${parsed.toIPv4Address().toString()}/${prefix - 96}`;
}

/** `require`: see src/users/phone.ts. */
function isCountry(text: string): boolean {
  const { isSupportedCountry } = createRequire(import.meta.url)('libphonenumber-js/max') as typeof LibPhoneNumber;
  return isSupportedCountry(text);
}

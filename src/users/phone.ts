import type * as LibPhoneNumber from 'libphonenumber-js/max';
import { createRequire } from 'node:module';
import type { PHONE_TYPES } from '../config/identity-rule.js';

export type PhoneType = (typeof PHONE_TYPES)[number];

export interface Phone {
  /** The one form in which a number is stored, compared and dialled (ITU-T E.164). */
  e164: string;
  /** ISO 3166-1 alpha-2; null where a number belongs to no country, such as +800. */
  country: string | null;
  type: PhoneType;
}

// `require`, because class-validator has this very copy in memory already: it costs a millisecond and half a megabyte
// more. An `import` would load the library and its metadata a second time, with 45 ms and 4 MB.
const { parsePhoneNumberFromString } = createRequire(import.meta.url)('libphonenumber-js/max') as typeof LibPhoneNumber;

/** What people write between digits: spaces, dashes, dots, slashes, brackets. */
const SEPARATORS = /[\p{Zs}\p{Pd}().[\]/]/gu;
/** A country code never begins with 0 (ITU-T E.164 §6.2.1), and 15 digits are the most there may be. */
const E164 = /^\+[1-9][0-9]{5,14}$/;
/** Longer than anybody writes a number, and short enough to be looked at. */
const MAX_LENGTH = 64;

/**
 * Reads a number in its international form; null where it is none that can exist. Everything but digits and
 * separators is refused, not dropped: a line break, a letter or an extension is a sign that something else was meant.
 */
export function parsePhone(text: string): Phone | null {
  if (text.length > MAX_LENGTH) return null;
  const compact = text.normalize('NFKC').replace(SEPARATORS, '');
  if (!E164.test(compact)) return null;
  const number = parsePhoneNumberFromString(compact, { extract: false });
  // The library repairs what it can, such as a trunk prefix. What it had to repair may be another person's number.
  if (!number?.isValid() || number.ext !== undefined || number.number !== compact) return null;
  return {
    e164: number.number,
    country: number.country ?? null,
    type: (number.getType()?.toLowerCase() as PhoneType | undefined) ?? 'unknown',
  };
}

/** Numbers that cost whoever calls them, or that no person holds in the hand. */
const WITHOUT_MESSAGES: ReadonlySet<PhoneType> = new Set([
  'premium_rate',
  'toll_free',
  'shared_cost',
  'pager',
  'uan',
  'voicemail',
]);

/**
 * Why no codes are sent to a number; null where they are. Every number that a user gives goes through it: codes to
 * numbers that earn money by the message are a known fraud.
 */
export function phoneFault({ type, country }: Phone, countries: readonly string[]): string | null {
  if (WITHOUT_MESSAGES.has(type)) return 'must be the number of a phone that receives messages';
  if (countries.length > 0 && (country === null || !countries.includes(country))) {
    return 'belongs to a country that no messages are sent to';
  }
  return null;
}

/** Of a number in its E.164 form, as ISO 3166-1 alpha-2; ZZ, which is no country's, where it has none. */
export function countryOf(number: string): string {
  return parsePhone(number)?.country ?? 'ZZ';
}

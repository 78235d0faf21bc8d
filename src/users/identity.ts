import { domainToASCII } from 'node:url';
import { isEmail } from 'class-validator';
import { parsePhone } from './phone.js';

/** What a login box may hold, told apart by shape: a username has no `@` and does not begin with `+`. */
export interface Identifier {
  kind: 'email' | 'phone' | 'username';
  canonical: string;
}

const MAX_EMAIL_LENGTH = 254;
const USERNAME = /^[\p{L}\p{N}](?:[\p{L}\p{N}._-]{0,62}[\p{L}\p{N}])?$/u;

/**
 * The form in which two spellings of an address are the same: NFC, lower case, the domain in ASCII. Dots and tags of
 * the local part stay: what they mean is the receiving server's business. A quoted local part is none: `"ada"@`, `"a\da"@`
 * and `ada@` are one mailbox, each spelling would have limits and an account of its own, and it may hold line breaks.
 * @returns null where the text is no address
 */
export function canonicalEmail(text: string): string | null {
  const trimmed = text.normalize('NFC').trim();
  if (trimmed.length > MAX_EMAIL_LENGTH || trimmed.startsWith('"') || !isEmail(trimmed)) return null;
  const at = trimmed.lastIndexOf('@');
  const domain = domainToASCII(trimmed.slice(at + 1));
  return domain === '' ? null : `${trimmed.slice(0, at).toLowerCase()}@${domain.toLowerCase()}`;
}

/** The form in which two spellings of a username are the same (NFKC, case-folded); null where it is no username. */
export function canonicalUsername(text: string): string | null {
  const folded = text.normalize('NFKC').trim().toLowerCase().normalize('NFKC');
  return USERNAME.test(folded) ? folded : null;
}

/** Null where the text cannot identify anybody. */
export function parseIdentifier(text: string): Identifier | null {
  if (text.includes('@')) {
    const canonical = canonicalEmail(text);
    return canonical === null ? null : { kind: 'email', canonical };
  }
  if (text.trimStart().startsWith('+')) {
    const phone = parsePhone(text);
    return phone === null ? null : { kind: 'phone', canonical: phone.e164 };
  }
  const canonical = canonicalUsername(text);
  return canonical === null ? null : { kind: 'username', canonical };
}

import { canonicalEmail } from '../users/identity.js';
import type { ProvedIdentity } from './provider.js';

/** Code points, as for names that people type. */
const NAME_MAX_LENGTH = 100;
/** OpenID Connect Core §2: at most 255 ASCII characters. */
const SUBJECT = /^[\x21-\x7e][\x20-\x7e]{0,254}$/;

/** What a provider tells about somebody. Its words are as foreign as a stranger's: each has its shape, or is nothing. */
export type Claims = Readonly<Record<string, unknown>>;

/** Null where nobody is named. */
export function subjectOf(claim: unknown): string | null {
  return typeof claim === 'string' && SUBJECT.test(claim) ? claim : null;
}

/** Apple and Google's tokeninfo write `"true"`. A provider that says nothing has verified nothing. */
export function emailOf({ email, email_verified: verified }: Claims): ProvedIdentity['email'] {
  const address = typeof email === 'string' ? email.normalize('NFC').trim() : '';
  const canonical = canonicalEmail(address);
  return canonical === null ? null : { address, canonical, verified: verified === true || verified === 'true' };
}

export function nameOf(claim: unknown): string {
  if (typeof claim !== 'string') return '';
  const line = claim
    .normalize('NFC')
    .toWellFormed()
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
  return [...line].slice(0, NAME_MAX_LENGTH).join('').trim();
}

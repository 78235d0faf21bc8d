import { dictionary } from '@zxcvbn-ts/language-common';

/** Code points; more than argon2 needs, little enough to hash at once. */
export const PASSWORD_MAX_LENGTH = 128;

const COMMON = new Set(dictionary['passwords-common']);

/**
 * What is wrong with a new password, in sentences for the one who chose it; empty where nothing is. Length, a
 * blocklist and nothing of oneself; no rules of composition (NIST SP 800-63B-4 §3.1.1.2).
 */
export function passwordFaults(
  password: string,
  minLength: number,
  own: readonly (string | null | undefined)[],
): string[] {
  const normalized = password.normalize('NFC');
  const length = [...normalized].length;
  if (length < minLength) return [`must have at least ${minLength} characters`];
  if (length > PASSWORD_MAX_LENGTH) return [`must have at most ${PASSWORD_MAX_LENGTH} characters`];
  const folded = normalized.toLowerCase();
  if (COMMON.has(folded)) return ['is one of the most common passwords; choose another'];
  if (/^(.)\1*$/su.test(folded)) return ['is one character repeated; choose another'];
  const names = own.flatMap((name) => (name ? [name.toLowerCase()] : []));
  if (names.some((name) => folded === name || folded === name.split('@')[0])) {
    return ['is your own address or name; choose another'];
  }
  return [];
}

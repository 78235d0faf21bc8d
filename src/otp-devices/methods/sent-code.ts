import { codeHash, randomCode, sameBytes } from '../../crypto/codes.js';
import type { Keys } from '../../crypto/keys.js';
import { normalizeCode, type Asked, type Verdict } from './method.js';

/** A code of ours for a challenge, and what is kept of it. */
export function makeCode(
  keys: Keys,
  { challengeId, purpose }: Omit<Asked, 'codeHash'>,
  length: number,
  characters: string,
): { code: string; codeHash: Buffer } {
  const code = randomCode(length, characters);
  return { code, codeHash: codeHash(keys.for('codes'), purpose, challengeId, code) };
}

/** Whether the typed code is the one that was made for this very challenge. */
export function compareCode(keys: Keys, { codeHash: made, purpose, challengeId }: Asked, typed: string): Verdict {
  if (made === null) return { ok: false, reason: 'wrong' };
  const code = normalizeCode(typed);
  const same = keys.ring('codes').some(({ key }) => sameBytes(codeHash(key, purpose, challengeId, code), made));
  return same ? { ok: true, next: {} } : { ok: false, reason: 'wrong' };
}

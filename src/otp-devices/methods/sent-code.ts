import { codeHash, randomCode, sameBytes } from '../../crypto/codes.js';
import { normalizeCode, type Asked, type Verdict } from './method.js';

/** A code of ours for a challenge, and what is kept of it. */
export function makeCode(
  hashKey: Buffer,
  { challengeId, purpose }: Omit<Asked, 'codeHash'>,
  length: number,
  characters: string,
): { code: string; codeHash: Buffer } {
  const code = randomCode(length, characters);
  return { code, codeHash: codeHash(hashKey, purpose, challengeId, code) };
}

/** Whether the typed code is the one that was made for this very challenge. */
export function compareCode(hashKey: Buffer, asked: Asked, typed: string): Verdict {
  if (asked.codeHash === null) return { ok: false, reason: 'wrong' };
  const hash = codeHash(hashKey, asked.purpose, asked.challengeId, normalizeCode(typed));
  return sameBytes(hash, asked.codeHash) ? { ok: true, next: {} } : { ok: false, reason: 'wrong' };
}

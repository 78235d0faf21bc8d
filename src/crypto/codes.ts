import { createHmac, randomInt, timingSafeEqual, type KeyObject } from 'node:crypto';

/** A code for a person to type: every character drawn uniformly and independently. */
export function randomCode(length: number, characters: string): string {
  return Array.from({ length }, () => characters[randomInt(characters.length)]).join('');
}

/**
 * What is stored instead of a short code. Keyed, because a plain hash of seven digits is reversed in a second;
 * bound to its purpose and challenge, so that a code of one never fits another.
 */
export function codeHash(key: KeyObject, purpose: string, challengeId: string, code: string): Buffer {
  return createHmac('sha256', key).update(`${purpose}\0${challengeId}\0${code}`).digest();
}

/** Equality in constant time; false where the lengths differ. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

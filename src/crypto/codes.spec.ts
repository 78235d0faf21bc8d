import { createSecretKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { codeHash, randomCode, sameBytes } from './codes.js';

const DIGITS = '0123456789';

/** Pearson's statistic of how often each character was seen, against equal shares. */
function chiSquared(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe('a code', () => {
  const codes = Array.from({ length: 100_000 }, () => randomCode(7, DIGITS));

  it('draws every digit equally often at every place', () => {
    for (let place = 0; place < 7; place += 1) {
      const counts = [...DIGITS].map((digit) => codes.filter((code) => code[place] === digit).length);
      // nine degrees of freedom: past 42 once in 300 000 tries
      expect(chiSquared(counts), `place ${place}: ${counts.join(' ')}`).toBeLessThan(42);
    }
  });

  it('draws neighbours independently of each other', () => {
    const counts = new Array<number>(100).fill(0);
    for (const code of codes) counts[Number(code.slice(2, 4))] = (counts[Number(code.slice(2, 4))] ?? 0) + 1;
    // 99 degrees of freedom: past 175 less than once in 100 000 tries
    expect(chiSquared(counts)).toBeLessThan(175);
  });

  it('keeps its zeros in front, a tenth of the time', () => {
    expect(codes.every((code) => /^\d{7}$/.test(code))).toBe(true);
    const leading = codes.filter((code) => code.startsWith('0')).length;
    expect(leading).toBeGreaterThan(9_400);
    expect(leading).toBeLessThan(10_600);
  });

  it('has the length and the characters that were asked for, with no bias where they are no power of two', () => {
    const letters = 'ABCDEFGHJKLMNPQRSTUVWXYZ234';
    const text = Array.from({ length: 10_000 }, () => randomCode(10, letters)).join('');
    expect(text).toHaveLength(100_000);
    const counts = [...letters].map((letter) => text.split(letter).length - 1);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(100_000);
    // 26 degrees of freedom: past 70 less than once in 100 000 tries
    expect(chiSquared(counts)).toBeLessThan(70);
  });
});

describe('the hash of a code', () => {
  const key = createSecretKey(Buffer.alloc(32, 1));
  const hash = codeHash(key, 'sign_in', 'challenge', '0012345');

  it('is the same for the same code of the same challenge and purpose', () => {
    expect(hash).toHaveLength(32);
    expect(codeHash(createSecretKey(Buffer.alloc(32, 1)), 'sign_in', 'challenge', '0012345')).toEqual(hash);
  });

  it.each([
    ['key', codeHash(createSecretKey(Buffer.alloc(32, 2)), 'sign_in', 'challenge', '0012345')],
    ['purpose', codeHash(key, 'step_up', 'challenge', '0012345')],
    ['challenge', codeHash(key, 'sign_in', 'another', '0012345')],
    ['code', codeHash(key, 'sign_in', 'challenge', '0012346')],
    ['number of zeros in front', codeHash(key, 'sign_in', 'challenge', '12345')],
    ['border between purpose and challenge', codeHash(key, 'sign_', 'inchallenge', '0012345')],
    ['border between challenge and code', codeHash(key, 'sign_in', 'challenge0', '012345')],
  ])('is another for another %s', (_what, other) => {
    expect(other).not.toEqual(hash);
  });
});

describe('equality', () => {
  it('holds for equal bytes only, whatever their lengths', () => {
    const bytes = Buffer.from('abc');
    expect(sameBytes(bytes, Buffer.from('abc'))).toBe(true);
    expect(sameBytes(Buffer.alloc(0), Buffer.alloc(0))).toBe(true);
    for (const other of ['abd', 'ab', 'abcd', '', 'bbc'])
      expect(sameBytes(bytes, Buffer.from(other)), other).toBe(false);
  });
});

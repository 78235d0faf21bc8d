import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { globMatcher } from './glob.js';

describe('a pattern', () => {
  it.each([
    ['', '', true],
    ['', 'a', false],
    ['*', '', true],
    ['*', 'anything', true],
    ['?', '', false],
    ['?', 'ä', true],
    ['?', '𝒳', true],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['*@*.test', 'ada@example.test', true],
    ['*@*.test', 'ada@test', false],
    ['*@*.test', 'ada@example.test.example', false],
    ['*.x*', 'a.b.xy', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['***a', 'ba', true],
    ['a.c', 'abc', false],
    ['[ab]', 'a', false],
    ['(a+)+$', 'aaaa', false],
    ['*a', '*b', false],
  ])('%j fits %j: %s', (pattern, text, fits) => {
    expect(globMatcher(pattern)(text)).toBe(fits);
  });

  it('fits what the regular expression of the same meaning fits', () => {
    const letters = fc.array(fc.constantFrom('a', 'b'), { maxLength: 8 }).map((each) => each.join(''));
    const patterns = fc.array(fc.constantFrom('a', 'b', '*', '?'), { maxLength: 6 }).map((each) => each.join(''));
    fc.assert(
      fc.property(patterns, letters, (pattern, text) => {
        const expression = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`);
        expect(globMatcher(pattern)(text)).toBe(expression.test(text));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(['*a*a*a*a*a*a*a*a*a*a*a*a*b', `*${'a'.repeat(126)}b`, '*?*?*?*?*?*?*?*?*?*?*?b'])(
    'I11: %j takes no time, whatever it is compared with',
    (pattern) => {
      const fits = globMatcher(pattern);
      const timeOf = (text: string) => {
        const start = performance.now();
        expect(fits(text)).toBe(false);
        return performance.now() - start;
      };
      // Half as long as what is compared at most: the worst there is. Exponential it would take years.
      const times = ['a'.repeat(254), 'a'.repeat(50_000)].map(timeOf);
      for (const time of times) expect(time).toBeLessThan(50);
    },
  );

  it('is one of an address, which has 254 characters at most', () => {
    expect(globMatcher('*')('a'.repeat(254))).toBe(true);
    expect(globMatcher('*')('a'.repeat(255))).toBe(false);
  });
});

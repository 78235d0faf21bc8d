import { describe, expect, it } from 'vitest';
import { isOfOneAlphabet, skeletonOf } from './lookalikes.js';

describe('two usernames look alike', () => {
  it.each<[one: string, other: string, why: string]>([
    ['paypal', 'раураӏ', 'all Cyrillic'],
    ['paypal', 'PAYPAL', 'case'],
    ['paypal', 'paypaI', 'a capital i for an l'],
    ['paypal', 'paypa1', 'a one for an l'],
    ['root', 'r00t', 'zeros for o'],
    ['google', 'gооɡle', 'Cyrillic o, script g'],
    ['boB', 'ВОВ'.slice(0, 1) + 'oB', 'a capital Cyrillic В'],
    ['coca', 'соса', 'all Cyrillic, lower case'],
    ['ABE', 'ΑΒΕ', 'all Greek, capitals'],
    ['nova', 'ηονα', 'all Greek, lower case'],
    ['son', 'ѕоп', 'all Cyrillic'],
    ['hugo', 'հսցօ', 'all Armenian'],
    ['modern', 'rnodern', 'two letters for one'],
    ['wave', 'vvave', 'two letters for one'],
    ['ada', 'ａｄａ', 'full-width letters'],
    ['noël', 'nоёl'.replace('ё', 'е\u0308'), 'a letter and its mark'],
    ['naïve', 'naїve', 'a Cyrillic letter with a mark'],
  ])('%s and %s (%s)', (one, other) => {
    expect(skeletonOf(other)).toBe(skeletonOf(one));
  });

  it.each<[one: string, other: string, why: string]>([
    ['paypal', 'paypol', 'another letter'],
    ['rene', 'rené', 'an accent is to be seen'],
    ['ada.l', 'ada-l', 'dots and dashes are to be seen'],
    ['анна', 'anna', 'н and n look different in print'],
    ['ada2', 'ada3', 'digits'],
  ])('%s and %s do not (%s)', (one, other) => {
    expect(skeletonOf(other)).not.toBe(skeletonOf(one));
  });
});

describe('a username is written in one alphabet', () => {
  it.each<[username: string]>([
    ['ada_1815'],
    ['rené'],
    ['анна-7'],
    ['νίκος'],
    ['גדעון'],
    ['محمد'],
    ['山田太郎'],
    ['山田ハルcafe'],
    ['ひらがな'],
    ['김철수x'],
    ['123'],
  ])('%s', (username) => {
    expect(isOfOneAlphabet(username)).toBe(true);
  });

  it.each<[username: string, why: string]>([
    ['раypal', 'Cyrillic ра, Latin ypal'],
    ['gοogle', 'one Greek letter'],
    ['adа', 'one Cyrillic letter at the end'],
    ['αнна', 'Greek and Cyrillic'],
    ['김ひ', 'Korean and Japanese'],
    ['ᎪᎠᎪ', 'Cherokee, whose letters look like Latin ones'],
  ])('not %s (%s)', (username) => {
    expect(isOfOneAlphabet(username)).toBe(false);
  });
});

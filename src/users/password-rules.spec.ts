import { describe, expect, it } from 'vitest';
import { passwordFaults } from './password-rules.js';

const TOO_SHORT = ['must have at least 8 characters'];
const TOO_LONG = ['must have at most 128 characters'];
const COMMON = ['is one of the most common passwords; choose another'];
const REPEATED = ['is one character repeated; choose another'];
const OWN = ['is your own address or name; choose another'];

/** What a user with this address and name is told. */
const faults = (password: string, minLength = 8) =>
  passwordFaults(password, minLength, ['ada.lovelace@example.com', 'lovelace_1815', null, undefined, '']);

describe('good', () => {
  it.each<[password: string, why: string]>([
    ['three uncommon words', 'a phrase'],
    ['qzv7-tlm', 'eight characters'],
    ['zq'.repeat(64), '128 characters'],
    [
      '\u{1f9ed}\u{1f418}\u{1f33f}\u{1f9c2}\u{1f4ce}\u{1f52d}\u{1f3bb}\u{1f9ea}',
      'eight characters in sixteen code units',
    ],
    ['  leading space', 'space is a character'],
    ['nothingbutlowercase', 'no rules of composition'],
    ['ada.lovelace and more', 'more than the own name'],
  ])('%j (%s)', (password) => {
    expect(faults(password)).toEqual([]);
  });
});

describe('too short or too long', () => {
  it.each<[password: string, minLength: number, told: string[], why: string]>([
    ['', 8, TOO_SHORT, 'empty'],
    ['qzv7-tl', 8, TOO_SHORT, 'seven characters'],
    ['\u{1f9ed}\u{1f418}\u{1f33f}\u{1f9c2}', 8, TOO_SHORT, 'four characters in eight code units'],
    ['qzv7-te\u0301', 8, TOO_SHORT, 'an accent is no character of its own'],
    ['fourteen chars', 15, ['must have at least 15 characters'], 'the deployment asks for more'],
    [`${'zq'.repeat(64)}z`, 8, TOO_LONG, '129 characters'],
    ['\u{1f9ed}\u{1f418}'.repeat(65), 8, TOO_LONG, '130 characters'],
  ])('%j of %i: %j (%s)', (password, minLength, told) => {
    expect(faults(password, minLength)).toEqual(told);
  });

  it('counts an accent typed in two ways alike', () => {
    const decomposed = 'e\u0301'.repeat(64) + 'z'.repeat(64);
    expect(faults(decomposed)).toEqual([]);
    expect(faults(`${decomposed}z`)).toEqual(TOO_LONG);
  });
});

describe('too easily guessed', () => {
  it.each<[password: string, told: string[], why: string]>([
    ['password', COMMON, 'everybody’s first'],
    ['PassWord', COMMON, 'in any case'],
    ['12345678', COMMON, 'digits in a row'],
    ['iloveyou', COMMON, 'a sentiment shared by many'],
    ['zzzzzzzzzz', REPEATED, 'one character'],
    ['zZzZzZzZzZ', REPEATED, 'one character in two cases'],
    ['\u{1f9ed}'.repeat(8), REPEATED, 'one character of two code units'],
    ['ada.lovelace@example.com', OWN, 'the own address'],
    ['ADA.Lovelace', OWN, 'the part before the @'],
    ['LoveLace_1815', OWN, 'the own username'],
  ])('%j: %j (%s)', (password, told) => {
    expect(faults(password)).toEqual(told);
  });
});

import { describe, expect, it } from 'vitest';
import { canonicalEmail, canonicalUsername, parseIdentifier } from './identity.js';

describe('two spellings are the same address', () => {
  it.each<[typed: string, canonical: string, why: string]>([
    ['ada@example.com', 'ada@example.com', 'as it is'],
    ['Ada@Example.COM', 'ada@example.com', 'lower case'],
    ['  ada@example.com\t', 'ada@example.com', 'space around it'],
    ['ren\u0065\u0301@example.com', 'ren\u00e9@example.com', 'NFD and NFC'],
    ['REN\u00c9@example.com', 'ren\u00e9@example.com', 'lower case beyond ASCII'],
    ['ada@b\u00fccher.example', 'ada@xn--bcher-kva.example', 'a domain in Unicode'],
    ['ada@BU\u0308CHER.example', 'ada@xn--bcher-kva.example', 'the same, decomposed and in capitals'],
    ['ada@xn--bcher-kva.example', 'ada@xn--bcher-kva.example', 'the same, in ASCII'],
  ])('%j → %s (%s)', (typed, canonical) => {
    expect(canonicalEmail(typed)).toBe(canonical);
  });

  it.each<[one: string, other: string, why: string]>([
    ['a.d.a@example.com', 'ada@example.com', 'dots belong to the receiving server'],
    ['ada+news@example.com', 'ada@example.com', 'tags belong to the receiving server'],
    ['\u0430da@example.com', 'ada@example.com', 'a Cyrillic а is another letter'],
  ])('%s is not %s: %s', (one, other) => {
    expect(canonicalEmail(one)).not.toBe(canonicalEmail(other));
  });

  it('stays the same when it is made canonical again', () => {
    for (const typed of ['Ada@B\u00dcCHER.example', 'REN\u0045\u0301@example.com', '\u0130pek@example.com']) {
      const once = canonicalEmail(typed);
      expect(once).not.toBeNull();
      expect(canonicalEmail(once ?? '')).toBe(once);
    }
  });
});

describe('no address', () => {
  it.each<[typed: string]>([
    [''],
    ['ada'],
    ['ada@'],
    ['@example.com'],
    ['ada@example'],
    ['ada example@example.com'],
    ['ada@example.com, eve@example.com'],
    ['ada@example.com\r\nBcc: eve@example.com'],
    ['ada\u0000@example.com'],
    ['Ada <ada@example.com>'],
    ['ada@@example.com'],
    ['"ada"@example.com'],
    ['"\\a\\d\\a"@example.com'],
    ['"ada lovelace"@example.com'],
    ['"ada\r\nBcc: eve"@example.com'],
    [`${'a'.repeat(65)}@example.com`],
    [`ada@${'a.'.repeat(125)}example.com`],
  ])('%j', (typed) => {
    expect(canonicalEmail(typed)).toBeNull();
  });
});

describe('two spellings are the same username', () => {
  it.each<[typed: string, canonical: string, why: string]>([
    ['ada', 'ada', 'as it is'],
    [' Ada ', 'ada', 'lower case, space around it'],
    ['\uff21\uff44\uff41', 'ada', 'full-width letters'],
    ['ren\u0065\u0301', 'ren\u00e9', 'NFD and NFC'],
    ['\u017ft\u00e9phane', 'st\u00e9phane', 'a long s'],
    ['a', 'a', 'one character'],
    ['ada.lovelace-1815_x', 'ada.lovelace-1815_x', 'dot, dash and underscore inside'],
    ['a'.repeat(64), 'a'.repeat(64), '64 characters'],
  ])('%j → %s (%s)', (typed, canonical) => {
    expect(canonicalUsername(typed)).toBe(canonical);
  });
});

describe('no username', () => {
  it.each<[typed: string, why: string]>([
    ['', 'empty'],
    [' ', 'only space'],
    ['a'.repeat(65), '65 characters'],
    ['.ada', 'begins with a dot'],
    ['ada-', 'ends with a dash'],
    ['ada lovelace', 'a space inside'],
    ['+4312345', 'begins like a phone number'],
    ['ada@home', 'holds an @'],
    ['ada\u200blovelace', 'an invisible character'],
    ['ada\u0000', 'NUL'],
    ['<ada>', 'markup'],
  ])('%j (%s)', (typed) => {
    expect(canonicalUsername(typed)).toBeNull();
  });
});

describe('what a login box holds, told apart by shape', () => {
  it.each<[typed: string, identifier: ReturnType<typeof parseIdentifier>]>([
    ['Ada@Example.com', { kind: 'email', canonical: 'ada@example.com' }],
    ['Ada', { kind: 'username', canonical: 'ada' }],
    ['ada@', null],
    ['+43 1 2345', { kind: 'phone', canonical: '+4312345' }],
    ['+1234', null],
    ['', null],
    ['\u0000', null],
  ])('%j → %o', (typed, identifier) => {
    expect(parseIdentifier(typed)).toEqual(identifier);
  });
});

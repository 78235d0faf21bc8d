import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import {
  choice,
  duration,
  durationOrOff,
  flag,
  freeList,
  integer,
  integerOrOff,
  listOf,
  parseDuration,
  rateOrOff,
  ratesOrOff,
  text,
  textWithDefault,
  type EntryMeta,
} from './values.js';

/** The value, or the message that the operator reads. */
function read(entry: z.ZodType, value: string | undefined): unknown {
  const result = entry.safeParse(value);
  return result.success ? result.data : new Error(result.error.issues.map(({ message }) => message).join('; '));
}

const refused = expect.any(Error) as unknown;

describe('a time span', () => {
  it.each([
    ['30s', 30],
    ['5m', 300],
    ['24h', 86_400],
    ['7d', 604_800],
    ['0s', 0],
    ['007s', 7],
  ])('%s is %i seconds', (span, seconds) => {
    expect(parseDuration(span)).toBe(seconds);
  });

  it.each([
    '',
    '30',
    's',
    '30 s',
    ' 30s',
    '30s ',
    '-30s',
    '+30s',
    '1.5h',
    '30S',
    '30ms',
    '1h30m',
    '5w',
    'off',
    '1e3s',
    '٣s',
  ])('"%s" is none', (span) => {
    expect(parseDuration(span)).toBeNull();
  });

  const entry = duration({ default: '5m', min: '30s', max: '10m' });

  it('has a default and holds its limits, which belong to it', () => {
    expect(read(entry, undefined)).toBe(300);
    expect(read(entry, '30s')).toBe(30);
    expect(read(entry, '10m')).toBe(600);
    expect(read(entry, '29s')).toEqual(new Error('must be between 30s and 10m'));
    expect(read(entry, '601s')).toEqual(new Error('must be between 30s and 10m'));
    expect(read(entry, 'five minutes')).toEqual(new Error('must be a time span such as 30s, 5m, 24h or 7d'));
    expect(read(entry, 'off')).toEqual(refused);
  });

  it('may be off where that is allowed', () => {
    const orOff = durationOrOff({ default: '60s', min: '1s', max: '10m' });
    expect(read(orOff, 'off')).toBeNull();
    expect(read(orOff, '2m')).toBe(120);
    expect(read(orOff, undefined)).toBe(60);
    for (const wrong of ['OFF', '0s', '11m', '']) expect(read(orOff, wrong)).toEqual(refused);
    expect(read(durationOrOff({ default: 'off', min: '1s', max: '10m' }), undefined)).toBeNull();
  });
});

describe('a whole number', () => {
  const entry = integer({ default: 5, min: 3, max: 10 });

  it('has a default and holds its limits', () => {
    expect(read(entry, undefined)).toBe(5);
    expect(read(entry, '3')).toBe(3);
    expect(read(entry, '10')).toBe(10);
    for (const wrong of ['2', '11', '', ' 5', '5 ', '5.0', '5e0', '0x5', '+5', '-5', 'five', 'NaN', 'off', '5\n']) {
      expect(read(entry, wrong), wrong).toEqual(refused);
    }
  });

  it('may be off where that is allowed', () => {
    const orOff = integerOrOff({ default: 5, min: 3, max: 10 });
    expect(read(orOff, 'off')).toBeNull();
    expect(read(orOff, '4')).toBe(4);
    for (const wrong of ['0', 'none', 'Off']) expect(read(orOff, wrong), wrong).toEqual(refused);
  });
});

describe('a rate', () => {
  const entry = rateOrOff({ default: '30/1m' });

  it('is so many in so long, or off', () => {
    expect(read(entry, undefined)).toEqual({ points: 30, seconds: 60 });
    expect(read(entry, '1/1s')).toEqual({ points: 1, seconds: 1 });
    expect(read(entry, '300/5m')).toEqual({ points: 300, seconds: 300 });
    expect(read(entry, 'off')).toBeNull();
    for (const wrong of [
      '',
      '30',
      '30/',
      '/1m',
      '0/1m',
      '-1/1m',
      '30/0s',
      '30/1',
      '30 / 1m',
      '30/1m/1h',
      '1.5/1m',
      '30/off',
    ]) {
      expect(read(entry, wrong), wrong).toEqual(new Error('must be a rate such as 30/1m, or off'));
    }
  });

  it('may be several', () => {
    const several = ratesOrOff({ default: '5/1h,10/1d' });
    const standard = [
      { points: 5, seconds: 3600 },
      { points: 10, seconds: 86_400 },
    ];
    expect(read(several, undefined)).toEqual(standard);
    expect(read(several, ' 5/1h , 10/1d ')).toEqual(standard);
    expect(read(several, '1/1s')).toEqual([{ points: 1, seconds: 1 }]);
    expect(read(several, 'off')).toEqual([]);
    for (const wrong of ['', '5/1h,', '5/1h;10/1d', '5/1h,off', 'off,5/1h', '5/1h,x']) {
      expect(read(several, wrong), wrong).toEqual(refused);
    }
  });
});

describe('a list', () => {
  const methods = listOf({ default: 'email,totp', of: ['none', 'email', 'totp'] });

  it('takes what it knows, once each', () => {
    expect(read(methods, undefined)).toEqual(['email', 'totp']);
    expect(read(methods, ' totp , email')).toEqual(['totp', 'email']);
    expect(read(methods, 'totp,totp')).toEqual(new Error('names a value twice'));
    for (const wrong of ['', ',', 'totp,', 'TOTP', 'sms', 'totp;email', 'totp email']) {
      expect(read(methods, wrong), wrong).toEqual(refused);
    }
  });

  it('of anything may be empty', () => {
    const anything = freeList({ allowed: 'anything' });
    expect(read(anything, undefined)).toEqual([]);
    expect(read(anything, ' a, ,b ,')).toEqual(['a', 'b']);
  });
});

describe('the rest', () => {
  it('a switch is on or off', () => {
    const entry = flag({ default: 'off' });
    expect([undefined, 'on', 'off', 'true', 'false'].map((value) => read(entry, value))).toEqual([
      false,
      true,
      false,
      true,
      false,
    ]);
    for (const wrong of ['', 'yes', '1', '0', 'ON', ' on', 'enabled']) {
      expect(read(entry, wrong), wrong).toEqual(new Error('must be on or off'));
    }
  });

  it('a choice is one of the named', () => {
    const entry = choice({ default: 'info', of: ['info', 'debug'] });
    expect([undefined, 'info', 'debug'].map((value) => read(entry, value))).toEqual(['info', 'info', 'debug']);
    for (const wrong of ['', 'INFO', 'trace', 'info,debug']) expect(read(entry, wrong), wrong).toEqual(refused);
  });

  it('text is absent or as it was written', () => {
    expect(read(text({ allowed: 'anything' }), undefined)).toBeNull();
    expect(read(text({ allowed: 'anything' }), ' a ')).toBe(' a ');
    expect(read(textWithDefault({ default: 'x', allowed: 'anything' }), undefined)).toBe('x');
  });

  it('every entry says its default and what it allows, for the papers that are generated', () => {
    const meta = (entry: z.ZodType) => entry.meta() as unknown as EntryMeta;
    expect(meta(duration({ default: '5m', min: '30s', max: '10m' }))).toEqual({ default: '5m', allowed: '30s–10m' });
    expect(meta(integerOrOff({ default: 5, min: 3, max: 10 }))).toEqual({ default: '5', allowed: '3–10, or `off`' });
    expect(meta(text({ allowed: 'a key', secret: true }))).toEqual({ allowed: 'a key', secret: true });
    expect(meta(flag({ default: 'on' }))).toEqual({ default: 'on', allowed: '`on`, `off`' });
  });
});

import { describe, expect, it } from 'vitest';
import { parsePhone } from './phone.js';

describe('a number in its international form', () => {
  it.each([
    ['+4915112345636', '+4915112345636', 'DE', 'mobile'],
    ['+493012345678', '+493012345678', 'DE', 'fixed_line'],
    ['+12015550123', '+12015550123', 'US', 'fixed_line_or_mobile'],
    ['+19005551234', '+19005551234', 'US', 'premium_rate'],
    ['+449098790000', '+449098790000', 'GB', 'premium_rate'],
    ['+979123456789', '+979123456789', null, 'premium_rate'],
    ['+18005551234', '+18005551234', 'US', 'toll_free'],
    ['+80012345678', '+80012345678', null, 'toll_free'],
    ['+491805123456', '+491805123456', 'DE', 'shared_cost'],
    ['+445612345678', '+445612345678', 'GB', 'voip'],
    ['+883510012345', '+883510012345', null, 'voip'],
    ['+447012345678', '+447012345678', 'GB', 'personal_number'],
    ['+447640123456', '+447640123456', 'GB', 'pager'],
    ['+443001234567', '+443001234567', 'GB', 'uan'],
    // shared country codes are told apart
    ['+16135550123', '+16135550123', 'CA', 'fixed_line_or_mobile'],
    ['+77001234567', '+77001234567', 'KZ', 'mobile'],
  ])('%s is %s, %s, %s', (text, e164, country, type) => {
    expect(parsePhone(text)).toEqual({ e164, country, type });
  });

  it.each([
    '+49 151 123 456 36',
    '+49-151-12345636',
    '+49 (151) 12345636',
    '+49.151.12345636',
    '+49/151/12345636',
    ' +49\u00a0151\u202f12345636 ',
    '+49–151—12345636',
    '＋４９１５１１２３４５６３６',
  ])('may be written %j', (text) => {
    expect(parsePhone(text)?.e164).toBe('+4915112345636');
  });
});

describe('no number', () => {
  it.each([
    ['nothing', ''],
    ['a national form', '015112345636'],
    ['an international prefix instead of +', '004915112345636'],
    ['no plus', '4915112345636'],
    ['two pluses', '++4915112345636'],
    ['a plus inside', '+49+15112345636'],
    ['only a plus', '+'],
    ['a trunk prefix', '+49(0)15112345636'],
    ['letters that telephones have', '+1800FLOWERS'],
    ['a word before it', 'tel:+4915112345636'],
    ['an extension', '+4915112345636 ext. 5'],
    ['a short extension', '+4915112345636x5'],
    ['an extension after a #', '+4915112345636#5'],
    ['an RFC 3966 parameter', '+4915112345636;ext=5'],
    ['another RFC 3966 parameter', '+4915112345636;phone-context=x'],
    ['a second number', '+4915112345636,+4915112345637'],
    ['a line break behind it', '+4915112345636\r\n'],
    ['a line break within', '+49151\n12345636'],
    ['a header', '+4915112345636\r\nTo: +4915112345637'],
    ['a tab', '+49\t15112345636'],
    ['a NUL', '+4915112345636\0'],
    ['hidden characters', '+49\u200b15112345636'],
    ['a reversing character', '\u202e+4915112345636'],
    ['digits of another script', '+٤٩١٥١١٢٣٤٥٦٣٦'],
    ['too few digits', '+1201555012'],
    ['too many digits', '+491511234563612345'],
    ['a country code that nobody has', '+999123456789'],
    ['a country code with a zero', '+0915112345636'],
    ['a number that is not given out', '+12005550123'],
    ['an address', 'alice@example.com'],
    ['something long', `+49${' '.repeat(50_000)}15112345636`],
  ])('%s', (_what, text) => {
    expect(parsePhone(text)).toBeNull();
  });
});

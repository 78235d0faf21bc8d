import { describe, expect, it } from 'vitest';
import { readTokenHeader } from './token-header.js';

const header = { alg: 'ES256', typ: 'at+jwt', kid: '019a' };

function tokenWith(part: unknown): string {
  const text = typeof part === 'string' ? part : JSON.stringify(part);
  return `${Buffer.from(text).toString('base64url')}.e30.c2ln`;
}

describe('the header of a token', () => {
  it('says algorithm, type and key; the key may be missing', () => {
    expect(readTokenHeader(tokenWith(header))).toEqual(header);
    expect(readTokenHeader(tokenWith({ alg: 'HS256', typ: 'code+jwt' }))).toEqual({ alg: 'HS256', typ: 'code+jwt' });
  });

  it.each(['jku', 'x5u', 'jwk', 'x5c', 'x5t', 'x5t#S256', 'crit', 'b64', 'cty', 'zip', 'enc', 'p2c', '__proto__x'])(
    'that says %s is not ours',
    (name) => {
      expect(readTokenHeader(tokenWith({ ...header, [name]: 'x' }))).toBeNull();
      expect(readTokenHeader(tokenWith({ ...header, [name]: null }))).toBeNull();
    },
  );

  it.each([
    { typ: 'at+jwt' },
    { alg: 'ES256' },
    { ...header, alg: ['ES256'] },
    { ...header, typ: null },
    { ...header, kid: 7 },
    { ...header, kid: null },
    [header],
    'null',
    '"ES256"',
    '7',
    '{"alg":"ES256"',
    '',
    '{}',
  ])('is not %j', (part) => {
    expect(readTokenHeader(tokenWith(part))).toBeNull();
  });

  it.each([
    ['two parts', (token: string) => token.split('.').slice(0, 2).join('.')],
    ['one part', (token: string) => token.split('.')[0] ?? ''],
    ['four parts', (token: string) => `${token}.AA`],
    ['five parts, as an encrypted token has', (token: string) => `${token}.AA.AA`],
    ['an empty signature', (token: string) => token.replace(/[^.]+$/, '')],
    ['an empty payload', (token: string) => token.replace(/\..+\./, '..')],
    ['a space before', (token: string) => ` ${token}`],
    ['a newline behind', (token: string) => `${token}\n`],
    ['padding', (token: string) => `${token}=`],
    ['the other base64 alphabet', (token: string) => `${token}+/`],
    ['a comma, as two headers joined', (token: string) => `${token}, ${token}`],
  ])('is not read from a text with %s', (_what, change) => {
    expect(readTokenHeader(change(tokenWith(header)))).toBeNull();
  });

  it('is not read from more than 8 KiB, nor slowly from less', () => {
    const token = tokenWith(header);
    expect(readTokenHeader(token + 'A'.repeat(8_192 - token.length))).toEqual(header);
    expect(readTokenHeader(token + 'A'.repeat(8_193 - token.length))).toBeNull();
    const started = performance.now();
    for (const text of ['.'.repeat(8_192), 'A'.repeat(8_192), `${'A'.repeat(4_000)}.${'-'.repeat(4_000)}.!`]) {
      expect(readTokenHeader(text)).toBeNull();
    }
    expect(performance.now() - started).toBeLessThan(500);
  });
});

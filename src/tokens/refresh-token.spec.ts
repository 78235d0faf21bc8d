import { createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { formatRefreshToken, isGenuine, parseRefreshToken } from './refresh-token.js';

const KEY = createSecretKey(randomBytes(32));
const SALT = randomBytes(16);
const SESSION = '019aa8d2-8f02-7a51-b1c4-0d6a1e5b7c22';
const token = formatRefreshToken(KEY, SALT, SESSION, 7);

/** Whether a text is a refresh token of the session, as the service decides it. */
function isOurs(text: string, key = KEY, salt = SALT): boolean {
  const parsed = parseRefreshToken(text);
  return parsed !== null && isGenuine(parsed, [{ id: 'k', key }], salt);
}

describe('a refresh token', () => {
  it('names its session and its number in the family', () => {
    expect(parseRefreshToken(token)).toMatchObject({ sessionId: SESSION, counter: 7 });
    expect(parseRefreshToken(token)?.secret).toHaveLength(32);
    expect(isOurs(token)).toBe(true);
  });

  it.each([0, 1, 255, 256, 2 ** 31, 2 ** 32 - 1])('number %i of a family comes back as it was', (counter) => {
    expect(parseRefreshToken(formatRefreshToken(KEY, SALT, SESSION, counter))?.counter).toBe(counter);
  });

  it('can be named again, so that it need not be stored', () => {
    expect(formatRefreshToken(KEY, SALT, SESSION, 7)).toBe(token);
  });

  it('needs the key, the salt, the session and the number', () => {
    const secretOf = (text: string) => parseRefreshToken(text)?.secret.toString('hex');
    const others = [
      formatRefreshToken(createSecretKey(randomBytes(32)), SALT, SESSION, 7),
      formatRefreshToken(KEY, randomBytes(16), SESSION, 7),
      formatRefreshToken(KEY, SALT, SESSION.replace('22', '23'), 7),
      formatRefreshToken(KEY, SALT, SESSION, 8),
    ];
    expect(new Set([token, ...others].map(secretOf)).size).toBe(5);
    expect(isOurs(token, createSecretKey(randomBytes(32)))).toBe(false);
    expect(isOurs(token, KEY, randomBytes(16))).toBe(false);
  });

  it('with one bit changed, wherever, is not ours', () => {
    const bytes = Buffer.from(token, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(isOurs(changed.toString('base64url')), `bit ${bit}`).toBe(false);
    }
  });

  it('has one spelling', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const lastCharacters = [...alphabet].filter((last) => isOurs(token.slice(0, -1) + last));
    expect(lastCharacters).toEqual([token.at(-1)]);
    for (const other of [
      `${token}=`,
      `${token}==`,
      ` ${token}`,
      `${token}\n`,
      `${token}.`,
      token.slice(0, 10) + '\n' + token.slice(10),
    ]) {
      expect(parseRefreshToken(other)).toBeNull();
    }
    const plain = Buffer.from(token, 'base64url').toString('base64');
    if (plain.replace(/=+$/, '') !== token) expect(parseRefreshToken(plain)).toBeNull();
  });

  it.each(['', 'A', 'eyJhbGciOiJFUzI1NiJ9.e30.AAAA', 'A'.repeat(69), 'A'.repeat(71), 'ä'.repeat(70), '\0'.repeat(70)])(
    'is not "%s"',
    (text) => {
      expect(parseRefreshToken(text)).toBeNull();
    },
  );
});

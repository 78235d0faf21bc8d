import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { completeConfig } from '../config/config.js';
import { readSettings } from '../config/env.js';
import { Keys, type KeyPurpose } from './keys.js';
import { SecretBox, UnsealError } from './secret-box.js';

const ROOT = 'x9Kq2LmV7tRb4Zp8Ws6Yd1Hf5Nc0AgJe';
const PURPOSE = 'device-secret';
const ROW = '019aa8d2-8f02-7a51-b1c4-0d6a1e5b7c22';

function boxWith(variables: Record<string, string> = {}): SecretBox {
  const settings = readSettings({ SECRET_KEY: ROOT, ...variables });
  const config = completeConfig(settings, { databaseUrl: 'postgres://x', secretKey: settings.secrets.secretKey ?? '' });
  return new SecretBox(config, new Keys(config));
}

/** One entry of ENCRYPTION_KEYS. */
function key(id: string): string {
  return `${id}:${randomBytes(32).toString('base64')}`;
}

describe('a sealed secret', () => {
  const box = boxWith();

  it.each(['JBSWY3DPEHPK3PXP', '', 'ä🦄\0', 'x'.repeat(100_000)])('opens where it was sealed (%#)', (plain) => {
    expect(box.open(box.seal(plain, PURPOSE, ROW), PURPOSE, ROW)).toBe(plain);
  });

  it('shows its version and key, nothing else, and never looks the same twice', () => {
    const sealed = Array.from({ length: 50 }, () => box.seal('the same', PURPOSE, ROW));
    expect(new Set(sealed).size).toBe(50);
    for (const text of sealed) expect(text).toMatch(/^v1\.[0-9a-f]{8}\.[\w-]+$/);
    expect(new Set(sealed.map((text) => text.split('.')[1])).size).toBe(1);
  });

  it('opens in no other row and for no other purpose', () => {
    const sealed = box.seal('secret', PURPOSE, ROW);
    expect(() => box.open(sealed, PURPOSE, `${ROW}0`)).toThrow(UnsealError);
    expect(() => box.open(sealed, 'signing-key', ROW)).toThrow(UnsealError);
    // moving the border between the two does not help
    expect(() => box.open(box.seal('secret', 'a', 'b\0c'), 'a\0b', 'c')).not.toThrow();
    expect(() => box.open(box.seal('secret', 'ab', 'c'), 'a', 'bc')).toThrow(UnsealError);
  });

  it('opens no more once a single bit of it has changed', () => {
    const [version, id, body = ''] = box.seal('secret', PURPOSE, ROW).split('.');
    const bytes = Buffer.from(body, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => box.open(`${version}.${id}.${changed.toString('base64url')}`, PURPOSE, ROW), `bit ${bit}`).toThrow(
        UnsealError,
      );
    }
  });

  it.each(['', 'v1', 'v1.', 'v1..', 'v2.0.AAAA', 'plain text', 'v1.unknown.AAAA', '...'])('is not "%s"', (text) => {
    expect(() => box.open(text, PURPOSE, ROW)).toThrow(UnsealError);
  });

  it('cut short is refused as well, not read with a shorter tag', () => {
    const [version, id, body = ''] = box.seal('secret', PURPOSE, ROW).split('.');
    const bytes = Buffer.from(body, 'base64url');
    for (let length = 0; length < bytes.length; length += 1) {
      const cut = `${version}.${id}.${bytes.subarray(0, length).toString('base64url')}`;
      expect(() => box.open(cut, PURPOSE, ROW), `${length} bytes`).toThrow(UnsealError);
    }
  });

  it('the error names the key and shows neither secret nor key', () => {
    const sealed = boxWith({ ENCRYPTION_KEYS: key('elsewhere') }).seal('the-plain-secret', PURPOSE, ROW);
    expect(() => box.open(sealed, PURPOSE, ROW)).toThrow(/"elsewhere"/);
    expect(() => box.open(sealed, PURPOSE, ROW)).not.toThrow(/the-plain-secret|v1\./);
  });
});

describe('the ring of keys', () => {
  const old = key('2025');
  const current = key('2026');

  it('seals with its first key and opens with all of them', () => {
    const before = boxWith({ ENCRYPTION_KEYS: old });
    const rotated = boxWith({ ENCRYPTION_KEYS: `${current}, ${old}` });
    const sealedBefore = before.seal('secret', PURPOSE, ROW);
    expect(sealedBefore).toMatch(/^v1\.2025\./);
    expect(rotated.open(sealedBefore, PURPOSE, ROW)).toBe('secret');
    expect(rotated.seal('secret', PURPOSE, ROW)).toMatch(/^v1\.2026\./);
  });

  it('does not open what a dropped key sealed, nor with another key of the same id', () => {
    const sealed = boxWith({ ENCRYPTION_KEYS: old }).seal('secret', PURPOSE, ROW);
    expect(() => boxWith({ ENCRYPTION_KEYS: current }).open(sealed, PURPOSE, ROW)).toThrow(UnsealError);
    expect(() => boxWith({ ENCRYPTION_KEYS: key('2025') }).open(sealed, PURPOSE, ROW)).toThrow(UnsealError);
  });

  it('without one the key follows from SECRET_KEY: the same one opens, another does not', () => {
    const sealed = boxWith().seal('secret', PURPOSE, ROW);
    expect(boxWith().open(sealed, PURPOSE, ROW)).toBe('secret');
    expect(() => boxWith({ SECRET_KEY: [...ROOT].reverse().join('') }).open(sealed, PURPOSE, ROW)).toThrow(UnsealError);
  });
});

describe('keys that are derived', () => {
  const bytesOf = (secretKey: string, purpose: KeyPurpose) => {
    const config = completeConfig(readSettings({ SECRET_KEY: secretKey }), { databaseUrl: 'postgres://x', secretKey });
    return new Keys(config).for(purpose).export();
  };
  const purposes = ['secret-box', 'codes', 'code-token', 'enrollment-token', 'refresh-token', 'counters'] as const;

  it('are 256 bits, one a purpose, and the same at every start', () => {
    const keys = purposes.map((purpose) => bytesOf(ROOT, purpose));
    expect(keys.every(({ length }) => length === 32)).toBe(true);
    expect(new Set(keys.map((bytes) => bytes.toString('hex'))).size).toBe(purposes.length);
    expect(purposes.map((purpose) => bytesOf(ROOT, purpose))).toEqual(keys);
    expect(bytesOf(`${ROOT}x`, 'codes')).not.toEqual(keys[1]);
  });
});

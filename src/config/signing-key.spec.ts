import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigurationError, readSettings } from './env.js';

const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });

const pemOf = (key: typeof p256.privateKey) => key.export({ format: 'pem', type: 'pkcs8' }).toString();
const publicPem = p256.publicKey.export({ format: 'pem', type: 'spki' }).toString();
const jwkOf = (key: typeof p256.privateKey) => JSON.stringify(key.export({ format: 'jwk' }));
const secretJwk = (bytes: number) => JSON.stringify({ kty: 'oct', k: randomBytes(bytes).toString('base64url') });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-keys-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The names of files that hold these, comma-separated. */
function filesWith(...texts: string[]): string {
  return texts
    .map((text) => {
      const file = join(folder, randomBytes(4).toString('hex'));
      writeFileSync(file, `${text}\n`);
      return file;
    })
    .join(', ');
}

function algorithmsOf(variables: Record<string, string>): string[] {
  return readSettings(variables).tokens.signingKeys.map(({ algorithm }) => algorithm);
}

function problemsOf(variables: Record<string, string>): string {
  try {
    readSettings(variables);
    return 'none';
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems.join('\n');
    throw error;
  }
}

describe('a key of one’s own', () => {
  it.each([
    ['ES256', 'PEM', pemOf(p256.privateKey)],
    ['ES256', 'SEC1 PEM', p256.privateKey.export({ format: 'pem', type: 'sec1' }).toString()],
    ['ES256', 'JWK', jwkOf(p256.privateKey)],
    ['RS256', 'PEM', pemOf(rsa.privateKey)],
    ['RS256', 'JWK', jwkOf(rsa.privateKey)],
    ['HS256', 'JWK', secretJwk(32)],
    ['HS256', 'plain text', randomBytes(24).toString('base64')],
  ])('for %s is read as %s, from the environment and from a file', (algorithm, _form, text) => {
    const common = { SIGNING_ALGORITHM: algorithm };
    expect(algorithmsOf({ ...common, SIGNING_KEY: text })).toEqual([algorithm]);
    expect(algorithmsOf({ ...common, SIGNING_KEY_FILE: filesWith(text) })).toEqual([algorithm]);
  });

  it('may be followed by others that only verify, of any algorithm', () => {
    const SIGNING_KEY_FILE = filesWith(jwkOf(p256.privateKey), pemOf(rsa.privateKey), publicPem, secretJwk(32));
    expect(algorithmsOf({ SIGNING_KEY_FILE })).toEqual(['ES256', 'RS256', 'ES256', 'HS256']);
  });

  it('is none where nothing is set', () => {
    expect(algorithmsOf({})).toEqual([]);
  });
});

describe('what stops the start, by the name of the setting and without its value', () => {
  const weakRsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
  const ed25519 = generateKeyPairSync('ed25519').privateKey;
  const encrypted = p256.privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' });
  const withoutFirstLine = publicPem.split('\n').slice(1).join('\n');

  it.each<[string, Record<string, string>, RegExp]>([
    ['a short RSA key', { SIGNING_KEY: pemOf(weakRsa), SIGNING_ALGORITHM: 'RS256' }, /^SIGNING_KEY: .*2048 bits/],
    ['another curve', { SIGNING_KEY: jwkOf(p384) }, /^SIGNING_KEY: .*P-256/],
    ['another kind of key', { SIGNING_KEY: pemOf(ed25519) }, /^SIGNING_KEY: must be an EC key/],
    ['a short secret', { SIGNING_KEY: 'x'.repeat(31), SIGNING_ALGORITHM: 'HS256' }, /^SIGNING_KEY: .*32 bytes/],
    ['a short secret as JWK', { SIGNING_KEY: secretJwk(31), SIGNING_ALGORITHM: 'HS256' }, /^SIGNING_KEY: .*32 bytes/],
    ['a broken PEM', { SIGNING_KEY: pemOf(p256.privateKey).slice(0, 90) }, /^SIGNING_KEY: must be a PEM/],
    ['a broken JWK', { SIGNING_KEY: '{"kty":"EC"', SIGNING_ALGORITHM: 'HS256' }, /^SIGNING_KEY: must be a PEM/],
    ['a passphrase', { SIGNING_KEY: String(encrypted) }, /^SIGNING_KEY: must be a PEM without a passphrase/],
    ['a public key alone', { SIGNING_KEY: publicPem }, /^SIGNING_KEY: the first key is a public one/],
    ['a key for another algorithm', { SIGNING_KEY: pemOf(rsa.privateKey) }, /^SIGNING_ALGORITHM is ES256.*RS256/],
    [
      'a public key as secret',
      { SIGNING_KEY: publicPem, SIGNING_ALGORITHM: 'HS256' },
      /^SIGNING_ALGORITHM is HS256.*ES256/,
    ],
    ['a missing file', { SIGNING_KEY_FILE: '/nowhere/key.pem' }, /^SIGNING_KEY_FILE: the file cannot be read/],
  ])('%s', (_what, variables, problem) => {
    const found = problemsOf(variables);
    expect(found).toMatch(problem);
    expect(found).not.toMatch(/xxxx|kty|BEGIN|nowhere/);
  });

  it('an empty file', () => {
    expect(problemsOf({ SIGNING_KEY_FILE: filesWith('') })).toMatch(/^SIGNING_KEY: /);
  });

  it('the second of two files that is no key', () => {
    const SIGNING_KEY_FILE = filesWith(pemOf(p256.privateKey), pemOf(weakRsa));
    expect(problemsOf({ SIGNING_KEY_FILE })).toMatch(/^SIGNING_KEY: .*2048 bits/);
  });

  it('the body of a public key among the others, which would be a secret that everybody knows', () => {
    const SIGNING_KEY_FILE = filesWith(pemOf(p256.privateKey), withoutFirstLine);
    expect(problemsOf({ SIGNING_KEY_FILE })).toMatch(/^SIGNING_KEY: .*must be a JWK/);
  });

  it('both the setting and a file', () => {
    const text = pemOf(p256.privateKey);
    expect(problemsOf({ SIGNING_KEY: text, SIGNING_KEY_FILE: filesWith(text) })).toMatch(/both set/);
  });
});

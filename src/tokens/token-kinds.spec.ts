import { describe, expect, it } from 'vitest';
import { accessClaims, codeClaims, enrollmentClaims, isTimely, tokenAlgorithms, tokenTypes } from './token-kinds.js';

const ID = '019aa8d2-8f02-7a51-b1c4-0d6a1e5b7c22';
const NOW = 1_800_000_000;

describe('the kinds of token', () => {
  it('have a type each; only an access token has a choice of algorithms, which its key makes', () => {
    expect(new Set(Object.values(tokenTypes)).size).toBe(3);
    expect(tokenAlgorithms).toEqual({ access: ['ES256', 'RS256', 'HS256'], code: ['HS256'], enrollment: ['HS256'] });
    // the generic type would let any other JSON Web Token in
    expect(Object.values(tokenTypes)).not.toContain('JWT');
  });
});

describe('times hold', () => {
  const lasting = { iat: NOW - 10, exp: NOW + 290 };
  const LEEWAY = 30;

  it.each<[string, { iat: number; exp: number; nbf?: number }, boolean]>([
    ['in between', lasting, true],
    ['in the last second', { iat: NOW - 300, exp: NOW + 1 }, true],
    ['at the last second of the leeway', { iat: NOW - 300, exp: NOW - 29 }, true],
    ['not when the leeway is over', { iat: NOW - 300, exp: NOW - 30 }, false],
    ['not long after', { iat: NOW - 900, exp: NOW - 600 }, false],
    ['when issued by a clock that is a little ahead', { iat: NOW + 30, exp: NOW + 330 }, true],
    ['not when issued in the future', { iat: NOW + 31, exp: NOW + 331 }, false],
    ['from when they say', { ...lasting, nbf: NOW }, true],
    ['from a leeway before that', { ...lasting, nbf: NOW + 30 }, true],
    ['not before', { ...lasting, nbf: NOW + 31 }, false],
  ])('%s', (_when, claims, timely) => {
    expect(isTimely(claims, NOW, LEEWAY)).toBe(timely);
  });

  it('to the second where there is no leeway', () => {
    expect(isTimely({ iat: NOW, exp: NOW + 1 }, NOW, 0)).toBe(true);
    expect(isTimely({ iat: NOW - 1, exp: NOW }, NOW, 0)).toBe(false);
    expect(isTimely({ iat: NOW + 1, exp: NOW + 9 }, NOW, 0)).toBe(false);
  });
});

describe('claims', () => {
  const access = {
    iss: 'https://id.example.com',
    aud: 'countersign',
    sub: ID,
    sid: ID,
    jti: ID,
    auth_time: NOW,
    amr: ['pwd', 'otp', 'mfa'],
    acr: 'aal2',
    roles: [],
    iat: NOW,
    exp: NOW + 300,
  };
  const small = { iss: 'https://id.example.com', sub: ID, jti: ID, iat: NOW, exp: NOW + 300 };

  it('of a whole token are read', () => {
    expect(accessClaims.parse(access)).toEqual(access);
    expect(codeClaims.parse(small)).toEqual(small);
    expect(enrollmentClaims.parse({ ...small, nbf: NOW })).toEqual({ ...small, nbf: NOW });
  });

  it.each(Object.keys(access))('of an access token include %s', (name) => {
    expect(accessClaims.safeParse({ ...access, [name]: undefined }).success).toBe(false);
    expect(accessClaims.safeParse({ ...access, [name]: null }).success).toBe(false);
    expect(accessClaims.safeParse({ ...access, [name]: { $gt: '' } }).success).toBe(false);
  });

  it.each(Object.keys(small))('of the other two include %s', (name) => {
    for (const schema of [codeClaims, enrollmentClaims]) {
      expect(schema.safeParse({ ...small, [name]: undefined }).success).toBe(false);
      expect(schema.safeParse({ ...small, [name]: [ID] }).success).toBe(false);
    }
  });

  it.each(['1e400', '-1', '1.5', '"1800000300"', 'true', '[]', '9007199254740993'])(
    'never hold the time %s',
    (number) => {
      for (const name of ['exp', 'iat', 'nbf']) {
        const claims = JSON.parse(
          JSON.stringify({ ...small, [name]: 0 }).replace(`"${name}":0`, `"${name}":${number}`),
        ) as unknown;
        expect(codeClaims.safeParse(claims).success, name).toBe(false);
      }
    },
  );
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { identityHeaders } from '../../src/gateway/identity-headers.js';

const FOLDER = join(import.meta.dirname, '../../docs/gateway');
const principal = { kind: 'access', userId: '', sessionId: '', roles: [], amr: [], acr: 'aal1', authTime: 0 } as const;
const names = (['x-auth', 'remote', 'x-auth-request'] as const).flatMap((style) =>
  Object.keys(identityHeaders(style, principal, null)),
);
/** Those that match names by their beginnings instead. */
const BY_PREFIX: Readonly<Record<string, readonly string[]>> = {
  Caddyfile: ['-x-auth-*', '-x_auth_*', '-x-user-*', '-x_user_*', '-remote-*', '-remote_*'],
  'kong.yml': ['^x%-auth%-', '^x%-user', '^remote%-', '[_.]'],
};

const recipes = readdirSync(FOLDER).filter((file) => file !== 'README.md');

describe.each(recipes)('docs/gateway/%s', (file) => {
  const text = readFileSync(join(FOLDER, file), 'utf8');

  it('takes every header away in which we tell who the user is, and the usual other names', () => {
    const expected = BY_PREFIX[file] ?? [
      ...names,
      'x-auth-identity-token',
      'x-user-id',
      'x-user-roles',
      'x-forwarded-user',
    ];
    expect(expected.filter((name) => !text.toLowerCase().includes(name))).toEqual([]);
  });

  it.runIf(/\.ya?ml$/.test(file))('is YAML', () => {
    expect(() => parse(text, { merge: true }) as unknown).not.toThrow();
  });
});

it('the README leads to each of them', () => {
  const readme = readFileSync(join(FOLDER, 'README.md'), 'utf8');
  expect(recipes.filter((file) => !readme.includes(`(${file})`))).toEqual([]);
});

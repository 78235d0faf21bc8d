import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigurationError, readSettings } from './env.js';

const PRIVATE_KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  .privateKey.export({ format: 'pem', type: 'pkcs8' })
  .toString();
const GOOGLE = { SOCIAL_GOOGLE_CLIENT_ID: 'client', SOCIAL_GOOGLE_CLIENT_SECRET: 'canary' };
const APPLE = {
  SOCIAL_APPLE_CLIENT_ID: 'client',
  SOCIAL_APPLE_TEAM_ID: 'team',
  SOCIAL_APPLE_KEY_ID: 'key',
  SOCIAL_APPLE_PRIVATE_KEY: PRIVATE_KEY,
};
const CORP = {
  OIDC_CORP_ISSUER: 'https://id.corp.example',
  OIDC_CORP_CLIENT_ID: 'client',
  OIDC_CORP_CLIENT_SECRET: 'canary',
};
const PRODUCTION = {
  NODE_ENV: 'production',
  PUBLIC_URL: 'https://id.example.com',
  SECRET_KEY: 'x9Kq2LmV7tRb4Zp8Ws6Yd1Hf5Nc0AgJe',
  SMTP_URL: 'smtps://mail.example.com',
};

/** What stops the boot, one line each; empty where nothing does. */
function problemsOf(variables: Record<string, string | undefined>): readonly string[] {
  try {
    readSettings(variables);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

describe('providers of identities', () => {
  it('there are none, unless they are configured', () => {
    expect(readSettings({}).social.providers).toEqual([]);
  });

  it('are those with a client id; a family of settings makes as many as it has names', () => {
    const { providers, openId } = readSettings({
      ...GOOGLE,
      ...APPLE,
      SOCIAL_FACEBOOK_CLIENT_ID: 'app',
      SOCIAL_FACEBOOK_CLIENT_SECRET: 'canary',
      ...CORP,
      OIDC_CORP_DISPLAY_NAME: 'Example Corp',
      OIDC_CORP_AUDIENCES: 'phone, tablet',
      OIDC_LAB2_ISSUER: 'https://id.example',
      OIDC_LAB2_CLIENT_ID: 'client',
      OIDC_LAB2_CLIENT_SECRET: 'canary',
      OIDC_LAB2_SCOPES: 'openid email',
    }).social;
    expect(providers).toEqual([
      { name: 'google', displayName: 'Google' },
      { name: 'facebook', displayName: 'Facebook' },
      { name: 'apple', displayName: 'Apple' },
      { name: 'corp', displayName: 'Example Corp' },
      { name: 'lab2', displayName: 'LAB2' },
    ]);
    expect(openId).toMatchObject([
      {
        name: 'corp',
        issuer: 'https://id.corp.example',
        audiences: ['phone', 'tablet'],
        scopes: 'openid email profile',
      },
      { name: 'lab2', issuer: 'https://id.example', audiences: [], scopes: 'openid email' },
    ]);
  });

  it('have their secrets in files too, also those of a family', () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-social-'));
    const file = join(folder, 'secret');
    writeFileSync(file, 'from a file\n'.replaceAll(' ', '-'));
    const { OIDC_CORP_CLIENT_SECRET: secret, ...rest } = CORP;
    const { openId } = readSettings({ ...rest, OIDC_CORP_CLIENT_SECRET_FILE: file }).social;
    expect(openId[0]?.clientSecret).toBe('from-a-file');
    expect(problemsOf({ ...rest, OIDC_CORP_CLIENT_SECRET: secret, OIDC_CORP_CLIENT_SECRET_FILE: file })).toEqual([
      'OIDC_CORP_CLIENT_SECRET and OIDC_CORP_CLIENT_SECRET_FILE are both set; keep one',
    ]);
    // Only secrets are read from files, so this names no provider at all.
    expect(readSettings({ OIDC_OTHER_ISSUER_FILE: file }).social.openId).toEqual([]);
    rmSync(folder, { recursive: true });
  });

  it.each<[missing: string, variables: Record<string, string>]>([
    ...Object.keys(GOOGLE).map((name) => [name, GOOGLE] as [string, Record<string, string>]),
    ...Object.keys(APPLE).map((name) => [name, APPLE] as [string, Record<string, string>]),
    ...Object.keys(CORP).map((name) => [name, CORP] as [string, Record<string, string>]),
  ])('stop the start without %s, when the rest is there', (missing, variables) => {
    expect(problemsOf(variables)).toEqual([]);
    expect(problemsOf({ ...variables, [missing]: undefined })).toEqual([
      `${missing} is required by the other settings of its provider`,
    ]);
  });

  it.each<[string, Record<string, string>]>([
    ['SOCIAL_FACEBOOK_CLIENT_SECRET is required', { SOCIAL_FACEBOOK_CLIENT_ID: 'app' }],
    ['SOCIAL_APPLE_CLIENT_SECRET is required', { SOCIAL_APPLE_CLIENT_ID: 'client' }],
    ['SOCIAL_APPLE_CLIENT_SECRET and SOCIAL_APPLE_PRIVATE_KEY', { ...APPLE, SOCIAL_APPLE_CLIENT_SECRET: 'canary' }],
    ['OIDC_CORP_SCOPES lacks openid', { ...CORP, OIDC_CORP_SCOPES: 'email profile' }],
    [
      'OIDC_GOOGLE_ISSUER: the name is taken',
      { OIDC_GOOGLE_ISSUER: 'https://a.example', OIDC_GOOGLE_CLIENT_ID: 'a', OIDC_GOOGLE_CLIENT_SECRET: 'canary' },
    ],
    ['OIDC_CORP_ISSUER: must be an http(s) URL', { ...CORP, OIDC_CORP_ISSUER: 'canary' }],
    ['SOCIAL_APPLE_PRIVATE_KEY: must be the private key', { ...APPLE, SOCIAL_APPLE_PRIVATE_KEY: 'canary' }],
  ])('%s…', (beginning, variables) => {
    const problems = problemsOf(variables);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.startsWith(beginning)).toBe(true);
    expect(problems[0]).not.toContain('canary');
  });

  it('are asked over https in production, or on this machine', () => {
    const settings = { ...PRODUCTION, ...CORP, ...GOOGLE };
    expect(problemsOf(settings)).toEqual([]);
    for (const name of [
      'OIDC_CORP_ISSUER',
      'SOCIAL_GOOGLE_ISSUER',
      'SOCIAL_GOOGLE_TOKENINFO_URL',
      'SOCIAL_APPLE_ISSUER',
      'SOCIAL_FACEBOOK_API_URL',
    ]) {
      const [problem = ''] = problemsOf({ ...settings, [name]: 'http://id.example' });
      expect(problem.startsWith(`${name} must be https in production`)).toBe(true);
      expect(problemsOf({ ...settings, [name]: 'http://127.0.0.1:9000' })).toEqual([]);
    }
  });
});

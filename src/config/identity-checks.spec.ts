import { describe, expect, it } from 'vitest';
import { ConfigurationError, readSettings } from './env.js';

function problemsOf(variables: Record<string, string>): string[] {
  try {
    readSettings(variables);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return [...error.problems];
    throw error;
  }
}

const DEFERRED = {
  DEFER_IDENTITY_UPDATE: 'on',
  REQUIRED_FIELDS: 'username',
  TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp',
};

describe('fields and modes of a registration that fit together', () => {
  it.each<[why: string, variables: Record<string, string>]>([
    ['the defaults', {}],
    ['only a username', { IDENTITY_FIELDS: 'username' }],
    ['own fields, one required', { PROFILE_FIELDS: 'company,costCenter', REQUIRED_FIELDS: 'email,company' }],
    ['a deferred identity', DEFERRED],
    ['only verified addresses', { SIGNUP_VERIFIED_ONLY: 'on', IDENTITY_FIELDS: 'phoneNumber' }],
    ['nothing optional', { REQUIRED_FIELDS: 'email,password', OPTIONAL_FIELDS: 'email' }],
  ])('%s', (_why, variables) => {
    expect(problemsOf(variables)).toEqual([]);
  });
});

describe('fields and modes that contradict each other stop the boot, naming the setting', () => {
  it.each<[named: string, variables: Record<string, string>]>([
    [
      'IDENTITY_FIELDS',
      {
        IDENTITY_FIELDS: '',
        REQUIRED_FIELDS: 'firstName',
        OPTIONAL_FIELDS: 'lastName',
        TWO_FACTOR_FALLBACK_METHOD: 'none',
      },
    ],
    ['IDENTITY_FIELDS', { IDENTITY_FIELDS: 'nickname' }],
    ['REQUIRED_FIELDS', { REQUIRED_FIELDS: 'company' }],
    ['REQUIRED_FIELDS', { REQUIRED_FIELDS: 'E-mail' }],
    ['OPTIONAL_FIELDS', { OPTIONAL_FIELDS: 'email,nickname' }],
    ['PROFILE_FIELDS', { PROFILE_FIELDS: 'email' }],
    ['PROFILE_FIELDS', { PROFILE_FIELDS: 'constructor' }],
    ['PROFILE_FIELDS', { PROFILE_FIELDS: 'a,a' }],
    ['PROFILE_FIELDS', { PROFILE_FIELDS: Array.from({ length: 21 }, (_, index) => `field${index}`).join() }],
    ['TWO_FACTOR_FALLBACK_METHOD', { OPTIONAL_FIELDS: 'username,password' }],
    ['BOOTSTRAP_ADMIN_EMAIL', { BOOTSTRAP_ADMIN_EMAIL: 'a@example.com', IDENTITY_FIELDS: 'username' }],
    ['OTP_AUTO_CREATE_ACCOUNT', { OTP_AUTO_CREATE_ACCOUNT: 'on', OTP_SEND_UNAUTHORIZED_USER: 'off' }],
    ['OTP_AUTO_CREATE_ACCOUNT', { OTP_AUTO_CREATE_ACCOUNT: 'on', SIGNUP_VERIFIED_ONLY: 'on' }],
    ['OTP_AUTO_CREATE_ACCOUNT', { OTP_AUTO_CREATE_ACCOUNT: 'on', ...DEFERRED }],
    ['DEFER_IDENTITY_UPDATE', { ...DEFERRED, SIGNUP_VERIFIED_ONLY: 'on' }],
    ['DEFER_IDENTITY_UPDATE', { ...DEFERRED, REQUIRED_FIELDS: 'email' }],
    ['DEFER_IDENTITY_UPDATE', { ...DEFERRED, IDENTITY_FIELDS: 'email' }],
    ['DEFER_IDENTITY_UPDATE', { ...DEFERRED, OTP_IDENTITY_UPDATE_FIELD: 'off' }],
    ['DEFER_IDENTITY_UPDATE', { ...DEFERRED, TWO_FACTOR_TRUSTED_METHODS: 'email,totp' }],
    ['SIGNUP_VERIFIED_ONLY', { SIGNUP_VERIFIED_ONLY: 'on', IDENTITY_FIELDS: 'username' }],
    ['SIGNUP_VERIFIED_ONLY', { SIGNUP_VERIFIED_ONLY: 'on', REQUIRED_FIELDS: 'email,phoneNumber' }],
  ])('%s', (named, variables) => {
    const problems = problemsOf(variables);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${named}\\b`));
  });
});

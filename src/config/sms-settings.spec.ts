import { describe, expect, it } from 'vitest';
import { completeConfig } from './config.js';
import { type ConfigurationError, readSettings } from './env.js';

const production = {
  NODE_ENV: 'production',
  PUBLIC_URL: 'https://id.example.com',
  SECRET_KEY: 'k3Jx9-vQ7tLm2Rb8Zp4Ws6Yd1Hf5Nc0Ag',
  SMTP_URL: 'smtps://mail.example.com',
};
const account = { TWILIO_ACCOUNT_SID: `AC${'1'.repeat(32)}`, TWILIO_AUTH_TOKEN: 'canary-of-a-token' };
const messages = { ...account, SMS_DRIVER: 'twilio-messages', TWILIO_FROM: '+15005550006' };
const verify = { ...account, SMS_DRIVER: 'twilio-verify', TWILIO_VERIFY_SERVICE_SID: `VA${'2'.repeat(32)}` };

function smsOf(variables: Record<string, string>) {
  return completeConfig(readSettings(variables), { databaseUrl: '', secretKey: '' }).sms;
}

function problemsOf(variables: Record<string, string>): readonly string[] {
  try {
    readSettings(variables);
    return [];
  } catch (error) {
    return (error as ConfigurationError).problems;
  }
}

describe('who sends text messages', () => {
  it.each([
    ['the outbox in development', {}, 'outbox'],
    ['nobody in production', production, null],
    ['Twilio where it is named', messages, 'twilio-messages'],
    ['Twilio in production', { ...production, ...verify }, 'twilio-verify'],
    ['the outbox where it is named', { ...messages, SMS_DRIVER: 'outbox' }, 'outbox'],
  ])('%s', (_what, variables, driver) => {
    expect(smsOf(variables).driver).toBe(driver);
  });
});

describe('settings that fit together', () => {
  it.each([
    ['a messaging service', { ...messages, TWILIO_FROM: `MG${'3'.repeat(32)}` }],
    ['a name as the sender', { ...messages, TWILIO_FROM: 'Countersign' }],
    ['a server on this machine', { ...production, ...messages, TWILIO_API_BASE_URL: 'http://127.0.0.1:4010' }],
    ['a proxy', { ...production, ...messages, TWILIO_API_BASE_URL: 'https://proxy.example.com/twilio/' }],
    ['text messages as the fallback', { ...messages, TWO_FACTOR_FALLBACK_METHOD: 'sms' }],
    ['the outbox as the fallback', { TWO_FACTOR_FALLBACK_METHOD: 'sms' }],
    ['some countries', { SMS_COUNTRIES: 'DE, AT,CH' }],
  ])('%s', (_what, variables) => {
    expect(problemsOf(variables)).toEqual([]);
  });
});

describe('settings that do not', () => {
  it.each<[string, Record<string, string>, string[]]>([
    [
      'a driver without anything it needs',
      { SMS_DRIVER: 'twilio-verify' },
      ['TWILIO_ACCOUNT_SID', 'TWILIO_AUTH_TOKEN', 'TWILIO_VERIFY_SERVICE_SID'],
    ],
    ['a driver without its sender', { ...account, SMS_DRIVER: 'twilio-messages' }, ['TWILIO_FROM']],
    ['credentials that nobody uses', account, ['TWILIO_ACCOUNT_SID']],
    ['the outbox in production', { ...production, SMS_DRIVER: 'outbox' }, ['SMS_DRIVER']],
    [
      'credentials on an open wire',
      { ...production, ...messages, TWILIO_API_BASE_URL: 'http://proxy.example.com' },
      ['TWILIO_API_BASE_URL'],
    ],
    [
      'credentials to a host that only looks like this machine',
      { ...production, ...messages, TWILIO_API_BASE_URL: 'http://127.0.0.1.example.com' },
      ['TWILIO_API_BASE_URL'],
    ],
    [
      'a fallback that nobody sends',
      { ...production, TWO_FACTOR_FALLBACK_METHOD: 'sms' },
      ['TWO_FACTOR_FALLBACK_METHOD'],
    ],
    [
      'a second factor that nobody sends',
      { ...production, TWO_FACTOR_TRUSTED_METHODS: 'sms', TWO_FACTOR_FALLBACK_METHOD: 'none' },
      ['TWO_FACTOR_TRUSTED_METHODS'],
    ],
    ['an account that is none', { ...messages, TWILIO_ACCOUNT_SID: 'SK123' }, ['TWILIO_ACCOUNT_SID']],
    ['a sender that is too long', { ...messages, TWILIO_FROM: 'Countersign Inc' }, ['TWILIO_FROM']],
    ['countries by name', { SMS_COUNTRIES: 'Germany' }, ['SMS_COUNTRIES']],
    ['a code that is too short', { SMS_CODE_LENGTH: '5' }, ['SMS_CODE_LENGTH']],
  ])('%s', (_what, variables, names) => {
    const problems = problemsOf(variables);
    expect(problems.map((problem) => /^\w+/.exec(problem)?.[0])).toEqual(names);
    expect(problems.join()).not.toContain(account.TWILIO_AUTH_TOKEN);
  });
});

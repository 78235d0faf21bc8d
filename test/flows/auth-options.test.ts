import { describe, expect, it } from 'vitest';
import { startApp } from '../support/app.js';

/** The answer of a service that is configured like this, and how long others may keep it. */
async function optionsOf(variables: Record<string, string>) {
  const app = await startApp(variables);
  try {
    const { status, headers, body } = await app.http.get('/auth/options');
    expect([status, headers['cache-control']]).toEqual([200, 'public, max-age=60']);
    return body;
  } finally {
    await app.close();
  }
}

describe('what a frontend is told', () => {
  it('of a service as it comes', async () => {
    expect(await optionsOf({})).toEqual({
      signUp: { mode: 'immediate', invitations: true },
      identityFields: ['email', 'phoneNumber', 'username'],
      requiredFields: [],
      optionalFields: ['email', 'phoneNumber', 'username', 'password', 'firstName', 'lastName'],
      profileFields: [],
      password: { minLength: 8, maxLength: 128 },
      waysIn: ['password', 'code', 'magicLink'],
      codeChannels: ['email', 'sms'],
      methods: ['email', 'sms', 'totp'],
      providers: [],
      trustedBrowser: false,
      cookies: false,
    });
  });

  it('of one that is configured otherwise, and nothing that is secret there', async () => {
    const told = await optionsOf({
      NODE_ENV: 'production',
      PUBLIC_URL: 'https://id.example.test',
      SMTP_URL: 'smtp://127.0.0.1:1',
      SIGNUP_VERIFIED_ONLY: 'on',
      INVITE_ALLOWED: 'off',
      IDENTITY_FIELDS: 'email',
      REQUIRED_FIELDS: 'email,company',
      OPTIONAL_FIELDS: 'password',
      PROFILE_FIELDS: 'company',
      PASSWORD_MIN_LENGTH: '15',
      OTP_SEND_UNAUTHORIZED_USER: 'off',
      TWO_FACTOR_TRUSTED_METHODS: 'none,sms,totp',
      SOCIAL_GOOGLE_CLIENT_ID: 'our-id',
      SOCIAL_GOOGLE_CLIENT_SECRET: 'our-secret',
      OIDC_CORP_ISSUER: 'https://login.corp.example',
      OIDC_CORP_CLIENT_ID: 'our-other-id',
      OIDC_CORP_CLIENT_SECRET: 'our-other-secret',
      OIDC_CORP_DISPLAY_NAME: 'Corp & Co.',
      TRUSTED_BROWSER_TTL: '30d',
      AUTH_COOKIES: 'on',
      IDENTITY_RULES: 'deny email *@competitor.example',
    });
    expect(told).toEqual({
      signUp: { mode: 'verified', invitations: false },
      identityFields: ['email'],
      requiredFields: ['email', 'company'],
      optionalFields: ['password'],
      profileFields: ['company'],
      password: { minLength: 15, maxLength: 128 },
      waysIn: ['password', 'social'],
      codeChannels: ['email'],
      methods: ['totp'],
      providers: [
        { name: 'google', displayName: 'Google' },
        { name: 'corp', displayName: 'Corp & Co.' },
      ],
      trustedBrowser: true,
      cookies: true,
    });
  });
});

import type { LocaleTexts } from '../../messages.js';

export const subjects: LocaleTexts['subjects'] = {
  'sign-in-code': ({ code }) => `${code}: Your verification code`,
  'device-code': ({ code }) => `${code}: Your verification code`,
  'account-exists': () => 'You already have an account',
  'wrong-codes': () => 'Wrong codes were entered for your account',
  'wrong-passwords': () => 'Wrong passwords were entered for your account',
  'device-added': () => 'A new second factor was added to your account',
  'device-removed': () => 'A second factor was removed from your account',
  'device-disabled': () => 'A second factor of your account was closed',
  'password-changed': () => 'Your password was changed',
  'first-factor-code': ({ code }) => `${code}: Your verification code`,
  'magic-link': (_, brand) => `Your sign-in link for ${brand}`,
  'password-reset': () => 'Choose a new password',
  'recovery-codes-created': () => 'New recovery codes were made',
  'recovery-code-used': () => 'A recovery code was used',
  'factor-changed': () => 'The settings of your second factor were changed',
  'refresh-token-reused': () => 'One of your sessions was ended',
  'browser-trusted': () => 'A browser was marked as trusted',
  'address-changed': () => 'An address of your account was changed',
  'two-factor-reset': () => 'Your second factor was reset',
  'identity-connected': () => 'A way to sign in was added to your account',
  'identity-disconnected': () => 'A way to sign in was removed from your account',
  'account-deactivated': () => 'Your account was deactivated',
  'account-deleted': () => 'Your account was deleted',
  invitation: (_, brand) => `You are invited to ${brand}`,
  'invitation-accepted': () => 'Your invitation was accepted',
};

export const deviceTypes: LocaleTexts['deviceTypes'] = {
  email: 'e-mail address',
  sms: 'phone number',
  totp: 'authenticator app',
  recovery_codes: 'set of recovery codes',
};

import { describe, expect, it } from 'vitest';
import { acrOf, amrOf, provedAgain, takenBack, type Acr } from './assurance.js';

/** The default of TWO_FACTOR_AAL2_METHODS: e-mail does not count (NIST SP 800-63B-4 §3.1.3.1). */
const DEFAULT: readonly string[] = ['totp', 'sms', 'recovery_codes'];
const WITH_EMAIL: readonly string[] = [...DEFAULT, 'email'];

describe('acr: the assurance of what was proved', () => {
  it.each<[proved: string[], counted: readonly string[], acr: Acr, why: string]>([
    [[], DEFAULT, 'aal1', 'nothing'],
    [['password'], DEFAULT, 'aal1', 'one factor'],
    [['totp'], DEFAULT, 'aal1', 'one factor, although it counts as a second one'],
    [['password', 'totp'], DEFAULT, 'aal2', 'two factors'],
    [['password', 'sms'], DEFAULT, 'aal2', 'two factors'],
    [['password', 'recovery_codes'], DEFAULT, 'aal2', 'two factors'],
    [['password', 'email'], DEFAULT, 'aal1', 'e-mail does not count'],
    [['password', 'email'], WITH_EMAIL, 'aal2', 'unless the operator says so'],
    [['password', 'email', 'totp'], DEFAULT, 'aal2', 'e-mail opened the enrollment, the app completed it'],
    [['password', 'totp', 'email'], DEFAULT, 'aal2', 'a weak proof takes nothing away'],
    [['password', 'password'], DEFAULT, 'aal1', 'the same factor twice'],
    [['totp', 'totp'], DEFAULT, 'aal1', 'the same factor twice'],
    [['email', 'email'], WITH_EMAIL, 'aal1', 'the same factor twice'],
    [['email', 'totp'], DEFAULT, 'aal2', 'a code instead of a password, and an app'],
    [['social'], DEFAULT, 'aal1', 'what a provider asked for is not known'],
    [['social', 'totp'], DEFAULT, 'aal2', 'a provider’s word, and an app'],
    [['social', 'email'], DEFAULT, 'aal1', 'e-mail does not count'],
    [['totp', 'password'], DEFAULT, 'aal1', 'the later one must be a second-factor method'],
    [['password', 'totp'], [], 'aal1', 'the operator counts nothing'],
  ])('%j with %j counted → %s: %s', (proved, counted, acr) => {
    expect(acrOf(proved, counted)).toBe(acr);
  });
});

describe('what a session has proved after another proof', () => {
  it.each<[before: string[], proof: string, counted: readonly string[], after: string[], why: string]>([
    [['password', 'email'], 'totp', DEFAULT, ['password', 'email', 'totp'], 'a better one is added'],
    [['password', 'totp'], 'totp', DEFAULT, ['password', 'totp'], 'the same one again'],
    [['password', 'totp'], 'sms', DEFAULT, ['password', 'totp', 'sms'], 'another one that counts'],
    [['password', 'totp'], 'email', DEFAULT, ['password', 'email'], 'a lesser one does not make it recent'],
    [['password', 'email', 'totp'], 'email', DEFAULT, ['password', 'email'], 'nor one that was proved before'],
    [['password', 'totp'], 'password', DEFAULT, ['password'], 'nor the password, where the app is gone'],
    [['sms', 'totp'], 'email', DEFAULT, ['sms', 'email'], 'the first factor stays, whatever it is'],
    [['sms', 'totp'], 'sms', DEFAULT, ['sms'], 'nor the first factor, once more'],
    [['password_by_sms', 'totp'], 'sms', DEFAULT, ['password_by_sms', 'sms'], 'nor the phone that chose the password'],
    [['sms', 'email'], 'sms', DEFAULT, ['sms'], 'nor may what it was stepped up by look recent'],
    [
      ['password', 'totp'],
      'email',
      WITH_EMAIL,
      ['password', 'totp', 'email'],
      'where e-mail counts it is no lesser one',
    ],
  ])('%j and %s, counting %j: %j (%s)', (before, proof, counted, after) => {
    expect(provedAgain(before, proof, counted)).toEqual(after);
  });
});

describe('the second factor that another proof takes back', () => {
  it.each<[before: string[], after: string[], earlier: string | null]>([
    [['email', 'totp'], ['email'], 'totp'],
    [['password', 'totp'], ['password', 'email'], 'totp'],
    [['password', 'email', 'totp'], ['password', 'email'], 'totp'],
    [['password', 'totp'], ['password', 'totp'], null],
    [['password'], ['password', 'email'], null],
  ])('of %j, by what makes it %j: %s', (before, after, earlier) => {
    expect(takenBack(before, after)).toBe(earlier);
  });
});

describe('amr: the references of what was proved (RFC 8176)', () => {
  it.each<[references: string[], acr: Acr, amr: string[]]>([
    [['pwd'], 'aal1', ['pwd']],
    [['pwd', 'email'], 'aal1', ['pwd', 'email']],
    [['pwd', 'otp'], 'aal2', ['pwd', 'otp', 'mfa']],
    [['pwd', 'email', 'otp'], 'aal2', ['pwd', 'email', 'otp', 'mfa']],
    [['pwd', 'otp', 'otp'], 'aal2', ['pwd', 'otp', 'mfa']],
    [[], 'aal1', []],
  ])('%j at %s → %j', (references, acr, amr) => {
    expect(amrOf(references, acr)).toEqual(amr);
  });
});

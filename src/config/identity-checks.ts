import type { Settings } from './config.js';

/** Fields that a registration knows without the operator's help. */
const FIELDS = ['email', 'phoneNumber', 'username', 'password', 'firstName', 'lastName'];
const MAX_PROFILE_FIELDS = 20;

/** The same for the fields and the modes of a registration. */
export function identityContradictions({ accounts, twoFactor }: Settings): string[] {
  const { identityFields, requiredFields, optionalFields, profileFields } = accounts;
  const found: string[] = [];
  const known = new Set([...FIELDS, ...profileFields]);
  const named = new Set([...requiredFields, ...optionalFields]);
  if (requiredFields.some((field) => !known.has(field))) {
    found.push('REQUIRED_FIELDS names a field that there is not; name your own in PROFILE_FIELDS');
  }
  if (optionalFields.some((field) => !FIELDS.includes(field))) {
    found.push('OPTIONAL_FIELDS names a field that there is not; those of PROFILE_FIELDS are optional by themselves');
  }
  if (!identityFields.some((field) => named.has(field))) {
    found.push('IDENTITY_FIELDS: at least one of them must be in REQUIRED_FIELDS or OPTIONAL_FIELDS');
  }
  if (profileFields.length > MAX_PROFILE_FIELDS || new Set(profileFields).size < profileFields.length) {
    found.push(`PROFILE_FIELDS: at most ${MAX_PROFILE_FIELDS} different names`);
  }
  if (profileFields.some((field) => FIELDS.includes(field) || field in Object.prototype)) {
    found.push('PROFILE_FIELDS names a field that every user or every object has already; choose another name');
  }
  const { fallbackMethod } = twoFactor;
  if (fallbackMethod !== 'none' && !named.has(fallbackMethod === 'email' ? 'email' : 'phoneNumber')) {
    found.push('TWO_FACTOR_FALLBACK_METHOD asks at an address that no registration may give; set it to none');
  }
  if (accounts.bootstrapAdminEmail !== null && !identityFields.includes('email')) {
    found.push('BOOTSTRAP_ADMIN_EMAIL makes an account that nobody can sign in to; add email to IDENTITY_FIELDS');
  }
  if (accounts.otpAutoCreateAccount && !accounts.codesForStrangers) {
    found.push('OTP_AUTO_CREATE_ACCOUNT needs OTP_SEND_UNAUTHORIZED_USER: who has no account yet cannot be signed in');
  }
  return [...found, ...modeContradictions(accounts, twoFactor)];
}

function modeContradictions(accounts: Settings['accounts'], twoFactor: Settings['twoFactor']): string[] {
  const { identityFields, requiredFields, deferIdentity, verifiedOnly, identityUpdate } = accounts;
  const found: string[] = [];
  if (accounts.otpAutoCreateAccount && (deferIdentity || verifiedOnly)) {
    found.push(
      'OTP_AUTO_CREATE_ACCOUNT makes accounts of addresses before they are proved; switch it off, or DEFER_IDENTITY_UPDATE and SIGNUP_VERIFIED_ONLY',
    );
  }
  if (deferIdentity && verifiedOnly) {
    found.push('DEFER_IDENTITY_UPDATE and SIGNUP_VERIFIED_ONLY are two ways to the same; keep one');
  }
  if (deferIdentity && !(identityFields.includes('username') && requiredFields.includes('username'))) {
    found.push(
      'DEFER_IDENTITY_UPDATE needs username in IDENTITY_FIELDS and in REQUIRED_FIELDS: nothing else identifies a user meanwhile',
    );
  }
  if (deferIdentity && !identityUpdate) {
    found.push('DEFER_IDENTITY_UPDATE needs OTP_IDENTITY_UPDATE_FIELD: nobody would ever get his address');
  }
  if (deferIdentity && !twoFactor.trustedMethods.includes('none')) {
    found.push(
      'DEFER_IDENTITY_UPDATE needs none in TWO_FACTOR_TRUSTED_METHODS: a new user has no address to be asked at, and could not sign in to confirm one; demand a second factor by rules',
    );
  }
  if (verifiedOnly && !identityFields.some((field) => field !== 'username')) {
    found.push('SIGNUP_VERIFIED_ONLY needs email or phoneNumber in IDENTITY_FIELDS: there is nothing else to verify');
  }
  if (verifiedOnly && ['email', 'phoneNumber'].every((field) => requiredFields.includes(field))) {
    found.push('SIGNUP_VERIFIED_ONLY proves one address; take email or phoneNumber out of REQUIRED_FIELDS');
  }
  return found;
}

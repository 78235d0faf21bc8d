import { z } from 'zod';
import { flag, freeList, integer, listOf, text } from '../values.js';

const FIELDS = 'email, phoneNumber, username, password, firstName, lastName';
const FIELD_NAME = /^[a-z][A-Za-z0-9]{0,31}$/;
const fieldName = z
  .string()
  .regex(FIELD_NAME, 'must be names of up to 32 letters and digits, beginning with a small one');

export const accounts = {
  title: 'Accounts and passwords',
  schema: z
    .object({
      BOOTSTRAP_ADMIN_EMAIL: text({
        allowed: 'an e-mail address',
        check: z.email('must be an e-mail address'),
      }).describe(
        'The first administrator: while there is none, a starting service makes his account and prints, once, a link to choose a password. An account that has the address already is not promoted: anybody could have registered it.',
      ),
      SIGNUP_ALLOWED: flag({ default: 'on' }).describe('Whether strangers may register.'),
      OTP_AUTO_CREATE_ACCOUNT: flag({ default: 'off' }).describe(
        'Whether asking for a one-time code creates the account of an unknown e-mail address or phone number: without a password, and unverified until the code comes back. Only where SIGNUP_ALLOWED is on.',
      ),
      REVEAL_EXISTING_ACCOUNTS: flag({ default: 'off' }).describe(
        '`on` answers 409 when a registration names a taken address; `off` answers as if it were new and tells the owner by mail.',
      ),
      IDENTITY_FIELDS: listOf({
        default: 'email,phoneNumber,username',
        of: ['email', 'phoneNumber', 'username'],
      }).describe(
        'What identifies a user: it is unique, and he signs in with it. Other addresses are contact data, which several users may share. It is decided for each address when it is stored.',
      ),
      REQUIRED_FIELDS: freeList({ allowed: `names out of ${FIELDS} and PROFILE_FIELDS`, each: fieldName }).describe(
        'Fields that a registration must give. One field that identifies is always needed.',
      ),
      OPTIONAL_FIELDS: freeList({
        default: FIELDS.replaceAll(' ', ''),
        allowed: `names out of ${FIELDS}`,
        each: fieldName,
      }).describe('Fields that a registration may give; one that is neither required nor optional is refused.'),
      PROFILE_FIELDS: freeList({
        allowed: 'up to 20 names of letters and digits, beginning with a small letter',
        each: fieldName,
      }).describe('Further text fields of yours in the profile of a user, such as `company`.'),
      AUTO_SEND_IDENTITY_VERIFICATION_OTP: flag({ default: 'off' }).describe(
        'Whether a registration sends a code to the new address at once, which proves it.',
      ),
      DEFER_IDENTITY_UPDATE: flag({ default: 'off' }).describe(
        'Whether an address stays off the new user until he confirms a device with it. Several may claim one; the first who proves it gets it. A username identifies him meanwhile.',
      ),
      SIGNUP_VERIFIED_ONLY: flag({ default: 'off' }).describe(
        'Whether an account is made only once a code that was sent to its address came back.',
      ),
      OTP_SEND_UNAUTHORIZED_USER: flag({ default: 'on' }).describe(
        'Whether whoever is not signed in may ask for a one-time code or a magic link by identifier; `off`: only the user himself, with his access token.',
      ),
      OTP_IDENTITY_UPDATE_FIELD: flag({ default: 'on' }).describe(
        'Whether a confirmed device gives its address to a user who has none, and lets him change his own to it.',
      ),
      PASSWORD_MIN_LENGTH: integer({ default: 8, min: 8, max: 64 }).describe(
        'Code points of a new password, at least. 15 or more is advised where no second factor is asked (NIST SP 800-63B-4 §3.1.1.2).',
      ),
      ARGON2_MEMORY_KIB: integer({ default: 19_456, min: 7_168, max: 1_048_576 }).describe(
        'Memory of one argon2id hash (RFC 9106). The weakest settings allowed are the rows of OWASP’s password storage cheat sheet.',
      ),
      ARGON2_ITERATIONS: integer({ default: 2, min: 1, max: 10 }).describe('Passes of one argon2id hash.'),
      ARGON2_PARALLELISM: integer({ default: 1, min: 1, max: 4 }).describe('Lanes of one argon2id hash.'),
    })
    .transform((env) => ({
      bootstrapAdminEmail: env.BOOTSTRAP_ADMIN_EMAIL,
      signupAllowed: env.SIGNUP_ALLOWED,
      otpAutoCreateAccount: env.OTP_AUTO_CREATE_ACCOUNT,
      revealExisting: env.REVEAL_EXISTING_ACCOUNTS,
      identityFields: env.IDENTITY_FIELDS,
      requiredFields: env.REQUIRED_FIELDS,
      optionalFields: env.OPTIONAL_FIELDS,
      profileFields: env.PROFILE_FIELDS,
      autoSendCode: env.AUTO_SEND_IDENTITY_VERIFICATION_OTP,
      deferIdentity: env.DEFER_IDENTITY_UPDATE,
      verifiedOnly: env.SIGNUP_VERIFIED_ONLY,
      codesForStrangers: env.OTP_SEND_UNAUTHORIZED_USER,
      identityUpdate: env.OTP_IDENTITY_UPDATE_FIELD,
      passwordMinLength: env.PASSWORD_MIN_LENGTH,
      argon2: {
        memoryKib: env.ARGON2_MEMORY_KIB,
        iterations: env.ARGON2_ITERATIONS,
        parallelism: env.ARGON2_PARALLELISM,
      },
    })),
} as const;

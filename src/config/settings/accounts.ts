import { z } from 'zod';
import { flag, integer, text } from '../values.js';

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
      passwordMinLength: env.PASSWORD_MIN_LENGTH,
      argon2: {
        memoryKib: env.ARGON2_MEMORY_KIB,
        iterations: env.ARGON2_ITERATIONS,
        parallelism: env.ARGON2_PARALLELISM,
      },
    })),
} as const;

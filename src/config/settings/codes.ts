import { z } from 'zod';
import { duration, durationOrOff, integer, integerOrOff, textWithDefault } from '../values.js';

export const codes = {
  title: 'Codes',
  schema: z
    .object({
      EMAIL_CODE_LENGTH: integer({ default: 7, min: 6, max: 10 }).describe(
        'Characters of an e-mailed code (NIST SP 800-63B-4 §3.1.3.2 asks for 6 or more).',
      ),
      SMS_CODE_LENGTH: integer({ default: 6, min: 6, max: 10 }).describe(
        'Characters of a code in a text message, which people type from one device into another. `twilio-verify` makes its own codes.',
      ),
      CODE_CHARACTERS: textWithDefault({
        default: '0123456789',
        allowed: '10–64 different letters and digits',
        check: z
          .string()
          .regex(/^[0-9A-Za-z]{10,64}$/, 'must be 10 to 64 letters and digits')
          .refine((value) => new Set(value).size === value.length, 'names a character twice'),
      }).describe('The characters of a sent code.'),
      CODE_TTL: duration({ default: '5m', min: '30s', max: '10m' }).describe(
        'How long a code and its code token live, counted from creation (OWASP ASVS 5.0 6.5.5).',
      ),
      CODE_RESEND_COOLDOWN: durationOrOff({ default: '60s', min: '1s', max: '10m' }).describe(
        'The least time between two messages to one destination, whatever their purpose.',
      ),
      CODE_TOKEN_MAX_ATTEMPTS: integerOrOff({ default: 5, min: 3, max: 10 }).describe(
        'Guesses of one code token, counted before the code is looked at.',
      ),
      CODE_TOKEN_RETRY_WAIT: durationOrOff({ default: '2s', min: '0s', max: '10s' }).describe(
        'The least time between two guesses of one code token; a quicker one is refused without being counted.',
      ),
      CODE_TOKEN_MAX_ACTIVE: integerOrOff({ default: 3, min: 1, max: 10 }).describe(
        'Unfinished, unexpired code tokens of one user.',
      ),
    })
    .transform((env) => ({
      emailLength: env.EMAIL_CODE_LENGTH,
      smsLength: env.SMS_CODE_LENGTH,
      characters: env.CODE_CHARACTERS,
      ttlSeconds: env.CODE_TTL,
      resendCooldownSeconds: env.CODE_RESEND_COOLDOWN ?? 0,
      maxAttempts: env.CODE_TOKEN_MAX_ATTEMPTS,
      retryWaitSeconds: env.CODE_TOKEN_RETRY_WAIT ?? 0,
      maxActive: env.CODE_TOKEN_MAX_ACTIVE,
    })),
} as const;

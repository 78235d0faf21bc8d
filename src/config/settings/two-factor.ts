import { z } from 'zod';
import { choice, duration, durationOrOff, integer, listOf, textWithDefault } from '../values.js';

export const twoFactor = {
  title: 'Two-factor policy',
  schema: z
    .object({
      TWO_FACTOR_TRUSTED_METHODS: listOf({
        default: 'email,sms,totp',
        of: ['none', 'email', 'sms', 'totp'],
      }).describe(
        'Methods accepted as a complete second factor. `none` makes the second factor optional. A method that is only the fallback leads to an enrollment token.',
      ),
      TWO_FACTOR_FALLBACK_METHOD: choice({ default: 'email', of: ['email', 'sms', 'none'] }).describe(
        'What is asked while a user has no device of a trusted method.',
      ),
      TWO_FACTOR_AAL2_METHODS: listOf({
        default: 'totp,sms,recovery_codes',
        of: ['totp', 'sms', 'recovery_codes', 'email'],
      }).describe(
        'Second factors that lift a session to `acr: aal2`. NIST SP 800-63B-4 §3.1.3.1 bars e-mail from it, so it counts only where it is added here.',
      ),
      STEP_UP_MAX_AGE: duration({ default: '5m', min: '1m', max: '15m' }).describe(
        'How recent the last proof of a factor must be for a change of security settings (RFC 9470, OWASP ASVS 5.0 7.5.1).',
      ),
      TOTP_ISSUER: textWithDefault({
        default: 'Countersign',
        allowed: '1–64 characters without a colon',
        check: z.string().regex(/^[^:\r\n]{1,64}$/, 'must be 1 to 64 characters without a colon'),
      }).describe('The name that authenticator apps show.'),
      TOTP_WINDOW: integer({ default: 1, min: 0, max: 1 }).describe(
        'Time steps before and after the present one that are accepted (RFC 6238 §5.2).',
      ),
      TRUSTED_BROWSER_TTL: durationOrOff({ default: 'off', min: '1h', max: '90d' }).describe(
        'For how long a browser may be remembered after a second factor, so that the password is enough there. Sessions from it are `acr: aal1`.',
      ),
      RECOVERY_CODE_COUNT: integer({ default: 10, min: 8, max: 16 }).describe(
        'Recovery codes of one sheet (OWASP ASVS 5.0 6.5.2).',
      ),
      ENROLLMENT_TOKEN_TTL: duration({ default: '15m', min: '1m', max: '15m' }).describe(
        'How long an enrollment token lives; it dies at the first confirmed device.',
      ),
      PENDING_DEVICE_TTL: duration({ default: '15m', min: '1m', max: '1h' }).describe(
        'How long a created device waits for its confirmation.',
      ),
    })
    .transform((env) => ({
      trustedMethods: env.TWO_FACTOR_TRUSTED_METHODS,
      fallbackMethod: env.TWO_FACTOR_FALLBACK_METHOD,
      aal2Methods: env.TWO_FACTOR_AAL2_METHODS,
      stepUpMaxAgeSeconds: env.STEP_UP_MAX_AGE,
      totpIssuer: env.TOTP_ISSUER,
      totpWindow: env.TOTP_WINDOW,
      trustedBrowserTtlSeconds: env.TRUSTED_BROWSER_TTL,
      recoveryCodeCount: env.RECOVERY_CODE_COUNT,
      enrollmentTokenTtlSeconds: env.ENROLLMENT_TOKEN_TTL,
      pendingDeviceTtlSeconds: env.PENDING_DEVICE_TTL,
    })),
} as const;

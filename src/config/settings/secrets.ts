import { z } from 'zod';
import { text } from '../values.js';

const keyRing = z
  .string()
  .refine(
    (value) => value.split(',').every((pair) => /^[\w-]{1,16}:[A-Za-z0-9+/]{43}=$/.test(pair.trim())),
    'must be id:key pairs, a key being 32 bytes in base64 (openssl rand -base64 32)',
  )
  .refine((value) => {
    const ids = value.split(',').map((pair) => pair.trim().split(':')[0]);
    return new Set(ids).size === ids.length;
  }, 'must give every key an id of its own');

export const secrets = {
  title: 'Secrets',
  schema: z
    .object({
      SECRET_KEY: text({
        allowed: '≥ 32 characters',
        secret: true,
        check: z.string().min(32, 'must be at least 32 characters, such as the output of: openssl rand -base64 48'),
      }).describe(
        'The root secret: the keys that seal, hash and sign are derived from it with HKDF (RFC 5869). Required in production; otherwise generated once and kept in DATA_DIR. Losing it loses every enrolled authenticator.',
      ),
      SECRET_KEYS_ACCEPTED: text({
        allowed: 'secrets of ≥ 32 characters, comma-separated',
        secret: true,
        check: z
          .string()
          .refine(
            (value) => value.split(',').every((each) => each.trim().length >= 32),
            'must be secrets of at least 32 characters, comma-separated',
          ),
      }).describe(
        'Other values of SECRET_KEY whose work is still accepted, so that it can be replaced while people are signed in: what they made verifies and opens, and nothing is made with them. See docs/keys.md.',
      ),
      PASSWORD_PEPPER: text({
        allowed: '`id:key` pairs, comma-separated; a key is 32 bytes in base64',
        secret: true,
        check: keyRing,
      }).describe(
        'Keys that go into every password hash (the secret value of RFC 9106 §3.1), so that a copy of the database alone is not enough to guess at passwords. The first one hashes, all of them verify, and each sign-in renews an older hash. Absent: no pepper. A key that is lost loses its passwords.',
      ),
      ENCRYPTION_KEYS: text({
        allowed: '`id:key` pairs, comma-separated; a key is 32 bytes in base64',
        secret: true,
        check: keyRing,
      }).describe(
        'Keys that seal secrets at rest (AES-256-GCM). The first one seals, all of them open. Absent: one key derived from SECRET_KEY.',
      ),
    })
    .transform((env) => ({
      secretKey: env.SECRET_KEY,
      acceptedSecretKeys: env.SECRET_KEYS_ACCEPTED?.split(',').map((each) => each.trim()) ?? [],
      passwordPepper: env.PASSWORD_PEPPER,
      encryptionKeys: env.ENCRYPTION_KEYS,
    })),
} as const;

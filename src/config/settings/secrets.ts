import { z } from 'zod';
import { text } from '../values.js';

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
      ENCRYPTION_KEYS: text({
        allowed: '`id:key` pairs, comma-separated; a key is 32 bytes in base64',
        secret: true,
        check: z
          .string()
          .refine(
            (value) => value.split(',').every((pair) => /^[\w-]{1,16}:[A-Za-z0-9+/]{43}=$/.test(pair.trim())),
            'must be id:key pairs, a key being 32 bytes in base64 (openssl rand -base64 32)',
          ),
      }).describe(
        'Keys that seal secrets at rest (AES-256-GCM). The first one seals, all of them open. Absent: one key derived from SECRET_KEY.',
      ),
    })
    .transform((env) => ({ secretKey: env.SECRET_KEY, encryptionKeys: env.ENCRYPTION_KEYS })),
} as const;

import { z } from 'zod';
import { SIGNING_ALGORITHMS } from '../config/signing-key.js';

/**
 * The kinds of JSON Web Token. Each has its own `typ` (RFC 8725 §3.11) and key, so that one can never pass for
 * another: access tokens are verifiable by everybody through the JWKS (ES256, unless SIGNING_ALGORITHM says otherwise),
 * the other two are HS256 with a key of their own that never leaves this service.
 */
export const tokenTypes = { access: 'at+jwt', code: 'code+jwt', enrollment: 'enrollment+jwt' } as const;
export type TokenKind = keyof typeof tokenTypes;

/**
 * The algorithms of a kind. With a choice, a public key could be replayed as an HMAC secret (RFC 8725 §2.1), so a token
 * never chooses: each key has one algorithm, and `TokenKeys` gives no key to a header that names another.
 */
export const tokenAlgorithms = { access: SIGNING_ALGORITHMS, code: ['HS256'], enrollment: ['HS256'] } as const;

const seconds = z.number().int().nonnegative();
const times = { iat: seconds, exp: seconds, nbf: seconds.optional() };

/** Claims of an access token (RFC 9068 §2.2). */
export const accessClaims = z.object({
  iss: z.string(),
  aud: z.string(),
  sub: z.uuid(),
  sid: z.uuid(),
  jti: z.uuid(),
  auth_time: seconds,
  amr: z.array(z.string()),
  acr: z.enum(['aal1', 'aal2']),
  roles: z.array(z.string()),
  ...times,
});

/** Claims of a code token: `jti` is the challenge. */
export const codeClaims = z.object({ iss: z.string(), sub: z.uuid(), jti: z.uuid(), ...times });

/** Claims of an enrollment token: `jti` is the enrollment. */
export const enrollmentClaims = z.object({ iss: z.string(), sub: z.uuid(), jti: z.uuid(), ...times });

export type AccessClaims = z.infer<typeof accessClaims>;
export type CodeClaims = z.infer<typeof codeClaims>;
export type EnrollmentClaims = z.infer<typeof enrollmentClaims>;

/** Whether the times of a token hold now, give or take the leeway. All in seconds. */
export function isTimely(
  claims: { iat: number; exp: number; nbf?: number | undefined },
  now: number,
  leeway: number,
): boolean {
  if (claims.exp + leeway <= now) return false;
  if (claims.iat - leeway > now) return false;
  return claims.nbf === undefined || claims.nbf - leeway <= now;
}

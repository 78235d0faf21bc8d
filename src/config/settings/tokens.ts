import { z } from 'zod';
import { SIGNING_ALGORITHMS } from '../signing-key.js';
import {
  choice,
  duration,
  durationOrOff,
  flag,
  httpUrl,
  integer,
  signingKeys,
  text,
  textWithDefault,
} from '../values.js';

export const tokens = {
  title: 'Tokens',
  schema: z
    .object({
      TOKEN_ISSUER: text({ allowed: 'a URL', check: httpUrl }).describe('The `iss` claim. Absent: PUBLIC_URL.'),
      TOKEN_AUDIENCE: textWithDefault({ default: 'countersign', allowed: 'a name or URL' }).describe(
        'The `aud` claim.',
      ),
      ACCESS_TOKEN_TTL: duration({ default: '5m', min: '1m', max: '15m' }).describe('How long an access token lives.'),
      SIGNING_ALGORITHM: choice({ default: 'ES256', of: SIGNING_ALGORITHMS }).describe(
        'How access tokens are signed; another one takes effect as a rotation. With `HS256` whoever can verify a token can also make one, and the JWKS is empty: see docs/keys.md.',
      ),
      SIGNING_KEY: signingKeys().describe(
        'A key of your own instead of those in the database: the first one signs, all of them verify. SIGNING_KEY_FILE may name several files, comma-separated. Absent: keys are made, kept sealed in the database and rotated.',
      ),
      SIGNING_KEY_ROTATION: durationOrOff({ default: '90d', min: '1d', max: '365d' }).describe(
        'How long a key of the database signs before the next one takes over.',
      ),
      REFRESH_TOKEN_IDLE_TTL: duration({ default: '7d', min: '5m', max: '90d' }).describe(
        'A session ends when it was not refreshed for so long.',
      ),
      REFRESH_TOKEN_MAX_TTL: duration({ default: '30d', min: '5m', max: '365d' }).describe(
        'A session ends so long after the sign-in, whatever happens (RFC 9700 §4.14).',
      ),
      REFRESH_TOKEN_REUSE_GRACE: duration({ default: '10s', min: '0s', max: '60s' }).describe(
        'For so long a rotated refresh token answers with the same successor again, while that is unused: a client that lost the answer may repeat the request.',
      ),
      SESSIONS_PER_USER: integer({ default: 20, min: 1, max: 1000 }).describe(
        'Sessions of one user; one more ends the oldest.',
      ),
      AUTH_COOKIES: flag({ default: 'off' }).describe(
        'Whether browsers may have their tokens as cookies that no script can read (docs/cookies.md). Requests for it say `X-Auth-Cookies: on`. In production PUBLIC_URL must be https then.',
      ),
      CLOCK_LEEWAY: duration({ default: '30s', min: '0s', max: '60s' }).describe(
        'How far clocks may differ when times in tokens are checked.',
      ),
    })
    .transform((env) => ({
      issuer: env.TOKEN_ISSUER,
      audience: env.TOKEN_AUDIENCE,
      accessTtlSeconds: env.ACCESS_TOKEN_TTL,
      signingAlgorithm: env.SIGNING_ALGORITHM,
      signingKeys: env.SIGNING_KEY,
      signingKeyRotationSeconds: env.SIGNING_KEY_ROTATION,
      refreshIdleTtlSeconds: env.REFRESH_TOKEN_IDLE_TTL,
      refreshMaxTtlSeconds: env.REFRESH_TOKEN_MAX_TTL,
      refreshReuseGraceSeconds: env.REFRESH_TOKEN_REUSE_GRACE,
      sessionsPerUser: env.SESSIONS_PER_USER,
      authCookies: env.AUTH_COOKIES,
      leewaySeconds: env.CLOCK_LEEWAY,
    })),
} as const;

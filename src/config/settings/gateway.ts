import { z } from 'zod';
import { choice, text } from '../values.js';

export const gateway = {
  title: 'Gateway',
  schema: z
    .object({
      AUTH_FORWARD_HEADERS: choice({ default: 'x-auth', of: ['x-auth', 'remote', 'x-auth-request'] }).describe(
        'The headers in which `GET /api/v1/auth/forward` tells who the user is: `X-Auth-…`, `Remote-…` or `X-Auth-Request-…` (the names of oauth2-proxy). The latter two also tell his address, once it is verified.',
      ),
      AUTH_FORWARD_IDENTITY_AUDIENCE: text({ allowed: 'a name or URL' }).describe(
        'The `aud` of a signed identity token, good for a minute, that goes with these headers as `X-Auth-Identity-Token`: services behind the gateway verify it through the JWKS. Absent: there is none.',
      ),
    })
    .transform((env) => ({
      forwardHeaders: env.AUTH_FORWARD_HEADERS,
      identityAudience: env.AUTH_FORWARD_IDENTITY_AUDIENCE,
    })),
} as const;

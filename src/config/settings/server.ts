import { isIP } from 'node:net';
import { z } from 'zod';
import { choice, duration, flag, freeList, httpUrl, integer, text, textWithDefault } from '../values.js';

/** Not all of the internet (`/0`): that would let anybody write his own address. */
const addressRange = z.string().refine((text) => {
  const [address = '', bits = '1', ...rest] = text.split('/');
  const most = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  return rest.length === 0 && /^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= most;
}, 'must be an address or a CIDR range');

/** As browsers send it: an `Origin` header is compared with it as a whole. */
const origin = httpUrl.refine(
  (url) => new URL(url).origin === url,
  'must be an origin, such as https://app.example.com, without a path or a slash at the end',
);

export const server = {
  title: 'Server',
  schema: z
    .object({
      NODE_ENV: choice({ default: 'development', of: ['development', 'test', 'production'] }).describe(
        '`production` refuses to start with development stand-ins (outbox, generated secrets).',
      ),
      HOST: textWithDefault({ default: '127.0.0.1', allowed: 'an address' }).describe(
        'The address to listen on. Containers and gateways on other hosts need `0.0.0.0` or `::`.',
      ),
      PORT: integer({ default: 3000, min: 0, max: 65535 }).describe('The port to listen on; 0 takes any free one.'),
      PUBLIC_URL: text({ allowed: 'an http(s) URL', check: httpUrl }).describe(
        'Where users reach this service; links and the default issuer are built from it, never from a request’s Host header. Required in production. Absent: `http://HOST:PORT`.',
      ),
      FRONTEND_URL: text({ allowed: 'an http(s) URL', check: httpUrl }).describe(
        'Your frontend. Links in messages lead to `/magic-link`, `/reset-password` and `/invitation` there, with `?token=`. Absent: to the pages of this service, which choose a password or accept an invitation; the one of a magic link only tries it, and keeps nobody signed in.',
      ),
      REDIRECT_ALLOWLIST: freeList({ allowed: 'URLs, comma-separated', each: httpUrl }).describe(
        'Where a magic link or an invitation may lead instead, each compared as a whole and never by its beginning.',
      ),
      CORS_ORIGINS: freeList({ allowed: 'origins, comma-separated', each: origin }).describe(
        'Browser origins that may call the API. Empty: none.',
      ),
      TRUSTED_PROXIES: freeList({
        allowed: 'addresses or CIDR ranges, comma-separated',
        each: addressRange,
      }).describe('Proxies whose X-Forwarded-For is believed. Empty: the socket’s address is the client.'),
      LOG_LEVEL: choice({ default: 'info', of: ['debug', 'info', 'warn', 'error'] }).describe(
        'The least level that is logged. No level logs a secret.',
      ),
      DOCS_ENABLED: flag({ default: 'on' }).describe('Whether /docs, /redoc and /openapi.json are served.'),
      SHUTDOWN_DELAY: duration({ default: '0s', min: '0s', max: '60s' }).describe(
        'How long a replica that is told to stop goes on answering while /health/ready says 503. Longer than your gateway takes to notice, and no request is lost; without a gateway there is nothing to wait for.',
      ),
    })
    .transform((env) => ({
      production: env.NODE_ENV === 'production',
      host: env.HOST,
      port: env.PORT,
      publicUrl: env.PUBLIC_URL?.replace(/\/+$/, '') ?? null,
      frontendUrl: env.FRONTEND_URL?.replace(/\/+$/, '') ?? null,
      redirectAllowlist: env.REDIRECT_ALLOWLIST,
      corsOrigins: env.CORS_ORIGINS,
      trustedProxies: env.TRUSTED_PROXIES,
      logLevel: env.LOG_LEVEL,
      docsEnabled: env.DOCS_ENABLED,
      shutdownDelaySeconds: env.SHUTDOWN_DELAY,
    })),
} as const;

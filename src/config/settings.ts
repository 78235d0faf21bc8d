import { isIP } from 'node:net';
import { z } from 'zod';
import { SIGNING_ALGORITHMS } from './signing-key.js';
import {
  choice,
  duration,
  durationOrOff,
  flag,
  freeList,
  integer,
  integerOrOff,
  listOf,
  optionalChoice,
  rateOrOff,
  ratesOrOff,
  signingKeys,
  text,
  textWithDefault,
} from './values.js';

/** Not all of the internet (`/0`): that would let anybody write his own address. */
const addressRange = z.string().refine((text) => {
  const [address = '', bits = '1', ...rest] = text.split('/');
  const most = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  return rest.length === 0 && /^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= most;
}, 'must be an address or a CIDR range');

const origin = z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' });

/**
 * One schema a feature. The key is the name in the environment; `describe` is its row in
 * docs/configuration.md and .env.example, which are generated from here.
 */
export const settings = {
  server: {
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
        PUBLIC_URL: text({ allowed: 'an http(s) URL', check: origin }).describe(
          'Where users reach this service; links and the default issuer are built from it, never from a request’s Host header. Required in production. Absent: `http://HOST:PORT`.',
        ),
        FRONTEND_URL: text({ allowed: 'an http(s) URL', check: origin }).describe(
          'Your frontend. Links in messages lead to `/magic-link` and `/reset-password` there, with `?token=`. Absent: to the pages of this service.',
        ),
        REDIRECT_ALLOWLIST: freeList({ allowed: 'URLs, comma-separated', each: origin }).describe(
          'Where a magic link may lead instead, each compared as a whole and never by its beginning.',
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
        environment: env.NODE_ENV,
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
  },
  storage: {
    title: 'Storage',
    schema: z
      .object({
        DATABASE_URL: text({
          allowed: 'a postgres:// URL',
          secret: true,
          check: z.string().regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL'),
        }).describe(
          'The PostgreSQL database (15 or newer). Absent: an embedded PostgreSQL keeps its data in DATA_DIR.',
        ),
        DATABASE_REPLICA_URLS: freeList({
          allowed: 'postgres:// URLs, comma-separated',
          secret: true,
          each: z.string().regex(/^postgres(ql)?:\/\//, 'must be postgres:// URLs'),
        }).describe(
          'Read replicas of the database. Only the lists of administrators are read from them, and from the database where none answers. Empty: none.',
        ),
        DATABASE_POOL_SIZE: integer({ default: 10, min: 2, max: 200 }).describe('Connections of one replica, at most.'),
        DATA_DIR: textWithDefault({ default: '.countersign', allowed: 'a folder' }).describe(
          'Where the embedded database and the secrets generated at the first start are kept.',
        ),
        MIGRATE_ON_START: flag({ default: 'on' }).describe(
          'Whether a starting replica applies pending migrations (one does, the others wait).',
        ),
      })
      .transform((env) => ({
        databaseUrl: env.DATABASE_URL,
        replicaUrls: env.DATABASE_REPLICA_URLS,
        poolSize: env.DATABASE_POOL_SIZE,
        dataDir: env.DATA_DIR,
        migrateOnStart: env.MIGRATE_ON_START,
      })),
  },
  secrets: {
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
  },
  mail: {
    title: 'Mail',
    schema: z
      .object({
        SMTP_URL: text({
          allowed: 'an smtp:// or smtps:// URL',
          secret: true,
          check: z.string().regex(/^smtps?:\/\//, 'must be an smtp:// or smtps:// URL'),
        }).describe(
          'The mail server, such as `smtp://user:password@mail.example.com:587`. Required in production; otherwise mails are kept in memory and shown at /dev/outbox.',
        ),
        MAIL_FROM: textWithDefault({
          default: 'Countersign <no-reply@localhost>',
          allowed: 'an address',
          check: z.string().regex(/^[^\r\n]*$/, 'must be one line'),
        }).describe('The sender of every mail.'),
        MAIL_BRAND: textWithDefault({
          default: 'Countersign',
          allowed: '1–64 characters',
          check: z.string().regex(/^[^\r\n]{1,64}$/, 'must be one line of 1 to 64 characters'),
        }).describe('The product that mails speak of, at their top and bottom.'),
        MAIL_SUBJECT_OVERRIDE: text({
          allowed: 'one line; `{code}`, `{minutes}`',
          check: z.string().regex(/^[^\r\n]{1,200}$/, 'must be one line of 1 to 200 characters'),
        }).describe(
          'The subject of mails with a code, such as `{code}: Your code`, in every language. `{code}` and `{minutes}` are filled in. Absent: our words.',
        ),
        MAIL_BODY_OVERRIDE: text({
          allowed: 'text with `{code}`; `{minutes}`',
          check: z.string().max(10_000).includes('{code}', 'must contain {code}'),
        }).describe(
          'What mails with a code say, between our top and bottom, in every language: plain text, where an empty line starts a paragraph. `{code}` and `{minutes}` are filled in. Absent: our words.',
        ),
      })
      .transform((env) => ({
        smtpUrl: env.SMTP_URL,
        from: env.MAIL_FROM,
        brand: env.MAIL_BRAND,
        subjectOverride: env.MAIL_SUBJECT_OVERRIDE,
        bodyOverride: env.MAIL_BODY_OVERRIDE,
      })),
  },
  sms: {
    title: 'Text messages',
    schema: z
      .object({
        SMS_DRIVER: optionalChoice({ of: ['twilio-verify', 'twilio-messages', 'outbox'] }).describe(
          'Who sends text messages. `twilio-verify`: Twilio makes and checks the codes. `twilio-messages`: they are made and checked here, and Twilio delivers them. Absent: no text messages in production; otherwise `outbox`, which keeps them in memory and shows them at /dev/outbox.',
        ),
        TWILIO_ACCOUNT_SID: text({
          allowed: '`AC…`, 34 characters',
          check: z.string().regex(/^AC[0-9a-fA-F]{32}$/, 'must be AC and 32 hexadecimal digits'),
        }).describe('The Twilio account.'),
        TWILIO_AUTH_TOKEN: text({
          allowed: 'a token',
          secret: true,
          check: z.string().regex(/^[!-~]+$/, 'must be one word'),
        }).describe('The auth token of the account. It also proves that status callbacks come from Twilio.'),
        TWILIO_FROM: text({
          allowed: 'an E.164 number, a messaging service `MG…`, or up to 11 letters, digits and spaces',
          check: z
            .string()
            .regex(
              /^(\+[1-9]\d{2,14}|MG[0-9a-fA-F]{32}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11})$/,
              'must be an E.164 number, a messaging service (MG…), or up to 11 letters, digits and spaces',
            ),
        }).describe('Whom the messages of `twilio-messages` come from.'),
        TWILIO_VERIFY_SERVICE_SID: text({
          allowed: '`VA…`, 34 characters',
          check: z.string().regex(/^VA[0-9a-fA-F]{32}$/, 'must be VA and 32 hexadecimal digits'),
        }).describe(
          'The Verify service of `twilio-verify`. Its own settings decide the length of the codes, their text and its language.',
        ),
        TWILIO_API_BASE_URL: text({ allowed: 'an http(s) URL', check: origin }).describe(
          'Where requests to Twilio go instead of api.twilio.com and verify.twilio.com: a proxy, or a stand-in for tests. In production it is https, or on this machine.',
        ),
        SMS_COUNTRIES: freeList({
          allowed: 'ISO 3166-1 alpha-2 codes, comma-separated',
          each: z.string().regex(/^[A-Z]{2}$/, 'must be two-letter country codes such as DE,AT,CH'),
        }).describe(
          'Countries to whose numbers text messages are sent. Empty: all; a short list is the best protection against toll fraud.',
        ),
      })
      .transform((env) => ({
        driver: env.SMS_DRIVER,
        twilio: {
          accountSid: env.TWILIO_ACCOUNT_SID,
          authToken: env.TWILIO_AUTH_TOKEN,
          from: env.TWILIO_FROM,
          verifyServiceSid: env.TWILIO_VERIFY_SERVICE_SID,
          baseUrl: env.TWILIO_API_BASE_URL?.replace(/\/+$/, '') ?? null,
        },
        countries: env.SMS_COUNTRIES,
      })),
  },
  codes: {
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
  },
  twoFactor: {
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
  },
  tokens: {
    title: 'Tokens',
    schema: z
      .object({
        TOKEN_ISSUER: text({ allowed: 'a URL', check: origin }).describe('The `iss` claim. Absent: PUBLIC_URL.'),
        TOKEN_AUDIENCE: textWithDefault({ default: 'countersign', allowed: 'a name or URL' }).describe(
          'The `aud` claim.',
        ),
        ACCESS_TOKEN_TTL: duration({ default: '5m', min: '1m', max: '15m' }).describe(
          'How long an access token lives.',
        ),
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
  },
  accounts: {
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
  },
  limits: {
    title: 'Limits',
    schema: z
      .object({
        THROTTLE_SIGN_IN_PER_IP: rateOrOff({ default: '30/1m' }).describe(
          'Sign-in requests of one address (IPv6: one /64), per replica.',
        ),
        THROTTLE_OVERALL_PER_IP: rateOrOff({ default: '300/5m' }).describe('All requests of one address, per replica.'),
        PASSWORD_FREE_FAILURES: integerOrOff({ default: 10, min: 3, max: 100 }).describe(
          'Wrong passwords for one identifier before each further one waits: 30 s, doubling to 15 min, forgotten after 12 h. The same for unknown identifiers.',
        ),
        SEND_PER_DESTINATION: ratesOrOff({ default: '5/1h,10/1d' }).describe(
          'Messages to one destination that were not answered with the right code.',
        ),
      })
      .transform((env) => ({
        signInPerIp: env.THROTTLE_SIGN_IN_PER_IP,
        overallPerIp: env.THROTTLE_OVERALL_PER_IP,
        passwordFreeFailures: env.PASSWORD_FREE_FAILURES,
        sendPerDestination: env.SEND_PER_DESTINATION,
      })),
  },
  gateway: {
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
  },
  webhooks: {
    title: 'Webhooks',
    schema: z
      .object({
        WEBHOOK_TIMEOUT: duration({ default: '10s', min: '1s', max: '30s' }).describe(
          'How long a receiver may take to answer one attempt.',
        ),
        WEBHOOK_ALLOW_PRIVATE_TARGETS: flag({ default: 'off' }).describe(
          'Whether webhooks may lead to private addresses and use plain http. `on` lets administrators make this service send requests into its own network.',
        ),
      })
      .transform((env) => ({
        timeoutSeconds: env.WEBHOOK_TIMEOUT,
        allowPrivateTargets: env.WEBHOOK_ALLOW_PRIVATE_TARGETS,
      })),
  },
  audit: {
    title: 'Audit log',
    schema: z
      .object({
        AUDIT_RETENTION: durationOrOff({ default: '365d', min: '30d', max: '3650d' }).describe(
          'How long audit events are kept; every night the older ones are removed. `off` keeps all of them.',
        ),
      })
      .transform((env) => ({ retentionSeconds: env.AUDIT_RETENTION })),
  },
  metrics: {
    title: 'Metrics',
    schema: z
      .object({
        METRICS_PORT: integerOrOff({ default: 'off', min: 0, max: 65535 }).describe(
          'A port of its own where Prometheus reads /metrics, without a token: let nobody else reach it. 0 takes any free one.',
        ),
        METRICS_HOST: textWithDefault({ default: '127.0.0.1', allowed: 'an address' }).describe(
          'The address that METRICS_PORT listens on.',
        ),
        METRICS_TOKEN: text({
          allowed: '≥ 32 characters',
          secret: true,
          check: z.string().regex(/^[!-~]{32,}$/, 'must be one word of at least 32 characters'),
        }).describe(
          'Serves /metrics on PORT too, to whoever sends `Authorization: Bearer` and this token. Absent: not there.',
        ),
      })
      .transform((env) => ({ port: env.METRICS_PORT, host: env.METRICS_HOST, token: env.METRICS_TOKEN })),
  },
} as const;

export type SettingsGroup = keyof typeof settings;

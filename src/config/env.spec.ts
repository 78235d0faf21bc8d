import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { completeConfig } from './config.js';
import { ConfigurationError, environment, readSettings } from './env.js';
import { settings } from './settings.js';
import { ANY_NAME, type EntryMeta } from './values.js';

const PEPPER = `k1:${Buffer.alloc(32, 7).toString('base64')}`;
const GOOD_SECRET = 'x9Kq2LmV7tRb4Zp8Ws6Yd1Hf5Nc0AgJe';
const PRODUCTION = {
  NODE_ENV: 'production',
  PUBLIC_URL: 'https://id.example.com',
  SECRET_KEY: GOOD_SECRET,
  SMTP_URL: 'smtps://mail.example.com',
};

/** What stops the boot, one line each; empty where nothing does. */
function problemsOf(variables: Record<string, string>): readonly string[] {
  try {
    readSettings(variables);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

const ENTRIES = Object.values(settings).flatMap(({ schema }) =>
  Object.entries<{ meta(): unknown }>(schema.in.shape).map(([name, entry]) => ({
    // One member stands for its family.
    name: name.replace(ANY_NAME, 'CORP'),
    ...(entry.meta() as EntryMeta),
  })),
);

describe('an empty environment', () => {
  it('is a complete development configuration', () => {
    const { server, codes, tokens, limits, twoFactor } = readSettings({});
    expect(server).toMatchObject({
      production: false,
      host: '127.0.0.1',
      port: 3000,
      trustedProxies: [],
    });
    expect(codes).toEqual({
      emailLength: 7,
      smsLength: 6,
      characters: '0123456789',
      ttlSeconds: 300,
      resendCooldownSeconds: 60,
      maxAttempts: 5,
      retryWaitSeconds: 2,
      maxActive: 3,
    });
    expect(tokens).toMatchObject({
      accessTtlSeconds: 300,
      refreshIdleTtlSeconds: 604_800,
      refreshMaxTtlSeconds: 2_592_000,
    });
    expect(limits).toEqual({
      sendPerAccount: { points: 10, seconds: 86_400 },
      signInPerIp: { points: 30, seconds: 60 },
      overallPerIp: { points: 300, seconds: 300 },
      resetPerIp: { points: 20, seconds: 60 },
      sendPerIp: { points: 20, seconds: 3_600 },
      passwordFreeFailures: 10,
      sendPerDestination: [
        { points: 5, seconds: 3600 },
        { points: 10, seconds: 86_400 },
      ],
    });
    expect(twoFactor).toMatchObject({ trustedMethods: ['email', 'sms', 'totp'], fallbackMethod: 'email' });
  });

  it('counts as what is empty: an empty variable is an absent one', () => {
    const empty = Object.fromEntries(
      ENTRIES.flatMap(({ name }) => [
        [name, ''],
        [`${name}_FILE`, ''],
      ]),
    );
    expect(readSettings(empty)).toEqual(readSettings({}));
  });

  it('is completed by the address that is listened on, or by the public one', () => {
    const generated = { databaseUrl: 'postgres://x', secretKey: GOOD_SECRET };
    const complete = (variables: Record<string, string>) => {
      const { server, tokens } = completeConfig(readSettings(variables), generated);
      return [server.publicUrl, tokens.issuer];
    };
    expect(complete({})).toEqual(['http://localhost:3000', 'http://localhost:3000']);
    expect(complete({ HOST: '10.0.0.7', PORT: '81' })).toEqual(['http://10.0.0.7:81', 'http://10.0.0.7:81']);
    expect(complete({ PUBLIC_URL: 'https://id.example.com//' })).toEqual([
      'https://id.example.com',
      'https://id.example.com',
    ]);
    expect(complete({ PUBLIC_URL: 'https://a.example', TOKEN_ISSUER: 'https://b.example' })).toEqual([
      'https://a.example',
      'https://b.example',
    ]);
  });
});

describe('a value that is not allowed', () => {
  it.each(ENTRIES.filter(({ allowed }) => !/^an? (address|folder|name)/.test(allowed)))(
    '$name: is refused by name, and not shown',
    ({ name }) => {
      const canary = 'canary:\n4711';
      const problems = problemsOf({ [name]: canary });
      expect(problems.length).toBeGreaterThan(0);
      expect(problems.every((problem) => problem.startsWith(`${name}: `))).toBe(true);
      expect(problems.join('\n')).not.toMatch(/canary|4711/);
    },
  );

  it('is named together with all others, in one message', () => {
    const problems = problemsOf({ PORT: 'x', CODE_TTL: '1h', SECRET_KEY: 'short', DOCS_ENABLED: 'maybe' });
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'PORT',
      'DOCS_ENABLED',
      'SECRET_KEY',
      'CODE_TTL',
    ]);
    expect(() => readSettings({ PORT: 'x', CODE_TTL: '1h' })).toThrow(
      /^The configuration is not usable:\n {2}- PORT: .+\n {2}- CODE_TTL: .+$/,
    );
  });

  it('says what would be', () => {
    expect(problemsOf({ CODE_TTL: '11m' })).toEqual(['CODE_TTL: must be between 30s and 10m']);
    expect(problemsOf({ PORT: '70000' })[0]).toContain('65535');
    expect(problemsOf({ PUBLIC_URL: 'javascript:alert(1)' })).toEqual(['PUBLIC_URL: must be an http(s) URL']);
    expect(problemsOf({ CORS_ORIGINS: 'https://a.example,*' })[0]).toContain('must be an http(s) URL');
    for (const url of [
      'https://app.example/',
      'https://app.example/en',
      'https://App.example',
      'http://a.example:80',
    ]) {
      expect(problemsOf({ CORS_ORIGINS: `https://a.example,${url}` }), url).toEqual([
        'CORS_ORIGINS: must be an origin, such as https://app.example.com, without a path or a slash at the end',
      ]);
    }
    expect(readSettings({ CORS_ORIGINS: 'https://a.example, http://localhost:5173' }).server.corsOrigins).toEqual([
      'https://a.example',
      'http://localhost:5173',
    ]);
    for (const range of ['proxy', '10.0.0.0/0', '::/0', '10.0.0.0/33', '10.0.0/8', '10.0.0.0/', 'true', '1', '*']) {
      expect(problemsOf({ TRUSTED_PROXIES: range }), range).toEqual([
        'TRUSTED_PROXIES: must be an address or a CIDR range',
      ]);
    }
    expect(readSettings({ TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8,fd00::/8 ,::1' }).server.trustedProxies).toHaveLength(
      4,
    );
    expect(problemsOf({ CODE_CHARACTERS: '01234567899' })).toEqual(['CODE_CHARACTERS: names a character twice']);
  });
});

describe('a secret in a file', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'countersign-env-'));
    writeFileSync(join(folder, 'secret'), `${GOOD_SECRET}\n`);
    writeFileSync(join(folder, '.env'), `PORT=4001\nHOST=file.example\nSECRET_KEY="${GOOD_SECRET}" # the key\n`);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is read, without the newline at its end', () => {
    expect(readSettings({ SECRET_KEY_FILE: join(folder, 'secret') }).secrets.secretKey).toBe(GOOD_SECRET);
  });

  it('and in the environment as well is refused: which one counts would be a guess', () => {
    expect(problemsOf({ SECRET_KEY: GOOD_SECRET, SECRET_KEY_FILE: join(folder, 'secret') })).toEqual([
      'SECRET_KEY and SECRET_KEY_FILE are both set; keep one',
    ]);
  });

  it('that cannot be read stops the boot', () => {
    expect(problemsOf({ SECRET_KEY_FILE: join(folder, 'nothing') })).toEqual([
      'SECRET_KEY_FILE: the file cannot be read',
    ]);
    expect(problemsOf({ SMTP_URL_FILE: folder })).toEqual(['SMTP_URL_FILE: the file cannot be read']);
  });

  it('is possible for every secret, and for nothing else', () => {
    const secret = ENTRIES.filter((entry) => entry.secret).map(({ name }) => name);
    expect(secret).toEqual([
      'DATABASE_URL',
      'DATABASE_DIRECT_URL',
      'DATABASE_REPLICA_URLS',
      'REDIS_URL',
      'SECRET_KEY',
      'SECRET_KEYS_ACCEPTED',
      'PASSWORD_PEPPER',
      'ENCRYPTION_KEYS',
      'SMTP_URL',
      'TWILIO_AUTH_TOKEN',
      'SIGNING_KEY',
      'SOCIAL_GOOGLE_CLIENT_SECRET',
      'SOCIAL_FACEBOOK_CLIENT_SECRET',
      'SOCIAL_APPLE_CLIENT_SECRET',
      'SOCIAL_APPLE_PRIVATE_KEY',
      'OIDC_CORP_CLIENT_SECRET',
      'METRICS_TOKEN',
    ]);
    expect(readSettings({ HOST_FILE: join(folder, 'secret') }).server.host).toBe('127.0.0.1');
  });

  it('a .env file is read too, and the environment of the process wins', () => {
    process.env['PORT'] = '4002';
    try {
      const { server, secrets } = readSettings(environment(join(folder, '.env')));
      expect([server.host, server.port, secrets.secretKey]).toEqual(['file.example', 4002, GOOD_SECRET]);
    } finally {
      delete process.env['PORT'];
    }
    expect(environment(join(folder, 'no.env'))['HOST']).toBe(process.env['HOST']);
  });
});

describe('settings that contradict each other', () => {
  it.each<[string, Record<string, string>]>([
    ['TWO_FACTOR_FALLBACK_METHOD asks', { TWO_FACTOR_TRUSTED_METHODS: 'none', TWO_FACTOR_FALLBACK_METHOD: 'email' }],
    ['REFRESH_TOKEN_IDLE_TTL is longer', { REFRESH_TOKEN_IDLE_TTL: '31d' }],
    ['ACCESS_TOKEN_TTL is longer', { ACCESS_TOKEN_TTL: '10m', REFRESH_TOKEN_IDLE_TTL: '5m' }],
    ['CODE_TOKEN_RETRY_WAIT leaves', { CODE_TOKEN_RETRY_WAIT: '10s', CODE_TOKEN_MAX_ATTEMPTS: '10', CODE_TTL: '99s' }],
    ['ARGON2_MEMORY_KIB must be at least 47104', { ARGON2_ITERATIONS: '1' }],
    ['ARGON2_MEMORY_KIB must be at least 12288', { ARGON2_ITERATIONS: '3', ARGON2_MEMORY_KIB: '12287' }],
    ['SECRET_KEY is guessable', { SECRET_KEY: 'changeme-changeme-changeme-changeme' }],
    ['SECRET_KEY is guessable', { SECRET_KEY: '0'.repeat(40) }],
    ['SECRET_KEYS_ACCEPTED is guessable', { SECRET_KEYS_ACCEPTED: '0'.repeat(40) }],
    ['SECRET_KEYS_ACCEPTED names SECRET_KEY itself', { SECRET_KEY: GOOD_SECRET, SECRET_KEYS_ACCEPTED: GOOD_SECRET }],
    ['PASSWORD_PEPPER: must give every key an id of its own', { PASSWORD_PEPPER: `${PEPPER},${PEPPER}` }],
    ['SECRET_KEY is guessable', { SECRET_KEY: 'abcdefghijk'.repeat(4) }],
  ])('%s…', (beginning, variables) => {
    const problems = problemsOf(variables);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(beginning);
    for (const value of Object.values(variables).filter((text) => text.length > 8))
      expect(problems[0]).not.toContain(value);
  });

  it.each<Record<string, string>>([
    { TWO_FACTOR_TRUSTED_METHODS: 'none', TWO_FACTOR_FALLBACK_METHOD: 'none' },
    { TWO_FACTOR_TRUSTED_METHODS: 'none,email', TWO_FACTOR_FALLBACK_METHOD: 'email' },
    { TWO_FACTOR_TRUSTED_METHODS: 'totp', TWO_FACTOR_FALLBACK_METHOD: 'email' },
    { REFRESH_TOKEN_IDLE_TTL: '30d' },
    { CODE_TOKEN_RETRY_WAIT: '10s', CODE_TOKEN_MAX_ATTEMPTS: '10', CODE_TTL: '100s' },
    { CODE_TOKEN_RETRY_WAIT: 'off', CODE_TOKEN_MAX_ATTEMPTS: 'off' },
    { ARGON2_ITERATIONS: '1', ARGON2_MEMORY_KIB: '47104' },
    { ARGON2_ITERATIONS: '10', ARGON2_MEMORY_KIB: '7168' },
    { SECRET_KEY: GOOD_SECRET },
  ])('not: %j', (variables) => {
    expect(problemsOf(variables)).toEqual([]);
  });
});

describe('production', () => {
  it('starts with the four things that it needs', () => {
    expect(problemsOf(PRODUCTION)).toEqual([]);
  });

  it.each(['PUBLIC_URL', 'SECRET_KEY', 'SMTP_URL'])('does not start without %s, and says so', (name) => {
    const problems = problemsOf({ ...PRODUCTION, [name]: '' });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${name} is required in production`));
  });

  it('names everything that is missing at once', () => {
    const problems = problemsOf({ NODE_ENV: 'production' });
    expect(problems.map((problem) => problem.split(' ')[0])).toEqual(['PUBLIC_URL', 'SECRET_KEY', 'SMTP_URL']);
  });

  it('does not go without https', () => {
    expect(problemsOf({ ...PRODUCTION, PUBLIC_URL: 'http://id.example.com' })).toEqual([
      'PUBLIC_URL must be https in production, unless its host is this machine',
    ]);
    expect(problemsOf({ ...PRODUCTION, PUBLIC_URL: 'http://localhost:3000' })).toEqual([]);
  });
});

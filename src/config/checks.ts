import { smsDriverOf, type Settings } from './config.js';
import { isHttpsOrLocal } from './https-or-local.js';
import { socialContradictions } from './social-checks.js';
import { identityContradictions } from './identity-checks.js';

/** Settings that are fine alone and wrong together. Each sentence names the setting to change, never its value. */
export function findContradictions(settings: Settings): string[] {
  return [
    ...contradictions(settings),
    ...textMessageContradictions(settings),
    ...signingKeyContradictions(settings),
    ...identityTokenContradictions(settings),
    ...socialContradictions(settings),
    ...identityContradictions(settings),
    ...storageContradictions(settings),
    ...(settings.server.production ? missingInProduction(settings) : []),
  ];
}

/** Least memory (KiB) for a number of passes: the equivalent rows of OWASP's Password Storage Cheat Sheet. */
const ARGON2_ROWS: readonly number[] = [47_104, 19_456, 12_288, 9_216, 7_168];

function contradictions({ twoFactor, tokens, codes, secrets, accounts }: Settings): string[] {
  const found: string[] = [];
  const trusted = twoFactor.trustedMethods;
  if (trusted.length === 1 && trusted[0] === 'none' && twoFactor.fallbackMethod !== 'none') {
    found.push(
      'TWO_FACTOR_FALLBACK_METHOD asks for a method although TWO_FACTOR_TRUSTED_METHODS accepts none; add the method to the trusted ones or set the fallback to none',
    );
  }
  if (tokens.refreshIdleTtlSeconds > tokens.refreshMaxTtlSeconds) {
    found.push('REFRESH_TOKEN_IDLE_TTL is longer than REFRESH_TOKEN_MAX_TTL');
  }
  if (tokens.accessTtlSeconds > tokens.refreshIdleTtlSeconds) {
    found.push('ACCESS_TOKEN_TTL is longer than REFRESH_TOKEN_IDLE_TTL');
  }
  if (codes.retryWaitSeconds * (codes.maxAttempts ?? 1) > codes.ttlSeconds) {
    found.push('CODE_TOKEN_RETRY_WAIT leaves no time for CODE_TOKEN_MAX_ATTEMPTS within CODE_TTL');
  }
  const { memoryKib, iterations } = accounts.argon2;
  const leastMemory = ARGON2_ROWS[Math.min(iterations, ARGON2_ROWS.length) - 1] ?? 0;
  if (memoryKib < leastMemory) {
    found.push(`ARGON2_MEMORY_KIB must be at least ${leastMemory} with this number of ARGON2_ITERATIONS`);
  }
  if (secrets.secretKey !== null && isGuessable(secrets.secretKey)) {
    found.push('SECRET_KEY is guessable; generate one with: openssl rand -base64 48');
  }
  if (secrets.acceptedSecretKeys.some(isGuessable)) {
    found.push('SECRET_KEYS_ACCEPTED is guessable: whoever guesses it makes tokens; take it out');
  }
  if (secrets.acceptedSecretKeys.some((each) => each === secrets.secretKey)) {
    found.push('SECRET_KEYS_ACCEPTED names SECRET_KEY itself; one of the two is a mistake');
  }
  return found;
}

function storageContradictions({ storage }: Settings): string[] {
  if (storage.directUrl === null || storage.databaseUrl !== null) return [];
  return ['DATABASE_DIRECT_URL is another way to the database of DATABASE_URL, which is not set'];
}

function textMessageContradictions(settings: Settings): string[] {
  const { sms, server, twoFactor } = settings;
  const { accountSid, authToken, from, verifyServiceSid, baseUrl } = sms.twilio;
  const found: string[] = [];
  if (sms.driver === 'twilio-verify' || sms.driver === 'twilio-messages') {
    const needed = {
      TWILIO_ACCOUNT_SID: accountSid,
      TWILIO_AUTH_TOKEN: authToken,
      ...(sms.driver === 'twilio-verify' ? { TWILIO_VERIFY_SERVICE_SID: verifyServiceSid } : { TWILIO_FROM: from }),
    };
    for (const [name, value] of Object.entries(needed)) {
      if (value === null) found.push(`${name} is required by SMS_DRIVER ${sms.driver}`);
    }
  }
  // the credentials of another driver may stay in the file; without any, they were probably meant to be used
  if (sms.driver === null && accountSid !== null) {
    found.push(
      'TWILIO_ACCOUNT_SID is set, but no SMS_DRIVER uses it; set SMS_DRIVER to twilio-verify or twilio-messages',
    );
  }
  if (server.production && sms.driver === 'outbox') {
    found.push('SMS_DRIVER: production has no outbox; use twilio-verify or twilio-messages, or leave it out');
  }
  if (server.production && baseUrl !== null && !isHttpsOrLocal(baseUrl)) {
    found.push('TWILIO_API_BASE_URL must be https in production: the credentials of the account go there');
  }
  if (smsDriverOf(settings) === null && twoFactor.fallbackMethod === 'sms') {
    found.push(
      'TWO_FACTOR_FALLBACK_METHOD is sms, but no SMS_DRIVER sends text messages; set one, or use email or none',
    );
  }
  if (smsDriverOf(settings) === null && twoFactor.trustedMethods.every((method) => method === 'sms')) {
    found.push('TWO_FACTOR_TRUSTED_METHODS accepts only sms, but no SMS_DRIVER sends text messages; set one');
  }
  return found;
}

function signingKeyContradictions({ tokens: { signingAlgorithm, signingKeys } }: Settings): string[] {
  const [signs] = signingKeys;
  if (!signs) return [];
  const found: string[] = [];
  if (signs.algorithm !== signingAlgorithm) {
    found.push(
      `SIGNING_ALGORITHM is ${signingAlgorithm}, but the first key of SIGNING_KEY is for ${signs.algorithm}; set it to that, or put another key first`,
    );
  }
  if (signs.key.type === 'public') {
    found.push('SIGNING_KEY: the first key is a public one, which cannot sign; put a private key first');
  }
  // The base64 of a public key that lost its first line would otherwise be a secret that everybody knows.
  if (signingAlgorithm !== 'HS256' && signingKeys.some(({ plain }) => plain)) {
    found.push('SIGNING_KEY: beside keys for another algorithm a secret must be a JWK (kty oct)');
  }
  return found;
}

function identityTokenContradictions({ gateway: { identityAudience }, tokens }: Settings): string[] {
  if (identityAudience === null) return [];
  const found: string[] = [];
  if (identityAudience === tokens.audience) {
    found.push(
      'AUTH_FORWARD_IDENTITY_AUDIENCE is that of access tokens (TOKEN_AUDIENCE): a service that looks at nothing else would take one for the other',
    );
  }
  if (tokens.signingAlgorithm === 'HS256') {
    found.push(
      'AUTH_FORWARD_IDENTITY_AUDIENCE needs a signature that others can verify: with SIGNING_ALGORITHM HS256 they could also make access tokens',
    );
  }
  return found;
}

function missingInProduction({ server, secrets, mail, tokens }: Settings): string[] {
  const found: string[] = [];
  if (server.publicUrl === null) found.push('PUBLIC_URL is required in production: links and the token issuer use it');
  if (server.publicUrl !== null && !isHttpsOrLocal(server.publicUrl)) {
    found.push('PUBLIC_URL must be https in production, unless its host is this machine');
  }
  if (tokens.authCookies && server.publicUrl?.startsWith('https:') !== true) {
    found.push('AUTH_COOKIES needs an https PUBLIC_URL in production: browsers keep the cookies for https only');
  }
  if (secrets.secretKey === null) {
    found.push('SECRET_KEY is required in production; generate one with: openssl rand -base64 48');
  }
  if (mail.smtpUrl === null) found.push('SMTP_URL is required in production: codes are sent by mail');
  return found;
}

/** Long enough is not random enough: `changeme…`, repeated characters, the example of a manual. */
function isGuessable(secret: string): boolean {
  return new Set(secret).size < 12 || /change.?me|secret|password|example|countersign/i.test(secret);
}

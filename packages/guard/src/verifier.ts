import { decodeProtectedHeader, jwtVerify, type JWTPayload } from 'jose';
import { KeySet, NoKeys } from './key-set.js';
import { refusalOf, type Refusal } from './refusal.js';
import { objectionTo, type Requirements } from './requirements.js';

/** Asymmetric ones only: with HS256 among them, the public key would do as the secret of a forged token (RFC 8725 §2.1). */
const ALGORITHMS = ['ES256', 'RS256'];
/** Seconds by which clocks may differ. */
const TOLERANCE = 30;
const MAX_TOKEN_LENGTH = 8_192;
const DEFAULT_TIMEOUT = 3_000;

export interface VerifierOptions {
  /** TOKEN_ISSUER of Countersign, or else its PUBLIC_URL. */
  issuer: string;
  /** TOKEN_AUDIENCE of Countersign. */
  audience: string;
  /** Where its keys are, if not at `/.well-known/jwks.json` of the issuer: such as an address within a cluster. */
  jwksUrl?: string;
  /** Milliseconds to wait for the keys; 3000 unless said otherwise. */
  timeout?: number;
  /** The clock, for tests. */
  now?: () => Date;
}

/** Whom an access token names. Roles and assurance are those of the moment when it was signed. */
export interface SignedInUser {
  userId: string;
  sessionId: string;
  roles: readonly string[];
  acr: 'aal1' | 'aal2';
  amr: readonly string[];
  /** When a factor was last proved, in seconds since 1970. */
  authTime: number;
  /** Until when the token is good, in seconds since 1970. */
  expiresAt: number;
}

export type Verdict = { ok: true; user: SignedInUser } | { ok: false; refusal: Refusal };

export interface Verifier {
  /** Never throws. `token` is what follows `Bearer `; none is a refusal of its own. */
  verify(token: string | null | undefined, required?: Requirements): Promise<Verdict>;
}

/** Verifies access tokens with the published keys of the issuer, without asking it about each. */
export function createVerifier({
  issuer,
  audience,
  jwksUrl,
  timeout = DEFAULT_TIMEOUT,
  now: clock = () => new Date(),
}: VerifierOptions): Verifier {
  const now = () => clock().getTime() / 1000;
  const url = new URL(jwksUrl ?? `${issuer.replace(/\/+$/, '')}/.well-known/jwks.json`);
  const keys = new KeySet({ url, timeout, now });
  const refuse = (because: Parameters<typeof refusalOf>[1]): Verdict => ({
    ok: false,
    refusal: refusalOf(issuer, because),
  });

  async function claimsOf(token: string): Promise<JWTPayload | null> {
    if (!isOurHeader(token)) return null;
    const { payload } = await jwtVerify(token, (header, jws) => keys.find(header, jws), {
      algorithms: ALGORITHMS,
      typ: 'at+jwt',
      issuer,
      audience,
      clockTolerance: TOLERANCE,
      currentDate: clock(),
      requiredClaims: ['exp', 'iat'],
    });
    return payload;
  }

  return {
    async verify(token, required = {}) {
      if (!token) return refuse({ code: 'authentication_required' });
      try {
        const user = readUser(await claimsOf(token), now());
        if (!user) return refuse({ code: 'invalid_token' });
        const objection = objectionTo(user, required, now());
        return objection ? refuse(objection) : { ok: true, user };
      } catch (cause) {
        return refuse({ code: cause instanceof NoKeys ? 'unavailable' : 'invalid_token' });
      }
    },
  };
}

/** Strict, as Countersign itself: a header with anything else (`jku`, `x5u`, `jwk`, `crit`, …) names keys or rules of its own. */
function isOurHeader(token: string): boolean {
  if (token.length > MAX_TOKEN_LENGTH) return false;
  const { kid, ...header } = decodeProtectedHeader(token);
  return typeof kid === 'string' && Object.keys(header).every((name) => name === 'alg' || name === 'typ');
}

function readUser(claims: JWTPayload | null, now: number): SignedInUser | null {
  if (!claims) return null;
  const { sub, sid, roles, acr, amr, auth_time: authTime, exp = 0, iat = Infinity } = claims;
  if (iat - TOLERANCE > now) return null;
  if (typeof sub !== 'string' || typeof sid !== 'string' || typeof authTime !== 'number') return null;
  if ((acr !== 'aal1' && acr !== 'aal2') || !isTexts(roles) || !isTexts(amr)) return null;
  return { userId: sub, sessionId: sid, roles, acr, amr, authTime, expiresAt: exp };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

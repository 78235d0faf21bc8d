import type { JWTPayload, JWTVerifyGetKey } from 'jose';
import { sameBytes } from '../crypto/codes.js';
import { emailOf, nameOf, subjectOf } from './claims.js';
import { NotProvedError, type ProvedIdentity } from './provider.js';

/** Signatures that only the issuer can make: no `none`, and no HMAC whose key could be the public key or our own secret. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

export interface Expected {
  issuer: string;
  /** Other spellings that its tokens use. */
  issuerAliases: readonly string[];
  /** Client ids that are ours. */
  audiences: readonly string[];
  nonce: string;
  now: Date;
  leewaySeconds: number;
}

/**
 * Who an ID token names, after everything that could make it somebody else's word or somebody else's token.
 * @throws NotProvedError; and what `keys` throws where the provider is away
 */
export async function readIdToken(token: string, keys: JWTVerifyGetKey, expected: Expected): Promise<ProvedIdentity> {
  const claims = await verify(token, keys, expected);
  // Every audience must be ours (OpenID Connect Core §3.1.3.7): a token that was made for another application, whoever
  // handed it on, opens nothing here.
  const audiences = [claims.aud ?? []].flat();
  if (audiences.length === 0 || !audiences.every((audience) => expected.audiences.includes(audience))) {
    throw new NotProvedError('the token was made for another application');
  }
  // Bound to whoever began this sign-in: a token that was stolen, or slipped in by somebody else, has another nonce.
  if (typeof claims['nonce'] !== 'string' || !sameBytes(Buffer.from(claims['nonce']), Buffer.from(expected.nonce))) {
    throw new NotProvedError('the nonce is another');
  }
  const subject = subjectOf(claims.sub);
  if (subject === null) throw new NotProvedError('the token names nobody');
  return {
    issuer: expected.issuer,
    subject,
    email: emailOf(claims),
    firstName: nameOf(claims['given_name']),
    lastName: nameOf(claims['family_name']),
    accessTokenExpiresIn: null,
  };
}

async function verify(token: string, keys: JWTVerifyGetKey, expected: Expected): Promise<JWTPayload> {
  const { jwtVerify, errors } = await import('jose');
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keys, {
      algorithms: ALGORITHMS,
      issuer: [expected.issuer, ...expected.issuerAliases],
      requiredClaims: ['sub', 'aud', 'iat', 'exp', 'nonce'],
      currentDate: expected.now,
      clockTolerance: expected.leewaySeconds,
    });
    // An access token or a logout token of the same issuer (RFC 9068, OpenID Connect Back-Channel Logout) is none.
    if (protectedHeader.typ !== undefined && protectedHeader.typ.toUpperCase() !== 'JWT') {
      throw new NotProvedError('the token is of another kind');
    }
    return payload;
  } catch (error) {
    if (error instanceof errors.JOSEError) throw new NotProvedError(`the token is not valid (${error.code})`);
    throw error;
  }
}

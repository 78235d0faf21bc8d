import { createPrivateKey, createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto';

/** How access tokens may be signed (RFC 7518 §3.1). */
export const SIGNING_ALGORITHMS = ['ES256', 'RS256', 'HS256'] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** A key that the operator brings along. */
export interface OwnSigningKey {
  algorithm: SigningAlgorithm;
  /** Private, secret or, where it only verifies, public. */
  key: KeyObject;
  /** It was neither PEM nor JWK, so its own bytes are the secret. */
  plain: boolean;
}

const LEAST_SECRET_BYTES = 32;
const LEAST_RSA_BITS = 2048;

/** A PEM, a JWK or the text of a secret; a sentence where it is none that may be used. It never shows what was read. */
export function readSigningKey(text: string): OwnSigningKey | string {
  const key = keyOf(text);
  if (!key) return 'must be a PEM without a passphrase, a JWK, or a secret of 32 bytes or more';
  switch (key.type === 'secret' ? 'secret' : key.asymmetricKeyType) {
    case 'secret': {
      if ((key.symmetricKeySize ?? 0) < LEAST_SECRET_BYTES) return 'the secret must have 32 bytes or more';
      return { algorithm: 'HS256', key, plain: !isPem(text) && !isJwk(text) };
    }
    case 'ec': {
      if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return 'the curve of an EC key must be P-256';
      return { algorithm: 'ES256', key, plain: false };
    }
    case 'rsa': {
      if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < LEAST_RSA_BITS)
        return 'an RSA key must have 2048 bits or more';
      return { algorithm: 'RS256', key, plain: false };
    }
    default:
      return 'must be an EC key (P-256), an RSA key, or a secret';
  }
}

/** What looks like a PEM or a JWK is never taken for a secret: a public key is known to everybody. */
function keyOf(text: string): KeyObject | null {
  try {
    if (isPem(text)) return text.includes('PRIVATE KEY-----') ? createPrivateKey(text) : createPublicKey(text);
    if (isJwk(text)) return keyOfJwk(JSON.parse(text) as JsonWebKey);
    return createSecretKey(text, 'utf8');
  } catch {
    return null;
  }
}

function keyOfJwk(jwk: JsonWebKey): KeyObject {
  if (jwk.kty === 'oct') return createSecretKey(jwk.k ?? '', 'base64url');
  const input = { key: jwk, format: 'jwk' } as const;
  return jwk.d === undefined ? createPublicKey(input) : createPrivateKey(input);
}

function isPem(text: string): boolean {
  return text.startsWith('-----BEGIN');
}

function isJwk(text: string): boolean {
  return text.startsWith('{');
}

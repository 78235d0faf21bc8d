import {
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPair,
  randomBytes,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';
import type { SigningAlgorithm } from '../config/signing-key.js';

const newKeyPair = promisify(generateKeyPair);

/** The public members of a key (RFC 7518 §6), and what it is for. */
export type PublicJwk = Record<string, string>;

/** A key parsed once: signing with PEM text costs fifteen times as much. */
export interface KeyMaterial {
  kid: string;
  /** The only one that the key is used with, whatever the header of a token says (RFC 8725 §3.1). */
  algorithm: SigningAlgorithm;
  /** Null where only the public half is known. */
  signingKey: KeyObject | null;
  verifyingKey: KeyObject;
  /** Null for a secret, which nobody else may see. */
  publicJwk: PublicJwk | null;
}

/** Asynchronous: the primes of an RSA key take a while. */
export async function generateKey(algorithm: SigningAlgorithm): Promise<KeyObject> {
  switch (algorithm) {
    case 'ES256':
      return (await newKeyPair('ec', { namedCurve: 'P-256' })).privateKey;
    case 'RS256':
      return (await newKeyPair('rsa', { modulusLength: 2048 })).privateKey;
    case 'HS256':
      return createSecretKey(randomBytes(32));
  }
}

/** From a private, secret or public key. Without a name it is called by its thumbprint. */
export function materialOf(key: KeyObject, algorithm: SigningAlgorithm, name?: string): KeyMaterial {
  const verifyingKey = key.type === 'private' ? createPublicKey(key) : key;
  const members = requiredMembers(verifyingKey.export({ format: 'jwk' }));
  const kid = name ?? thumbprint(members);
  return {
    kid,
    algorithm,
    signingKey: key.type === 'public' ? null : key,
    verifyingKey,
    publicJwk: key.type === 'secret' ? null : { ...members, kid, use: 'sig', alg: algorithm },
  };
}

/** The private key as text, to be sealed. */
export function exportKey(key: KeyObject): string {
  if (key.type === 'secret') return key.export().toString('base64url');
  return key.export({ format: 'pem', type: 'pkcs8' }).toString();
}

export function importKey(text: string, algorithm: SigningAlgorithm): KeyObject {
  return algorithm === 'HS256' ? createSecretKey(text, 'base64url') : createPrivateKey(text);
}

/** Those that make the key what it is, in the order of RFC 7638 §3.2, and nothing private of a key pair. */
function requiredMembers({ kty, crv, x, y, e, n, k }: JsonWebKey): Record<string, string> {
  if (kty === 'EC' && crv && x && y) return { crv, kty, x, y };
  if (kty === 'RSA' && e && n) return { e, kty, n };
  if (kty === 'oct' && k) return { k, kty };
  throw new Error('A signing key is of a type that has no thumbprint');
}

/** RFC 7638: the same on every replica, without asking anybody. */
function thumbprint(members: Record<string, string>): string {
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}

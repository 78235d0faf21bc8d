import { createPublicKey, verify, type JsonWebKey } from 'node:crypto';

export interface AccessToken {
  header: { typ: string; alg: string; kid: string };
  claims: {
    iss: string;
    aud: string;
    sub: string;
    sid: string;
    jti: string;
    iat: number;
    exp: number;
    auth_time: number;
    amr: string[];
    acr: string;
    roles: string[];
  };
}

export interface KeySet {
  keys: (JsonWebKey & { kid: string })[];
}

/** Reads a token without checking it, as anybody can: it is signed, not secret. */
export function decode(token: string): AccessToken {
  const [header = '', claims = ''] = token.split('.');
  return { header: readPart(header), claims: readPart(claims) } as AccessToken;
}

function readPart(part: string): unknown {
  return JSON.parse(Buffer.from(part, 'base64url').toString());
}

/** All that another service needs to trust a token (RFC 7515 §5.2): ES256 is in every standard library. */
export function isGenuine(token: string, { keys }: KeySet): boolean {
  const [header = '', claims = '', signature = ''] = token.split('.');
  const jwk = keys.find(({ kid }) => kid === decode(token).header.kid);
  if (!jwk) return false;
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  return verify(
    'sha256',
    Buffer.from(`${header}.${claims}`),
    { key, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  );
}

/** The same token with one claim changed, as a forger would. */
export function tamper(token: string): string {
  const [header = '', , signature = ''] = token.split('.');
  const claims = { ...decode(token).claims, roles: ['admin'] };
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
}

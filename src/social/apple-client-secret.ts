import { createPrivateKey } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import type { Config } from '../config/config.js';

const LIFE_SECONDS = 300;

/** Apple's client secret: a JWT, made for one request, so that there is none to renew every six months. */
export async function appleClientSecret(
  { clientId, clientSecret, teamId, keyId, privateKey, issuer }: Config['social']['apple'],
  clock: Clock,
): Promise<string> {
  if (clientSecret !== null) return clientSecret;
  const { SignJWT } = await import('jose');
  const now = clock.seconds();
  return new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', kid: keyId ?? '' })
    .setIssuer(teamId ?? '')
    .setSubject(clientId ?? '')
    .setAudience(issuer)
    .setIssuedAt(now)
    .setExpirationTime(now + LIFE_SECONDS)
    .sign(createPrivateKey(privateKey ?? ''));
}

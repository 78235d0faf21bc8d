import type { Config } from '../config/config.js';
import { emailOf, subjectOf, type Claims } from './claims.js';
import type { ProviderHttp } from './provider-http.js';
import { NotProvedError, type ProvedIdentity } from './provider.js';

/**
 * Who an access token of Google's is for. It alone says nothing about whom it was made for: any application that
 * somebody signed in to could send his token here and come in as him. Google is asked, and the answer must name us.
 */
export async function readGoogleAccessToken(
  http: ProviderHttp,
  { tokeninfoUrl, issuer, clientId, audiences }: Config['social']['google'],
  accessToken: string,
): Promise<ProvedIdentity> {
  // In a header: a URL stands in the logs of whatever is on the way.
  const response = await http.fetch(tokeninfoUrl, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${accessToken}`,
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    },
  });
  const told = (await response.json()) as Claims | null;
  if (!response.ok || told === null) throw new NotProvedError(`Google refuses the access token (${response.status})`);
  const ours: readonly unknown[] = [clientId, ...audiences];
  const { aud, azp = aud } = told;
  if (aud === undefined || !ours.includes(aud) || !ours.includes(azp)) {
    throw new NotProvedError('the access token was made for another application');
  }
  const subject = subjectOf(told['sub']);
  const expiresIn = Number(told['expires_in']);
  if (subject === null || !(expiresIn > 0)) throw new NotProvedError('the access token names nobody, or has expired');
  return { issuer, subject, email: emailOf(told), firstName: '', lastName: '', accessTokenExpiresIn: expiresIn };
}

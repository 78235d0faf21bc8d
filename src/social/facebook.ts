import { createHmac } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import type { Config } from '../config/config.js';
import { emailOf, nameOf, subjectOf, type Claims } from './claims.js';
import type { ProviderHttp } from './provider-http.js';
import { NotProvedError, type IdentityProof, type IdentityProvider, type ProvedIdentity } from './provider.js';

/** Facebook's own name in its tokens; ids are of one application and never used twice. */
const ISSUER = 'https://www.facebook.com';

/** Facebook Login gives frontends an access token, and says whom it was made for (`debug_token`). */
export class Facebook implements IdentityProvider {
  readonly name = 'facebook';
  readonly displayName = 'Facebook';
  readonly accepts = ['accessToken'] as const;

  constructor(
    private readonly settings: Config['social']['facebook'],
    private readonly http: ProviderHttp,
    private readonly clock: Clock,
  ) {}

  async prove(proof: IdentityProof): Promise<ProvedIdentity> {
    if (proof.kind !== 'accessToken') throw new NotProvedError('Facebook is asked about access tokens only');
    const { accessToken } = proof;
    const { userId, expiresIn } = await this.inspect(accessToken);
    // Proves to Facebook that the secret's owner asks: a token alone is then worth nothing elsewhere.
    const secretProof = createHmac('sha256', this.settings.clientSecret ?? '')
      .update(accessToken)
      .digest('hex');
    const query = new URLSearchParams({ fields: 'id,first_name,last_name,email', appsecret_proof: secretProof });
    const me = await this.ask(`/me?${query.toString()}`, accessToken);
    if (me['id'] !== userId) throw new NotProvedError('the access token is of somebody else');
    const email = emailOf({ email: me['email'] });
    return {
      issuer: ISSUER,
      subject: userId,
      // Facebook never says whether it has verified an address.
      email: email && { ...email, verified: false },
      firstName: nameOf(me['first_name']),
      lastName: nameOf(me['last_name']),
      accessTokenExpiresIn: expiresIn,
    };
  }

  authorizationUrl(): Promise<null> {
    return Promise.resolve(null);
  }

  /** A token of another application would otherwise open the account of whoever signed in there. */
  private async inspect(accessToken: string): Promise<{ userId: string; expiresIn: number }> {
    const { clientId, clientSecret } = this.settings;
    const query = new URLSearchParams({ input_token: accessToken });
    const { data } = await this.ask(`/debug_token?${query.toString()}`, `${clientId}|${clientSecret}`);
    const told = (typeof data === 'object' ? data : null) as Claims | null;
    if (told?.['is_valid'] !== true || String(told['app_id']) !== clientId || told['type'] !== 'USER') {
      throw new NotProvedError('the access token is not valid, or was made for another application');
    }
    const userId = subjectOf(told['user_id']);
    // Tokens without an end (0) are those of pages and systems: nobody has just signed in to get one.
    const expiresIn = Number(told['expires_at']) - this.clock.seconds();
    if (userId === null || !(expiresIn > 0)) throw new NotProvedError('the access token names nobody, or has expired');
    return { userId, expiresIn };
  }

  private async ask(path: string, token: string): Promise<Claims> {
    const response = await this.http.fetch(`${this.settings.apiUrl}${path}`, {
      headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
    });
    const told = (await response.json()) as Claims | null;
    if (response.ok && told !== null) return told;
    throw new NotProvedError(`Facebook refuses (${response.status})`);
  }
}

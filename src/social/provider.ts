/** What a frontend brings from a provider. */
export type IdentityProof =
  | { kind: 'code'; code: string; redirectUri: string; codeVerifier: string; issuer: string | null; nonce: string }
  | { kind: 'idToken'; idToken: string; nonce: string }
  | { kind: 'accessToken'; accessToken: string };

export type ProofKind = IdentityProof['kind'];

/** Who somebody is at a provider. */
export interface ProvedIdentity {
  issuer: string;
  /** The issuer's own name for him, which never changes and is nobody else's. An address does and may be. */
  subject: string;
  email: { address: string; canonical: string; verified: boolean } | null;
  firstName: string;
  lastName: string;
  /** Seconds until the access token that said so ends by itself; null where a nonce makes it good once. */
  accessTokenExpiresIn: number | null;
}

/** Where people are known already. */
export interface IdentityProvider {
  /** As in paths. */
  readonly name: string;
  readonly displayName: string;
  readonly accepts: readonly ProofKind[];
  /**
   * @param nonce what must stand in the ID token
   * @throws NotProvedError, ProviderAwayError
   */
  prove(proof: IdentityProof, nonce: string | null): Promise<ProvedIdentity>;
  /**
   * Where a browser is sent to come back with a code; null where the provider takes no codes.
   * @throws ProviderAwayError
   */
  authorizationUrl(wanted: AuthorizationRequest): Promise<string | null>;
}

export interface AuthorizationRequest {
  redirectUri: string;
  codeChallenge: string;
  state: string | null;
  nonce: string;
}

/** The provider does not vouch for what was brought. The message is for the log: never a token. */
export class NotProvedError extends Error {
  override readonly name = 'NotProvedError';
}

/** The provider does not answer, answers nonsense, or does not know this service. */
export class ProviderAwayError extends Error {
  override readonly name = 'ProviderAwayError';
}

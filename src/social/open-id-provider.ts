import { Logger } from '@nestjs/common';
import type { JWTVerifyGetKey } from 'jose';
import type { Configuration, ServerMetadata } from 'openid-client';
import type { Clock } from '../clock/clock.js';
import { readIdToken } from './id-token.js';
import type { ProviderHttp } from './provider-http.js';
import {
  NotProvedError,
  ProviderAwayError,
  type AuthorizationRequest,
  type IdentityProof,
  type IdentityProvider,
  type ProofKind,
  type ProvedIdentity,
} from './provider.js';

/** Milliseconds. */
const METADATA_LIFE = 3_600_000;
const KEYS_LIFE = 600_000;
/** An unknown key id makes the keys be read again, but not by everybody who invents one. */
const KEYS_COOLDOWN = 10_000;

/** Faults of ours that the token endpoint reports (RFC 6749 §5.2): no user can do anything about them. */
const MISCONFIGURED: ReadonlySet<string> = new Set(['invalid_client', 'unauthorized_client', 'unsupported_grant_type']);

export interface OpenIdSettings {
  name: string;
  displayName: string;
  issuer: string;
  /** Other spellings of the issuer that its tokens use. */
  issuerAliases?: readonly string[];
  clientId: string;
  /** Other client ids of ours, whose ID tokens are taken too. */
  audiences: readonly string[];
  scopes: string;
  /** Asked for each request: Apple's is a JWT that expires. */
  clientSecret: () => Promise<string> | string;
  /** Only where the provider says whom an access token was made for. */
  readAccessToken?: (accessToken: string) => Promise<ProvedIdentity>;
  leewaySeconds: number;
}

interface Known {
  library: typeof import('openid-client');
  server: ServerMetadata;
  keys: JWTVerifyGetKey;
}

/** A provider that speaks OpenID Connect. Everything about it but its issuer is read from its own metadata. */
export class OpenIdProvider implements IdentityProvider {
  private readonly logger = new Logger('Social');
  private known: Promise<Known> | null = null;
  private askedAt = 0;
  private readonly fetch: (url: string, options: object) => Promise<Response>;

  readonly name: string;
  readonly displayName: string;
  readonly accepts: readonly ProofKind[];

  constructor(
    private readonly settings: OpenIdSettings,
    http: ProviderHttp,
    private readonly clock: Clock,
  ) {
    this.name = settings.name;
    this.displayName = settings.displayName;
    this.fetch = (url, options) => http.fetch(url, options);
    this.accepts = settings.readAccessToken ? ['code', 'idToken', 'accessToken'] : ['code', 'idToken'];
  }

  async prove(proof: IdentityProof, nonce: string | null): Promise<ProvedIdentity> {
    if (proof.kind === 'accessToken') {
      if (!this.settings.readAccessToken) throw new NotProvedError('nobody says whom the access token was made for');
      return this.settings.readAccessToken(proof.accessToken);
    }
    if (nonce === null) throw new NotProvedError('there is no nonce');
    const known = await this.metadata();
    const idToken = proof.kind === 'idToken' ? proof.idToken : await this.exchange(known, proof, nonce);
    return readIdToken(idToken, known.keys, {
      issuer: known.server.issuer,
      issuerAliases: this.settings.issuerAliases ?? [],
      audiences: [this.settings.clientId, ...this.settings.audiences],
      nonce,
      now: this.clock.now(),
      leewaySeconds: this.settings.leewaySeconds,
    });
  }

  async authorizationUrl({ redirectUri, codeChallenge, state, nonce }: AuthorizationRequest): Promise<string> {
    const known = await this.metadata();
    const url = known.library.buildAuthorizationUrl(await this.clientAt(known), {
      // As the exchange will spell it: providers compare it letter by letter.
      redirect_uri: new URL(redirectUri).href,
      scope: this.settings.scopes,
      code_challenge: codeChallenge,
      code_challenge_method: 'S256',
      nonce,
      ...(state === null ? {} : { state }),
    });
    return url.href;
  }

  /** The code for an ID token. A code that was stolen is worth nothing without the verifier of its browser (RFC 7636). */
  private async exchange(
    known: Known,
    { code, codeVerifier, redirectUri, issuer }: IdentityProof & { kind: 'code' },
    nonce: string,
  ): Promise<string> {
    const answer = new URL(redirectUri);
    answer.searchParams.set('code', code);
    // Who sent the browser back, where it told (RFC 9207): with a code of another provider it would be mixed up.
    answer.searchParams.set('iss', issuer ?? known.server.issuer);
    try {
      const tokens = await known.library.authorizationCodeGrant(await this.clientAt(known), answer, {
        pkceCodeVerifier: codeVerifier,
        expectedNonce: nonce,
        idTokenExpected: true,
      });
      return tokens.id_token ?? '';
    } catch (error) {
      throw this.read(known.library, error as Error);
    }
  }

  private read(library: Known['library'], error: Error): Error {
    const away = awayIn(error);
    if (away) return away;
    if (error instanceof library.ResponseBodyError && MISCONFIGURED.has(error.error)) {
      this.logger.error(
        `${this.name} refuses this service as its client: ${error.error}; look at its client id and secret`,
      );
      return new ProviderAwayError(error.error);
    }
    if (error instanceof library.ResponseBodyError) return new NotProvedError('the code is not valid');
    if (error instanceof library.ClientError || error instanceof library.AuthorizationResponseError) {
      return new NotProvedError(`the answer to the code is not valid (${error.code ?? 'unknown'})`);
    }
    return error;
  }

  private metadata(): Promise<Known> {
    if (this.known && performance.now() - this.askedAt < METADATA_LIFE) return this.known;
    const asked = this.discover();
    this.known = asked;
    this.askedAt = performance.now();
    asked.catch(() => {
      // The next one asks again.
      if (this.known === asked) this.known = null;
    });
    return asked;
  }

  /** Loaded when it is first needed: a service without providers never is. */
  private async discover(): Promise<Known> {
    const [library, jose] = await Promise.all([import('openid-client'), import('jose')]);
    const { issuer, clientId } = this.settings;
    try {
      const found = await library.discovery(new URL(issuer), clientId, undefined, library.None(), {
        [library.customFetch]: this.fetch,
        execute: this.transport(library),
      });
      const server = found.serverMetadata();
      if (!server.jwks_uri || !server.authorization_endpoint || !server.token_endpoint) {
        throw new ProviderAwayError('the metadata lack an endpoint');
      }
      const remote = jose.createRemoteJWKSet(new URL(server.jwks_uri), {
        cooldownDuration: KEYS_COOLDOWN,
        cacheMaxAge: KEYS_LIFE,
        [jose.customFetch]: this.fetch,
      });
      const keys: JWTVerifyGetKey = async (header, token) => {
        try {
          return await remote(header, token);
        } catch (error) {
          const { JWKSNoMatchingKey, JWKSMultipleMatchingKeys } = jose.errors;
          if (error instanceof JWKSNoMatchingKey || error instanceof JWKSMultipleMatchingKeys) throw error;
          throw awayIn(error) ?? new ProviderAwayError('the keys cannot be used');
        }
      };
      return { library, server, keys };
    } catch (error) {
      throw awayIn(error) ?? new ProviderAwayError(`the metadata cannot be used: ${(error as Error).message}`);
    }
  }

  private async clientAt({ library, server }: Known): Promise<Configuration> {
    const { clientId, clientSecret, leewaySeconds } = this.settings;
    const secret = await clientSecret();
    const authentication = takesBody(server) ? library.ClientSecretPost(secret) : library.ClientSecretBasic(secret);
    const client = new library.Configuration(
      server,
      clientId,
      { [library.clockTolerance]: leewaySeconds },
      authentication,
    );
    client[library.customFetch] = this.fetch;
    for (const prepare of this.transport(library)) prepare(client);
    return client;
  }

  /** Plain `http` was decided by the configuration, which allows it in production on this machine alone. */
  private transport(library: Known['library']): ((client: Configuration) => void)[] {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked to stand out, not to go away
    return this.settings.issuer.startsWith('http:') ? [library.allowInsecureRequests] : [];
  }
}

/** OpenID Connect Discovery §3: a provider that names no method takes the header. */
function takesBody(server: ServerMetadata): boolean {
  return server.token_endpoint_auth_methods_supported?.includes('client_secret_post') === true;
}

/** The libraries wrap what our own fetch threw. */
function awayIn(error: unknown): ProviderAwayError | null {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof ProviderAwayError) return at;
  return null;
}

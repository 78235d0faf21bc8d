import { exportJWK, generateKeyPair, jwtVerify, SignJWT, type CryptoKey, type JWK } from 'jose';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Json = Record<string, unknown>;

/** How the provider fails from now on, for paths that begin like this. */
export type Trouble = 'refuses' | 'fails' | 'hangs' | 'nonsense' | 'endless' | { redirectsTo: string };

/** A client, and what its secret has to be: a text, or the public key of a JWT as Apple wants one. */
export interface RegisteredClient {
  id: string;
  secret: string | { publicKey: CryptoKey; keyId: string; teamId: string };
}

interface Grant {
  clientId: string;
  redirectUri: string;
  challenge: string | null;
  claims: Json;
}

/** Whom an access token was made for, by whom. */
export interface AccessToken {
  clientId: string;
  subject: string;
  expiresAt: number;
  claims: Json;
  type?: string;
}

/**
 * A provider of identities on 127.0.0.1, as far as people see one: authorization code with PKCE, ID tokens, Google's
 * tokeninfo and Facebook's graph. It judges what it is sent, and signs what a test asks for, also what it should not.
 */
export class OpenIdProvider {
  readonly clients = new Map<string, RegisteredClient>();
  readonly accessTokens = new Map<string, AccessToken>();
  /** The paths that were asked for, in order. */
  readonly hits: string[] = [];
  readonly trouble = new Map<string, Trouble>();
  /** Bytes of answers without an end. */
  endlessBytes = 0;
  /** How a client proves to be one. */
  authentication = ['client_secret_post', 'client_secret_basic'];
  /** What an authorization ends with; changed by tests to misbehave. */
  tamper: (claims: Json) => Json = (claims) => claims;
  now: () => number = () => Math.floor(Date.now() / 1000);
  private readonly grants = new Map<string, Grant>();
  keyId = 'first';

  private constructor(
    private readonly server: Server,
    private privateKey: CryptoKey,
    public publicJwk: JWK,
  ) {
    server.on('request', (request, response) => void this.answer(request, response));
  }

  static async start(): Promise<OpenIdProvider> {
    const { privateKey, publicKey } = await generateKeyPair('RS256');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new OpenIdProvider(server, privateKey, await exportJWK(publicKey));
  }

  get issuer(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async rotateKey(keyId: string): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair('RS256');
    this.privateKey = privateKey;
    this.publicJwk = await exportJWK(publicKey);
    this.keyId = keyId;
  }

  /** An ID token with exactly these claims, besides times that are right. */
  sign(claims: Json, header: Record<string, unknown> = {}, key = this.privateKey): Promise<string> {
    const now = this.now();
    return new SignJWT({ iss: this.issuer, iat: now, exp: now + 3600, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: this.keyId, ...header })
      .sign(key);
  }

  /** An access token that this provider knows. */
  accessToken(token: Partial<AccessToken> & { clientId: string; subject: string }): string {
    const value = `access-${randomBytes(12).toString('hex')}`;
    this.accessTokens.set(value, { expiresAt: this.now() + 3599, claims: {}, ...token });
    return value;
  }

  /** A person follows a link to this provider and signs in; where his browser is sent then. */
  async visit(link: string, claims: Json): Promise<URL> {
    const url = new URL(link);
    url.searchParams.set('as', JSON.stringify(claims));
    const { status, headers } = await fetch(url, { redirect: 'manual' });
    if (status !== 302) throw new Error(`The provider answered ${status}`);
    return new URL(headers.get('location') ?? '');
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.issuer);
    this.hits.push(url.pathname);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const trouble = [...this.trouble].find(([path]) => url.pathname.startsWith(path))?.[1];
    if (trouble === 'endless') return this.goOn(response);
    if (trouble !== undefined) return misbehave(trouble, request, response);
    const body = new URLSearchParams(Buffer.concat(chunks).toString());
    const [status, told] = await this.reply(url, request, body);
    if (status === 302) response.setHeader('location', told as string);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(told));
  }

  private goOn(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/json' });
    const chunk = ' '.repeat(65_536);
    const more = () => {
      if (response.destroyed) return;
      this.endlessBytes += chunk.length;
      response.write(chunk, more);
    };
    more();
  }

  private async reply({ pathname, searchParams }: URL, request: IncomingMessage, body: URLSearchParams) {
    const bearer = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
    switch (pathname) {
      case '/.well-known/openid-configuration':
        return [200, this.metadata()] as const;
      case '/jwks':
        return [200, { keys: [{ ...this.publicJwk, kid: this.keyId, alg: 'RS256', use: 'sig' }] }] as const;
      case '/authorize':
        return [302, this.authorize(searchParams)] as const;
      case '/token':
        return this.exchange(body, request.headers.authorization);
      case '/tokeninfo':
        return this.tokenInfo(bearer);
      case '/graph/debug_token':
        return this.debugToken(searchParams.get('input_token') ?? '', bearer);
      case '/graph/me':
        return this.me(bearer, searchParams.get('appsecret_proof'));
      default:
        return [404, {}] as const;
    }
  }

  private metadata(): Json {
    return {
      issuer: this.issuer,
      authorization_endpoint: `${this.issuer}/authorize`,
      token_endpoint: `${this.issuer}/token`,
      jwks_uri: `${this.issuer}/jwks`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      token_endpoint_auth_methods_supported: this.authentication,
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
    };
  }

  private authorize(query: URLSearchParams): string {
    const redirectUri = query.get('redirect_uri') ?? '';
    const code = randomBytes(12).toString('hex');
    this.grants.set(code, {
      clientId: query.get('client_id') ?? '',
      redirectUri,
      challenge: query.get('code_challenge_method') === 'S256' ? query.get('code_challenge') : null,
      claims: { nonce: query.get('nonce') ?? undefined, ...(JSON.parse(query.get('as') ?? '{}') as Json) },
    });
    const back = new URL(redirectUri);
    back.searchParams.set('code', code);
    back.searchParams.set('iss', this.issuer);
    const state = query.get('state');
    if (state !== null) back.searchParams.set('state', state);
    return back.href;
  }

  private async exchange(body: URLSearchParams, authorization: string | undefined): Promise<[number, Json]> {
    const clientId = await this.clientOf(body, authorization);
    if (clientId === null) return [401, { error: 'invalid_client' }];
    const grant = this.grants.get(body.get('code') ?? '');
    this.grants.delete(body.get('code') ?? '');
    const challenge = createHash('sha256')
      .update(body.get('code_verifier') ?? '')
      .digest('base64url');
    const matches =
      grant?.clientId === clientId && grant.redirectUri === body.get('redirect_uri') && grant.challenge === challenge;
    if (!grant || !matches) return [400, { error: 'invalid_grant' }];
    const idToken = await this.sign(this.tamper({ aud: clientId, ...grant.claims }));
    return [200, { access_token: 'not-looked-at', token_type: 'Bearer', expires_in: 3600, id_token: idToken }];
  }

  private async clientOf(body: URLSearchParams, authorization: string | undefined): Promise<string | null> {
    const basic = Buffer.from(authorization?.replace(/^Basic /, '') ?? '', 'base64').toString();
    const [id = '', secret = ''] = authorization
      ? basic.split(':').map((part) => decodeURIComponent(part.replaceAll('+', ' ')))
      : [body.get('client_id') ?? '', body.get('client_secret') ?? ''];
    if (!this.authentication.includes(authorization ? 'client_secret_basic' : 'client_secret_post')) return null;
    const client = this.clients.get(id);
    if (!client) return null;
    if (typeof client.secret === 'string') return secret === client.secret ? id : null;
    const { publicKey, keyId, teamId } = client.secret;
    // As Apple checks it: whose key, whose team, for which client, and for Apple alone.
    const { payload, protectedHeader } = await jwtVerify(secret, publicKey, {
      algorithms: ['ES256'],
      issuer: teamId,
      subject: id,
      audience: this.issuer,
      requiredClaims: ['iat', 'exp'],
      currentDate: new Date(this.now() * 1000),
    });
    const life = (payload.exp ?? 0) - (payload.iat ?? 0);
    return protectedHeader.kid === keyId && life <= 15_777_000 ? id : null;
  }

  private tokenInfo(bearer: string): [number, Json] {
    const token = this.accessTokens.get(bearer);
    if (!token || token.expiresAt <= this.now()) return [400, { error: 'invalid_token' }];
    const { clientId, subject, claims, expiresAt } = token;
    const expiresIn = String(expiresAt - this.now());
    return [200, { aud: clientId, azp: clientId, sub: subject, expires_in: expiresIn, ...claims }];
  }

  private debugToken(inspected: string, bearer: string): [number, Json] {
    const [appId = '', secret] = bearer.split('|');
    if (this.clients.get(appId)?.secret !== secret) return [400, { error: { code: 190 } }];
    const token = this.accessTokens.get(inspected);
    if (!token || token.expiresAt <= this.now()) return [200, { data: { is_valid: false } }];
    const { clientId, subject, expiresAt, type = 'USER' } = token;
    return [200, { data: { is_valid: true, app_id: clientId, user_id: subject, expires_at: expiresAt, type } }];
  }

  private me(bearer: string, secretProof: string | null): [number, Json] {
    const token = this.accessTokens.get(bearer);
    const secret = this.clients.get(token?.clientId ?? '')?.secret;
    const expected = typeof secret === 'string' && createHmac('sha256', secret).update(bearer).digest('hex');
    if (!token || secretProof !== expected) return [400, { error: { code: 100 } }];
    return [200, { id: token.subject, ...token.claims }];
  }
}

function misbehave(trouble: Exclude<Trouble, 'endless'>, request: IncomingMessage, response: ServerResponse): void {
  if (typeof trouble === 'object') {
    response.writeHead(302, { location: trouble.redirectsTo }).end();
    return;
  }
  switch (trouble) {
    case 'refuses':
      request.socket.destroy();
      return;
    case 'fails':
      response.writeHead(502).end('{}');
      return;
    case 'nonsense':
      response.writeHead(200, { 'content-type': 'application/json' }).end('<html>Welcome to the hotel</html>');
      return;
    case 'hangs':
  }
}

import { exportPKCS8, generateKeyPair } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { OpenIdProvider, type Trouble } from '../support/openid-provider.js';
import { enrollTotp, firstFactor, register, secondFactor, type Asked, type SignedIn } from '../support/people.js';
import { begin, comeBack, idTokenFor, REDIRECT, signInByCode, signInByIdToken } from '../support/social.js';

/** Google and Facebook are one server here, Apple and a company's own provider are others. */
let google: OpenIdProvider;
let apple: OpenIdProvider;
let corp: OpenIdProvider;
let app: TestApp;

let people = 0;
const someone = (extra: Record<string, unknown> = {}) => {
  people += 1;
  return { sub: `subject-${people}`, email: `someone-${people}@example.com`, email_verified: true, ...extra };
};

beforeAll(async () => {
  [google, apple, corp] = await Promise.all([OpenIdProvider.start(), OpenIdProvider.start(), OpenIdProvider.start()]);
  const appleKey = await generateKeyPair('ES256', { extractable: true });
  google.clients.set('our-web-client', { id: 'our-web-client', secret: 'google-secret' });
  google.clients.set('1234567890', { id: '1234567890', secret: 'facebook-secret' });
  apple.clients.set('com.example.web', {
    id: 'com.example.web',
    secret: { publicKey: appleKey.publicKey, keyId: 'KEY1234567', teamId: 'TEAM123456' },
  });
  apple.authentication = ['client_secret_post'];
  // A secret that is spelled otherwise in a header.
  corp.clients.set('countersign', { id: 'countersign', secret: 'corp:secret+100%' });
  corp.authentication = ['client_secret_basic'];
  app = await startApp({
    TWO_FACTOR_TRUSTED_METHODS: 'none,email,sms,totp',
    TWO_FACTOR_FALLBACK_METHOD: 'none',
    REDIRECT_ALLOWLIST: REDIRECT,
    SOCIAL_GOOGLE_CLIENT_ID: 'our-web-client',
    SOCIAL_GOOGLE_CLIENT_SECRET: 'google-secret',
    SOCIAL_GOOGLE_AUDIENCES: 'our-android-client,our-ios-client',
    SOCIAL_GOOGLE_ISSUER: google.issuer,
    SOCIAL_GOOGLE_TOKENINFO_URL: `${google.issuer}/tokeninfo`,
    SOCIAL_FACEBOOK_CLIENT_ID: '1234567890',
    SOCIAL_FACEBOOK_CLIENT_SECRET: 'facebook-secret',
    SOCIAL_FACEBOOK_API_URL: `${google.issuer}/graph`,
    SOCIAL_APPLE_CLIENT_ID: 'com.example.web',
    SOCIAL_APPLE_TEAM_ID: 'TEAM123456',
    SOCIAL_APPLE_KEY_ID: 'KEY1234567',
    SOCIAL_APPLE_PRIVATE_KEY: await exportPKCS8(appleKey.privateKey),
    SOCIAL_APPLE_AUDIENCES: 'com.example.app',
    SOCIAL_APPLE_ISSUER: apple.issuer,
    OIDC_CORP_ISSUER: corp.issuer,
    OIDC_CORP_CLIENT_ID: 'countersign',
    OIDC_CORP_CLIENT_SECRET: 'corp:secret+100%',
    OIDC_CORP_DISPLAY_NAME: 'Example Corp',
  });
  for (const idp of [google, apple, corp]) idp.now = () => app.clock.seconds();
});
afterAll(async () => {
  await app.close();
  await Promise.all([google, apple, corp].map((idp) => idp.stop()));
});

describe('somebody comes from a provider for the first time, and has an account', () => {
  it.each([
    ['google', () => google],
    ['apple', () => apple],
    ['corp', () => corp],
  ] as const)('%s: with a code, its verifier and the nonce', async (provider, idp) => {
    const claims = someone({ given_name: 'Ada', family_name: 'Lovelace' });
    const { status, body } = await signInByCode(app, provider, idp(), claims);
    expect([status, body.status]).toEqual([200, 'authenticated']);
    expect(body.user).toMatchObject({
      email: claims.email,
      emailVerified: true,
      firstName: 'Ada',
      lastName: 'Lovelace',
    });
    const again = await signInByCode(app, provider, idp(), claims);
    expect(again.body.user.id).toBe(body.user.id);
    expect(await eventsOf(body.user.id)).toEqual([
      'user.created',
      'identity.connected',
      'sign-in.succeeded',
      'sign-in.succeeded',
    ]);
  });

  it('the way to the provider holds all that it needs, and the state comes back', async () => {
    const { url, nonce } = await begin(app, 'corp', 'the state');
    const query = Object.fromEntries(new URL(url).searchParams);
    expect(query).toMatchObject({
      client_id: 'countersign',
      response_type: 'code',
      redirect_uri: REDIRECT,
      scope: 'openid email profile',
      code_challenge_method: 'S256',
      state: 'the state',
    });
    // The nonce stays with the browser; what goes on the way gives it away to nobody.
    expect(url).not.toContain(nonce);
    const back = await corp.visit(url, someone());
    expect(back.searchParams.get('state')).toBe('the state');
  });

  it.each(['our-web-client', 'our-android-client', 'our-ios-client'])(
    'google: with an ID token for %s, one of our clients',
    async (aud) => {
      const claims = someone({ aud });
      const { status, body } = await signInByIdToken(app, 'google', google, claims);
      expect([status, body.status, body.user.email]).toEqual([200, 'authenticated', claims.email]);
    },
  );

  it('google: whose tokens name it in two ways is one issuer', async () => {
    const claims = someone({ aud: 'our-web-client' });
    const first = await signInByIdToken(app, 'google', google, claims);
    const host = new URL(google.issuer).host;
    const second = await signInByIdToken(app, 'google', google, { ...claims, iss: host });
    expect([second.status, second.body.user.id]).toEqual([200, first.body.user.id]);
  });

  it('apple: that writes "true", and tells the name to the app alone', async () => {
    const claims = someone({ aud: 'com.example.app', email_verified: 'true' });
    const { status, body } = await signInByIdToken(app, 'apple', apple, claims, { firstName: 'Ada', lastName: 'King' });
    expect(status).toBe(200);
    expect(body.user).toMatchObject({ emailVerified: true, firstName: 'Ada', lastName: 'King' });
  });

  it('google: with an access token, whose audience Google tells', async () => {
    const { sub: subject, ...claims } = someone({ email_verified: 'true' });
    const accessToken = google.accessToken({ clientId: 'our-ios-client', subject, claims });
    const { status, body } = await app.http.post<SignedIn>('/auth/social/google', { accessToken });
    expect([status, body.user.email, body.user.emailVerified]).toEqual([200, claims.email, true]);
    // The same person, whatever the proof.
    const later = await signInByIdToken(app, 'google', google, { sub: subject, aud: 'our-web-client' });
    expect(later.body.user.id).toBe(body.user.id);
  });

  it('facebook: with an access token; an address there is nobody’s until it is proved here', async () => {
    const accessToken = google.accessToken({
      clientId: '1234567890',
      subject: '10158000000000000',
      claims: { first_name: 'Ada', last_name: 'King', email: 'ada.of.facebook@example.com' },
    });
    const { status, body } = await app.http.post<SignedIn>('/auth/social/facebook', { accessToken });
    expect([status, body.status]).toEqual([200, 'authenticated']);
    expect(body.user).toMatchObject({ email: null, emailVerified: false, firstName: 'Ada', lastName: 'King' });
    const { body: list } = await app.http.get('/users/me/identities', { token: body.accessToken });
    expect(list).toMatchObject({
      items: [{ provider: 'facebook', issuer: 'https://www.facebook.com', email: 'ada.of.facebook@example.com' }],
    });
  });

  it('one account, also where ten sign-ins come at once', async () => {
    const claims = someone({ aud: 'our-web-client' });
    const proofs = await Promise.all(Array.from({ length: 10 }, () => idTokenFor(app, 'google', google, claims)));
    const answers = await Promise.all(proofs.map((proof) => app.http.post<SignedIn>('/auth/social/google', proof)));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(new Set(answers.map(({ body }) => body.user.id)).size).toBe(1);
    expect(await app.sql('SELECT 1 FROM users WHERE email_canonical = $1', [claims.email])).toHaveLength(1);
  });
});

it('an address that has an account is no way into it, unless the operator says so; its owner connects the provider', async () => {
  const { email, id } = await register(app);
  await app.sql('UPDATE users SET email_verified_at = now() WHERE id = $1', [id]);
  const claims = someone({ aud: 'our-web-client', email });
  const { status, body } = await signInByIdToken(app, 'google', google, claims);
  expect([status, (body as unknown as { code: string }).code]).toEqual([409, 'identity_taken']);
  expect(await app.sql('SELECT 1 FROM social_identities WHERE subject = $1', [claims.sub])).toEqual([]);
});

describe('names', () => {
  it('are filled in where there are none, cut to size, and never written over', async () => {
    const claims = someone({ aud: 'our-web-client', given_name: `A\nd\u0000a${'!'.repeat(200)}` });
    const { body } = await signInByIdToken(app, 'google', google, claims);
    expect(body.user).toMatchObject({ firstName: `A d a${'!'.repeat(95)}`, lastName: '' });

    const token = body.accessToken;
    expect((await app.http.patch('/users/me', { firstName: 'Countess' }, { token })).status).toBe(200);
    const later = { ...claims, given_name: 'Ada', family_name: 'Lovelace' };
    const { body: next } = await signInByIdToken(app, 'google', google, later);
    expect(next.user).toMatchObject({ firstName: 'Countess', lastName: 'Lovelace' });
  });
});

describe('the second factor', () => {
  it('follows as after a password, and both are named in the token', async () => {
    const claims = someone({ aud: 'our-web-client' });
    const { body: first } = await signInByIdToken(app, 'google', google, claims);
    expect(await claimsOf(first)).toMatchObject({ amr: ['fed'], acr: 'aal1' });
    // The session is fresh, so a device can be enrolled at once.
    const { secret } = await enrollTotp(app, first.accessToken);
    await app.http.patch('/users/me/two-factor', { required: true }, { token: first.accessToken });

    const { status, body } = await signInByIdToken<Asked>(app, 'google', google, claims);
    expect([status, body.status, body.device.type]).toEqual([200, 'second_factor_required', 'totp']);
    expect(body).not.toHaveProperty('accessToken');
    const { body: second } = await secondFactor(app, body.codeToken, totpCode(secret, app.clock));
    expect(await claimsOf(second)).toMatchObject({ amr: ['fed', 'otp', 'mfa'], acr: 'aal2' });
  });

  it('nobody without password and device has to prove again what he has just proved; later he signs in again', async () => {
    const claims = someone({ aud: 'our-web-client' });
    const { body } = await signInByIdToken(app, 'google', google, claims);
    const { auth_time: provedAt } = await claimsOf(body);
    expect(app.clock.seconds() - Number(provedAt)).toBeLessThan(5);
    await app.clock.advance(301);
    const { body: renewed } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken: body.refreshToken });
    const stale = await app.http.delete('/users/me/identities/google', { token: renewed.accessToken });
    expect([stale.status, stale.body['code']]).toEqual([401, 'insufficient_user_authentication']);
    const { body: again } = await signInByIdToken(app, 'google', google, claims);
    expect((await app.http.delete('/users/me/identities/google', { token: again.accessToken })).status).toBe(204);
  });
});

describe('a signed-in user', () => {
  async function person() {
    const { email } = await register(app);
    const { body } = await firstFactor<SignedIn>(app, email);
    return { email, id: body.user.id, token: body.accessToken };
  }

  it('connects a provider, signs in with it, and disconnects it; he is told of both', async () => {
    const { email, id, token } = await person();
    const claims = someone({ aud: 'our-web-client' });
    const proof = await idTokenFor(app, 'google', google, claims);
    const connected = await app.http.post('/users/me/identities/google', proof, { token });
    expect([connected.status, connected.body]).toMatchObject([200, { provider: 'google', email: claims.email }]);
    expect((await app.mailbox.next(email, /was added/)).text).toContain('signing in with Google');
    expect((await signInByIdToken(app, 'google', google, claims)).body.user.id).toBe(id);

    const epoch = await epochOf(id);
    expect((await app.http.delete('/users/me/identities/google', { token })).status).toBe(204);
    expect((await app.mailbox.next(email, /was removed/)).text).toContain('signing in with Google');
    expect(await epochOf(id)).toBe(epoch + 1);
    expect((await app.http.get('/users/me/identities', { token })).body).toEqual({ items: [] });
    for (const provider of ['google', 'nobody', 'a%00b', '%20', 'x'.repeat(300)]) {
      const again = await app.http.delete(`/users/me/identities/${provider}`, { token });
      expect([again.status, again.body['code']], provider).toEqual([404, 'not_found']);
    }
    expect((await signInByIdToken(app, 'google', google, claims)).body.user.id).not.toBe(id);
    expect(await eventsOf(id)).toEqual([
      'user.created',
      'sign-in.succeeded',
      'identity.connected',
      'sign-in.succeeded',
      'identity.disconnected',
    ]);
  });

  it('cannot connect what is somebody else’s, nor two of one provider; the same one again changes nothing', async () => {
    const { token } = await person();
    const claims = someone({ aud: 'our-web-client' });
    const connect = async (extra: Record<string, unknown>) => {
      const proof = await idTokenFor(app, 'google', google, { ...claims, ...extra });
      const { status, body } = await app.http.post('/users/me/identities/google', proof, { token });
      return `${status} ${String(body['code'] ?? body['provider'])}`;
    };
    const taken = someone({ aud: 'our-web-client' });
    await signInByIdToken(app, 'google', google, taken);
    expect(await connect({ sub: taken.sub })).toBe('409 identity_connected_elsewhere');
    expect(await connect({})).toBe('200 google');
    expect(await connect({})).toBe('200 google');
    expect(await connect({ sub: 'another of mine' })).toBe('409 provider_already_connected');
  });

  it('has one account, when ten people connect one identity at once', async () => {
    const claims = someone({ aud: 'our-web-client' });
    const tokens = await Promise.all(Array.from({ length: 10 }, async () => (await person()).token));
    const proofs = await Promise.all(tokens.map(() => idTokenFor(app, 'google', google, claims)));
    const answers = await Promise.all(
      tokens.map((token, at) => app.http.post('/users/me/identities/google', proofs[at], { token })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(9).fill(409)]);
  });

  it('keeps his last way in, also when he takes two away at the same moment', async () => {
    const claims = someone({ aud: 'our-web-client', email_verified: false });
    const { body } = await signInByIdToken(app, 'google', google, claims);
    const token = body.accessToken;
    expect(body.user.email).toBeNull();
    const last = await app.http.delete('/users/me/identities/google', { token });
    expect([last.status, last.body['code']]).toEqual([409, 'last_way_in']);

    const other = await idTokenFor(app, 'apple', apple, someone({ aud: 'com.example.app' }));
    expect((await app.http.post('/users/me/identities/apple', other, { token })).status).toBe(200);
    const answers = await Promise.all(
      ['google', 'apple'].map((provider) => app.http.delete(`/users/me/identities/${provider}`, { token })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 409]);
    expect(((await app.http.get('/users/me/identities', { token })).body as { items: [] }).items).toHaveLength(1);
  });
});

describe('a provider in trouble', () => {
  afterEach(() => {
    for (const idp of [google, corp]) idp.trouble.clear();
    vi.restoreAllMocks();
  });

  it.each<[string, Trouble]>([
    ['does not answer', 'refuses'],
    ['fails', 'fails'],
    ['answers nonsense', 'nonsense'],
    ['answers without an end', 'endless'],
    ['sends us elsewhere', { redirectsTo: '/elsewhere' }],
    ['is slow', 'hangs'],
  ])('that %s: 503 and Retry-After, and the same request works once it is over', async (_, trouble) => {
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    const patience = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => timeout(ms / 25));
    const proof = await comeBack(corp, await begin(app, 'corp'), someone());
    const { sub: subject, ...claims } = someone();
    const accessToken = google.accessToken({ clientId: 'our-web-client', subject, claims });
    corp.trouble.set('/token', trouble);
    google.trouble.set('/tokeninfo', trouble);
    for (const [provider, body] of [
      ['corp', proof],
      ['google', { accessToken }],
    ] as const) {
      const { status, body: problem, headers } = await app.http.post(`/auth/social/${provider}`, body);
      expect([status, problem['code'], headers['retry-after']]).toEqual([503, 'provider_unavailable', '10']);
    }
    expect(patience).toHaveBeenCalledWith(5_000);
    expect(corp.endlessBytes + google.endlessBytes).toBeLessThan(16 * 1024 * 1024);
    expect([...corp.hits, ...google.hits]).not.toContain('/elsewhere');
    corp.trouble.clear();
    google.trouble.clear();
    expect((await app.http.post('/auth/social/corp', proof)).status).toBe(200);
    expect((await app.http.post('/auth/social/google', { accessToken })).status).toBe(200);
  });

  it('is no trouble of those who come from another', async () => {
    corp.trouble.set('/', 'refuses');
    expect((await signInByIdToken(app, 'google', google, someone({ aud: 'our-web-client' }))).status).toBe(200);
  });

  it('a client secret that it refuses is our fault, and not the user’s', async () => {
    const proof = await comeBack(corp, await begin(app, 'corp'), someone());
    const client = corp.clients.get('countersign');
    corp.clients.clear();
    const { status, body } = await app.http.post('/auth/social/corp', proof);
    expect([status, body['code']]).toEqual([503, 'provider_unavailable']);
    if (client) corp.clients.set('countersign', client);
    expect((await app.http.post('/auth/social/corp', proof)).status).toBe(200);
  });
});

it('what providers tell about themselves is read once, and their keys again when an unknown one signs, but not at will', async () => {
  const keysRead = () => google.hits.filter((path) => path === '/jwks').length;
  expect(google.hits.filter((path) => path === '/.well-known/openid-configuration')).toHaveLength(1);
  expect(keysRead()).toBe(1);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 11_000 });
  try {
    await google.rotateKey('second');
    expect((await signInByIdToken(app, 'google', google, someone({ aud: 'our-web-client' }))).status).toBe(200);
    expect(keysRead()).toBe(2);
    for (const kid of ['invented', 'also invented', 'first']) {
      const proof = await idTokenFor(app, 'google', google, someone({ aud: 'our-web-client' }), { kid });
      expect((await app.http.post('/auth/social/google', proof)).status).toBe(401);
    }
    expect(keysRead()).toBe(2);
  } finally {
    vi.useRealTimers();
  }
});

async function claimsOf({ accessToken: token }: SignedIn): Promise<Record<string, unknown>> {
  return (await app.http.post('/auth/token/verify', { token })).body;
}

async function eventsOf(userId: string): Promise<string[]> {
  const rows = await app.sql<{ type: string }>(
    "SELECT type FROM audit_events WHERE user_id = $1 AND type <> 'message.delivery' ORDER BY at, id",
    [userId],
  );
  return rows.map(({ type }) => type);
}

async function epochOf(userId: string): Promise<number> {
  return (await app.sql<{ epoch: number }>('SELECT epoch FROM users WHERE id = $1', [userId]))[0]?.epoch ?? -1;
}

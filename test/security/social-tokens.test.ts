import { exportSPKI, generateKeyPair, importJWK, SignJWT, UnsecuredJWT, type CryptoKey } from 'jose';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { OpenIdProvider } from '../support/openid-provider.js';
import { register, signInByMail, type Asked, type Person } from '../support/people.js';
import { begin, comeBack, idTokenFor, REDIRECT, signInByIdToken, type Claims } from '../support/social.js';

const GOOGLE_CLIENT = 'our-web-client';
const FACEBOOK_APP = '1234567890';
const CORP_CLIENT = 'countersign';

let google: OpenIdProvider;
let corp: OpenIdProvider;
/** Accounts are linked by their address, and a second factor is asked. */
let app: TestApp;
let variables: Record<string, string>;

let people = 0;
const someone = (extra: Claims = {}): Claims & { sub: string } => {
  people += 1;
  const email = `visitor-${people}@example.com`;
  return { sub: `visitor-${people}`, aud: GOOGLE_CLIENT, email, email_verified: true, ...extra };
};

beforeAll(async () => {
  [google, corp] = await Promise.all([OpenIdProvider.start(), OpenIdProvider.start()]);
  google.clients.set(GOOGLE_CLIENT, { id: GOOGLE_CLIENT, secret: 'google-secret' });
  google.clients.set(FACEBOOK_APP, { id: FACEBOOK_APP, secret: 'facebook-secret' });
  // With our secret, so that it is refused for its id and for nothing else.
  google.clients.set('another-app', { id: 'another-app', secret: 'facebook-secret' });
  corp.clients.set(CORP_CLIENT, { id: CORP_CLIENT, secret: 'corp-secret' });
  variables = {
    REDIRECT_ALLOWLIST: REDIRECT,
    SOCIAL_LINK_BY_EMAIL: 'on',
    SOCIAL_GOOGLE_CLIENT_ID: GOOGLE_CLIENT,
    SOCIAL_GOOGLE_CLIENT_SECRET: 'google-secret',
    SOCIAL_GOOGLE_ISSUER: google.issuer,
    SOCIAL_GOOGLE_TOKENINFO_URL: `${google.issuer}/tokeninfo`,
    SOCIAL_FACEBOOK_CLIENT_ID: FACEBOOK_APP,
    SOCIAL_FACEBOOK_CLIENT_SECRET: 'facebook-secret',
    SOCIAL_FACEBOOK_API_URL: `${google.issuer}/graph`,
    OIDC_CORP_ISSUER: corp.issuer,
    OIDC_CORP_CLIENT_ID: CORP_CLIENT,
    OIDC_CORP_CLIENT_SECRET: 'corp-secret',
  };
  app = await startApp(variables);
  for (const idp of [google, corp]) idp.now = () => app.clock.seconds();
});
afterAll(async () => {
  await app.close();
  await Promise.all([google.stop(), corp.stop()]);
});

describe('whose account an identity opens', () => {
  it('the one of its address, where the provider has verified it and this service too; the owner is told', async () => {
    const { id, email } = await verifiedPerson();
    const claims = someone({ email: email.toUpperCase() });
    const { status, body } = await signInByIdToken<Asked>(app, 'google', google, claims);
    // Linked, and no further than anybody else who has proved one factor.
    expect([status, body.status, body.device.type]).toEqual([200, 'second_factor_required', 'email']);
    expect(await ownerOf(google, claims)).toBe(id);
    expect((await app.mailbox.next(email, /was added/)).text).toContain('Google');
    expect(
      await app.sql("SELECT details FROM audit_events WHERE user_id = $1 AND type = 'identity.connected'", [id]),
    ).toEqual([{ details: { provider: 'google', linked: true } }]);
  });

  it.each<[string, Claims]>([
    ['says that it is not verified', { email_verified: false }],
    ['says so in text', { email_verified: 'false' }],
    ['says nothing about it', { email_verified: undefined }],
    ['says something else', { email_verified: 1 }],
    ['says something like it', { email_verified: ['true'] }],
  ])('another one, without the address, where the provider %s', async (_, extra) => {
    const { id, email } = await verifiedPerson();
    const before = await app.sql('SELECT * FROM users WHERE id = $1', [id]);
    const taken = await signInByIdToken<{ status: string }>(app, 'google', google, someone({ email, ...extra }));
    const free = await signInByIdToken<{ status: string }>(app, 'google', google, someone(extra));
    // The same answer, so nobody learns who has an account.
    expect([taken.status, taken.body.status]).toEqual([200, 'enrollment_required']);
    expect([free.status, free.body.status]).toEqual([200, 'enrollment_required']);
    expect(await app.sql('SELECT * FROM users WHERE id = $1', [id])).toEqual(before);
    expect(await app.sql('SELECT 1 FROM social_identities WHERE user_id = $1', [id])).toEqual([]);
  });

  it('none, where this service has not verified the address: whoever registered it would share the account', async () => {
    const { id, email } = await register(app);
    const claims = someone({ email });
    const { status, body } = await signInByIdToken<{ code: string }>(app, 'google', google, claims);
    expect([status, body.code]).toEqual([409, 'identity_taken']);
    expect(await ownerOf(google, claims)).toBeNull();
    expect(await app.sql('SELECT 1 FROM social_identities WHERE user_id = $1', [id])).toEqual([]);
  });

  it('none, where the account has another identity of the provider: an address may be handed on', async () => {
    const { email } = await verifiedPerson();
    expect((await signInByIdToken(app, 'google', google, someone({ email }))).status).toBe(200);
    const successor = someone({ email });
    expect((await signInByIdToken(app, 'google', google, successor)).status).toBe(409);
    expect(await ownerOf(google, successor)).toBeNull();
  });

  it('none, where the account is deactivated', async () => {
    const { id, email } = await verifiedPerson();
    const known = someone({ email });
    expect((await signInByIdToken(app, 'google', google, known)).status).toBe(200);
    await app.sql('UPDATE users SET active = false WHERE id = $1', [id]);
    expect((await signInByIdToken(app, 'google', google, known)).status).toBe(401);
    const other = { ...someone({ email }), aud: CORP_CLIENT };
    expect((await signInByIdToken(app, 'corp', corp, other)).status).toBe(409);
  });

  it('never that of the same subject at another issuer', async () => {
    const { sub } = someone();
    const googles = someone({ sub });
    const corps = someone({ sub, aud: CORP_CLIENT });
    expect((await signInByIdToken(app, 'google', google, googles)).status).toBe(200);
    expect((await signInByIdToken(app, 'corp', corp, corps)).status).toBe(200);
    const owners = await Promise.all([ownerOf(google, googles), ownerOf(corp, corps)]);
    expect(owners).not.toContain(null);
    expect(owners[0]).not.toBe(owners[1]);
  });
});

describe('an ID token that proves nothing here', () => {
  const now = () => app.clock.seconds();

  it.each<[string, (nonce: string) => Claims]>([
    ['of another issuer', () => ({ iss: 'https://accounts.example' })],
    ['of an issuer that is spelled otherwise', () => ({ iss: `${google.issuer}/` })],
    ['of two issuers', () => ({ iss: [google.issuer] })],
    ['for another application', () => ({ aud: 'another-client' })],
    ['for another application and us', () => ({ aud: [GOOGLE_CLIENT, 'another-client'] })],
    ['for nobody', () => ({ aud: undefined })],
    ['for none of several', () => ({ aud: [] })],
    ['that has expired', () => ({ exp: now() - 31 })],
    ['without an end', () => ({ exp: undefined })],
    ['that is not valid yet', () => ({ nbf: now() + 60 })],
    ['without a beginning', () => ({ iat: undefined })],
    ['without a nonce', () => ({ nonce: undefined })],
    ['with the nonce itself instead of its hash', (nonce) => ({ nonce })],
    ['with a nonce of somebody’s own', () => ({ nonce: 'x' })],
    ['with a nonce that is no text', () => ({ nonce: 1 })],
    ['without a subject', () => ({ sub: undefined })],
    ['with an empty subject', () => ({ sub: '' })],
    ['with a subject that is no text', () => ({ sub: 4711 })],
    ['with a subject that is too long', () => ({ sub: 'x'.repeat(256) })],
  ])('%s', async (_, claims) => {
    const { nonce, nonceHash } = await nonceOf('google');
    await expectRefused(await google.sign({ nonce: nonceHash, ...someone(), ...claims(nonce) }), nonce);
  });

  it('that nobody has signed, or somebody else', async () => {
    const { nonce, nonceHash } = await nonceOf('google');
    const claims = { iss: google.issuer, nonce: nonceHash, iat: now(), exp: now() + 600, ...someone() };
    const publicKey = await importJWK({ ...google.publicJwk, ext: true }, 'RS256', { extractable: true });
    const pem = await exportSPKI(publicKey as CryptoKey);
    const header = { alg: 'HS256', kid: google.keyId };
    for (const secret of [
      pem,
      pem.trim(),
      JSON.stringify(google.publicJwk),
      google.publicJwk.n ?? '',
      'google-secret',
    ]) {
      await expectRefused(
        await new SignJWT(claims).setProtectedHeader(header).sign(new TextEncoder().encode(secret)),
        nonce,
      );
    }
    const good = await google.sign(claims);
    const [head = '', body = '', signature = ''] = good.split('.');
    const none = new UnsecuredJWT(claims).encode();
    const other = await generateKeyPair('RS256');
    const ec = await generateKeyPair('ES256');
    for (const token of [
      none,
      `${none}${signature}`,
      `${head}.${body}.`,
      `${head}.${body}`,
      `${head}.${Buffer.from(JSON.stringify({ ...claims, sub: 'other' })).toString('base64url')}.${signature}`,
      await google.sign(claims, {}, other.privateKey),
      await google.sign(claims, { alg: 'ES256' }, ec.privateKey),
      await google.sign(claims, { kid: 'unknown' }),
      await corp.sign(claims),
      'x',
      '..',
    ]) {
      await expectRefused(token, nonce);
    }
    // It was nothing but the signature.
    expect((await app.http.post('/auth/social/google', { idToken: good, nonce })).status).toBe(200);
  });

  it('that names its key itself: nothing is fetched', async () => {
    const { nonce, nonceHash } = await nonceOf('google');
    const { privateKey } = await generateKeyPair('RS256');
    const before = corp.hits.length;
    const url = `${corp.issuer}/jwks`;
    for (const header of [{ jku: url }, { x5u: url }, { jwk: corp.publicJwk }]) {
      await expectRefused(await google.sign({ ...someone(), nonce: nonceHash }, header, privateKey), nonce);
    }
    expect(corp.hits.length).toBe(before);
  });

  it.each(['at+jwt', 'logout+jwt', 'secevent+jwt'])('of the kind %s', async (typ) => {
    const { nonce, nonceHash } = await nonceOf('google');
    await expectRefused(await google.sign({ ...someone(), nonce: nonceHash }, { typ }), nonce);
  });

  it('of our own', async () => {
    const { nonce } = await nonceOf('google');
    await expectRefused(await tokenOf(await verifiedPerson()), nonce);
  });

  it('of another provider', async () => {
    const { idToken, nonce } = await idTokenFor(app, 'corp', corp, someone({ aud: CORP_CLIENT }));
    await expectRefused(idToken, nonce);
    const mine = await nonceOf('google');
    await expectRefused(await corp.sign({ ...someone({ aud: CORP_CLIENT }), nonce: mine.nonceHash }), mine.nonce);
  });
});

describe('what was used once', () => {
  it('an ID token: of ten at once one gets in, and none after', async () => {
    const claims = someone();
    const proof = await idTokenFor(app, 'google', google, claims);
    const send = () => app.http.post('/auth/social/google', proof);
    const before = await failures();
    const answers = await Promise.all(Array.from({ length: 10 }, send));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(9).fill(401)]);
    expect(await failures()).toBe(before + 9);
    expect(await app.sql('SELECT 1 FROM challenges WHERE user_id = $1', [await ownerOf(google, claims)])).toHaveLength(
      1,
    );
    expect((await send()).body['code']).toBe('identity_not_proved');
  });

  it('an access token: the same', async () => {
    const { sub: subject, ...claims } = someone();
    const accessToken = google.accessToken({ clientId: GOOGLE_CLIENT, subject, claims });
    const send = () => app.http.post('/auth/social/google', { accessToken });
    const answers = await Promise.all(Array.from({ length: 10 }, send));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(9).fill(401)]);
    await app.clock.advance(3_500);
    expect((await send()).status).toBe(401);
  });

  it('a code and its nonce', async () => {
    const begun = await begin(app, 'corp');
    const proof = await comeBack(corp, begun, someone({ aud: CORP_CLIENT }));
    expect((await app.http.post('/auth/social/corp', proof)).status).toBe(200);
    expect((await app.http.post('/auth/social/corp', proof)).status).toBe(401);
    // Another code for the same nonce.
    const again = await comeBack(corp, begun, someone({ aud: CORP_CLIENT }));
    expect((await app.http.post('/auth/social/corp', again)).status).toBe(401);
  });

  it('connects nothing either', async () => {
    const claims = someone();
    const proof = await idTokenFor(app, 'google', google, claims);
    expect((await app.http.post('/auth/social/google', proof)).status).toBe(200);
    const token = await tokenOf(await verifiedPerson());
    expect((await app.http.post('/users/me/identities/google', proof, { token })).status).toBe(401);
  });

  it('a nonce lives ten minutes, and is kept as a hash', async () => {
    const proof = await idTokenFor(app, 'google', google, someone());
    const rows = await app.sql<{ hash: Buffer }>('SELECT hash FROM social_proofs');
    const kept = rows.map(({ hash }) => hash.toString('base64url'));
    const hash = createHash('sha256').update(`google\0${proof.nonce}`).digest('base64url');
    expect(kept).toContain(hash);
    expect(kept).not.toContain(proof.nonce);
    await app.clock.advance(601);
    expect((await app.http.post('/auth/social/google', proof)).status).toBe(401);
    // What is over is forgotten, as new ones are given out.
    for (let n = 0; n < 12; n += 1) await nonceOf('google');
    expect(await app.sql("SELECT 1 FROM social_proofs WHERE expires_at < now() - interval '1 day'")).toEqual([]);
    expect(await app.sql('SELECT 1 FROM social_proofs WHERE hash = $1', [Buffer.from(hash, 'base64url')])).toEqual([]);
  });
});

describe('a code that somebody else got hold of', () => {
  it('is worth nothing without the verifier, and nothing with the nonce of another browser', async () => {
    const victim = await comeBack(corp, await begin(app, 'corp'), someone({ aud: CORP_CLIENT }));
    const attacker = await begin(app, 'corp');
    const { codeVerifier, nonce } = attacker;
    expect((await app.http.post('/auth/social/corp', { ...victim, codeVerifier })).status).toBe(401);
    const second = await comeBack(corp, await begin(app, 'corp'), someone({ aud: CORP_CLIENT }));
    expect((await app.http.post('/auth/social/corp', { ...second, nonce })).status).toBe(401);
  });

  it('is not exchanged for whoever was sent back by another provider (mix-up)', async () => {
    const proof = await comeBack(corp, await begin(app, 'corp'), someone({ aud: CORP_CLIENT }));
    const before = corp.hits.length;
    const mixed = await app.http.post('/auth/social/corp', { ...proof, issuer: google.issuer });
    expect([mixed.status, mixed.body['code']]).toEqual([401, 'identity_not_proved']);
    expect(corp.hits.length).toBe(before);
    // Nothing was used up.
    expect((await app.http.post('/auth/social/corp', proof)).status).toBe(200);
  });

  it.each<[string, Claims]>([
    ['for another application', { aud: 'another-client' }],
    ['of another issuer', { iss: 'https://accounts.example' }],
    ['that has expired', { exp: 1 }],
    ['for another nonce', { nonce: 'x' }],
  ])('or an exchange that gives an ID token %s', async (_, claims) => {
    const proof = await comeBack(corp, await begin(app, 'corp'), someone({ aud: CORP_CLIENT, ...claims }));
    const { status, body } = await app.http.post('/auth/social/corp', proof);
    expect([status, body['code']]).toEqual([401, 'identity_not_proved']);
  });

  it('is asked about only for whoever has a nonce of ours', async () => {
    const before = corp.hits.length;
    const made = { code: 'x', redirectUri: REDIRECT, codeVerifier: 'v'.repeat(43), nonce: 'x' };
    expect((await app.http.post('/auth/social/corp', made)).status).toBe(401);
    expect((await app.http.post('/auth/social/corp', { idToken: 'a.b.c', nonce: 'x' })).status).toBe(401);
    expect(corp.hits.length).toBe(before);
  });

  it.each([
    '//app.example.test/back',
    'https:app.example.test/back',
    '\\\\app.example.test/back',
    '/\\app.example.test/back',
    'javascript:alert(1)',
    'https://app.example.test@evil.example/back',
    'https://app.example.test%2f%2fevil.example/back',
    'https://evil.example/https://app.example.test/back',
    'https://app.example.test.evil.example/back',
    'https://evilapp.example.test/back',
    `${REDIRECT}/`,
    `${REDIRECT}?next=1`,
    `${REDIRECT}#`,
    'HTTPS://app.example.test/back',
  ])('goes to no place but those of the operator: %s', async (redirectUri) => {
    const answer = await app.http.post('/auth/social/corp/authorize', { redirectUri, codeChallenge: 'c'.repeat(43) });
    expect([answer.status, answer.body['code']]).toEqual([400, 'redirect_not_allowed']);
    const proof = await comeBack(corp, await begin(app, 'corp'), someone());
    const sent = await app.http.post('/auth/social/corp', { ...proof, redirectUri });
    expect([sent.status, sent.body['code']]).toEqual([400, 'redirect_not_allowed']);
  });
});

describe('an access token', () => {
  const send = (provider: string, accessToken: string) => app.http.post(`/auth/social/${provider}`, { accessToken });

  it.each(['google', 'facebook'])('%s: that was made for another application, or for nobody', async (provider) => {
    const ours = provider === 'google' ? GOOGLE_CLIENT : FACEBOOK_APP;
    const { sub: subject } = someone();
    const known = (extra: object) => google.accessToken({ clientId: ours, subject, ...extra });
    for (const token of [
      known({ clientId: 'another-app' }),
      known({ expiresAt: app.clock.seconds() - 1 }),
      known({ subject: '' }),
      'unknown',
    ]) {
      const { status, body } = await send(provider, token);
      expect([status, body['code']]).toEqual([401, 'identity_not_proved']);
    }
    expect((await send(provider, known({}))).status).toBe(200);
  });

  it('google: that somebody else got for us', async () => {
    const { sub: subject } = someone();
    for (const claims of [{ azp: 'another-app' }, { aud: 'another-app', azp: GOOGLE_CLIENT }, { aud: undefined }]) {
      const accessToken = google.accessToken({ clientId: GOOGLE_CLIENT, subject, claims });
      expect((await send('google', accessToken)).status).toBe(401);
    }
  });

  it('facebook: of a page, or of somebody else than it says', async () => {
    const { sub: subject } = someone();
    const page = google.accessToken({ clientId: FACEBOOK_APP, subject, type: 'PAGE' });
    expect((await send('facebook', page)).status).toBe(401);
    const foreign = google.accessToken({ clientId: FACEBOOK_APP, subject, claims: { id: 'somebody else' } });
    expect((await send('facebook', foreign)).status).toBe(401);
  });

  it('of a provider that does not say whom it was made for is never taken; nor is what a provider does not give', async () => {
    const { nonce } = await nonceOf('facebook');
    for (const [provider, body] of [
      ['corp', { accessToken: 'x' }],
      ['facebook', { idToken: 'a.b.c', nonce }],
      ['facebook', { code: 'x', redirectUri: REDIRECT, codeVerifier: 'v'.repeat(43), nonce }],
    ] as const) {
      const answer = await app.http.post(`/auth/social/${provider}`, body);
      expect([answer.status, answer.body['code']]).toEqual([400, 'identity_proof_not_accepted']);
    }
    const way = { redirectUri: REDIRECT, codeChallenge: 'c'.repeat(43) };
    expect((await app.http.post('/auth/social/facebook/authorize', way)).status).toBe(400);
  });

  it('goes alone', async () => {
    const { nonce } = await nonceOf('google');
    const { status, body } = await app.http.post('/auth/social/google', { accessToken: 'x', idToken: 'a.b.c', nonce });
    expect([status, body]).toMatchObject([400, { code: 'validation_failed', errors: [{ field: 'accessToken' }] }]);
  });
});

it('there are no providers but those that are configured', async () => {
  const token = await tokenOf(await verifiedPerson());
  for (const name of ['nobody', 'GOOGLE', 'apple', '__proto__', 'constructor', '..%2fgoogle', '%00']) {
    for (const path of [`/auth/social/${name}`, `/users/me/identities/${name}`]) {
      const { status, body } = await app.http.post(path, { accessToken: 'x' }, { token });
      expect([name, status, body['code']]).toEqual([name, 404, 'not_found']);
    }
    expect((await app.http.post(`/auth/social/${name}/nonce`)).status).toBe(404);
  }
});

it('what a provider says is as foreign as what a stranger types', async () => {
  const claims = someone({ given_name: { first: 'Ada' }, family_name: '\ud800', email: `a@b\r\nBcc: c@d.example` });
  const { status } = await signInByIdToken(app, 'google', google, claims);
  expect(status).toBe(200);
  const [user] = await app.sql('SELECT email, first_name, last_name FROM users WHERE id = $1', [
    await ownerOf(google, claims),
  ]);
  expect(user).toEqual({ email: null, first_name: '', last_name: '\ufffd' });
});

// The last one: passport knows one application a process, and would ask the one that is closed.
it('where nobody may register, nobody comes in who is neither known nor linked', async () => {
  const closed = await startApp({ ...variables, SIGNUP_ALLOWED: 'off' }, { replicaOf: app });
  const stranger = someone();
  const refused = await signInByIdToken<{ code: string }>(closed, 'google', google, stranger);
  expect([refused.status, refused.body.code]).toEqual([403, 'registration_closed']);
  expect(await ownerOf(google, stranger)).toBeNull();
  const { email } = await verifiedPerson();
  expect((await signInByIdToken(closed, 'google', google, someone({ email }))).status).toBe(200);
  expect((await signInByIdToken(app, 'google', google, stranger)).status).toBe(200);
  expect((await signInByIdToken(closed, 'google', google, stranger)).status).toBe(200);
  await closed.close();
});

/** Refusals that the audit log tells of. */
async function failures(): Promise<number> {
  const told = await app.sql(
    "SELECT 1 FROM audit_events WHERE type = 'sign-in.failed' AND details ->> 'reason' = 'identity_not_proved'",
  );
  return told.length;
}

async function nonceOf(provider: string): Promise<{ nonce: string; nonceHash: string }> {
  return (await app.http.post<{ nonce: string; nonceHash: string }>(`/auth/social/${provider}/nonce`)).body;
}

async function expectRefused(idToken: string, nonce: string): Promise<void> {
  const before = await app.sql('SELECT count(*) FROM users');
  const { status, body } = await app.http.post('/auth/social/google', { idToken, nonce });
  expect([status, body['code']], idToken.slice(0, 200)).toEqual([401, 'identity_not_proved']);
  expect(await app.sql('SELECT count(*) FROM users')).toEqual(before);
}

async function verifiedPerson(): Promise<Person> {
  const person = await register(app);
  await app.sql('UPDATE users SET email_verified_at = now() WHERE id = $1', [person.id]);
  return person;
}

async function tokenOf(person: Person): Promise<string> {
  return (await signInByMail(app, person)).accessToken;
}

async function ownerOf({ issuer }: OpenIdProvider, { sub }: Claims): Promise<string | null> {
  const [row] = await app.sql<{ user_id: string }>(
    'SELECT user_id FROM social_identities WHERE issuer = $1 AND subject = $2',
    [issuer, sub],
  );
  return row?.user_id ?? null;
}

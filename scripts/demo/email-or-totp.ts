import { randomBytes } from 'node:crypto';
import QRCode from 'qrcode';
import { decode, isGenuine, tamper, type KeySet } from './access-token.js';
import type { Api } from './api.js';
import { Authenticator } from './authenticator.js';
import type { Narrator } from './narrator.js';

/** CODE_TOKEN_RETRY_WAIT, where nobody has changed it. */
const RETRY_WAIT_SECONDS = 2;

export const PASSWORD = 'three uncommon words';

export interface Device {
  id: string;
  secret: string;
  otpauthUrl: string;
}

interface Asked {
  codeToken: string;
  device: { type: string; label: string };
}

interface Tokens {
  status: string;
  accessToken: string;
  refreshToken: string;
}

/** The default configuration: a code by mail, or an authenticator app for those who have one. */
export async function emailOrTotp(api: Api, narrator: Narrator): Promise<void> {
  const email = newAddress();
  const byMail = await signInByMail(api, narrator, email);
  await explainTokens(api, narrator, byMail.accessToken);
  const app = await enrollAuthenticator(api, narrator, byMail);
  const byApp = await signInByApp(api, narrator, email, app);
  const later = await refuseWrongCodes(api, narrator, email, app);
  await refresh(api, narrator, byApp);
  await signOut(api, narrator, later);
}

async function signInByMail(api: Api, narrator: Narrator, email: string): Promise<Tokens> {
  narrator.chapter('A new user signs in: password, then a code by mail');
  await api.post('/users', { email, password: PASSWORD }, { status: 201, because: 'The account exists now.' });
  const asked = await api.post<Asked>(
    '/auth/token',
    { identifier: email, password: PASSWORD },
    {
      status: 200,
      because: 'The password is right, and that is not enough: here is a code token instead of a session.',
    },
  );
  narrator.expect(asked.device.type === 'email', 'With nothing enrolled yet, the code goes to the account’s address.');
  const code = await api.mailedCode(email);
  const session = await api.post<Tokens>(
    '/auth/token/second-factor',
    { codeToken: asked.codeToken, code },
    { status: 200, because: 'The code is right.' },
  );
  const { status } = session;
  narrator.expect(status === 'authenticated', 'Code token and code together open a session.', `status is ${status}`);
  return session;
}

async function explainTokens(api: Api, narrator: Narrator, accessToken: string): Promise<void> {
  narrator.chapter('What an access token says, and how others check it');
  const { header, claims } = decode(accessToken);
  narrator.table([
    ['typ', header.typ, 'an access token (RFC 9068); no other kind passes for one'],
    ['alg', header.alg, 'signed with the private key that only Countersign has'],
    ['kid', header.kid, 'which of the published keys checks it'],
    ['iss', claims.iss, 'who issued it'],
    ['aud', claims.aud, 'for whom'],
    ['sub', claims.sub, 'the user'],
    ['sid', claims.sid, 'the session'],
    ['exp', `${claims.exp - claims.iat} s after iat`, 'short-lived: the refresh token gets the next one'],
    ['auth_time', new Date(claims.auth_time * 1000).toISOString(), 'when a factor was last proved'],
    ['amr', claims.amr, 'what was proved (RFC 8176)'],
    ['acr', claims.acr, 'the assurance that follows; a mailed code does not make aal2 (NIST SP 800-63B-4)'],
  ]);
  narrator.expect(claims.acr === 'aal1', 'Password and mailed code are aal1.', `acr is ${claims.acr}`);
  await api.get('/users/me', { token: accessToken, status: 200, because: 'It opens the API.' });
  const keys = await api.get<KeySet>('/.well-known/jwks.json', {
    status: 200,
    because: 'The public keys, for every service that wants to check tokens itself.',
  });
  narrator.expect(
    isGenuine(accessToken, keys),
    'The signature is genuine: checked here with node:crypto and the key set.',
  );
  const forged = tamper(accessToken);
  narrator.expect(!isGenuine(forged, keys), 'With "roles" changed to admin the signature no longer fits …');
  await api.get('/users/me', {
    token: forged,
    status: 401,
    code: 'invalid_token',
    because: '… and the API says so too.',
  });
}

async function enrollAuthenticator(api: Api, narrator: Narrator, session: Tokens): Promise<Authenticator> {
  narrator.chapter('An authenticator app is enrolled');
  const device = await api.post<Device>(
    '/otp-devices',
    { type: 'totp', name: 'My phone' },
    { token: session.accessToken, status: 201, because: 'The secret is in this answer and in no later one.' },
  );
  narrator.say('An app scans this (it is a real one: try yours):');
  narrator.qrCode(await QRCode.toString(device.otpauthUrl, { type: 'utf8', errorCorrectionLevel: 'L', margin: 2 }));
  narrator.say(device.otpauthUrl);
  const app = new Authenticator(device.secret, narrator);
  await api.post(
    `/otp-devices/${device.id}/confirm`,
    { code: await app.nextCode() },
    {
      token: session.accessToken,
      status: 200,
      because: 'A first code proves that the app has the secret. From now on it is asked first.',
    },
  );
  await api.post(
    '/auth/token/revoke',
    { refreshToken: session.refreshToken },
    { status: 204, because: 'Signed out: the session has ended …' },
  );
  await api.get('/users/me', {
    token: session.accessToken,
    status: 401,
    code: 'invalid_token',
    because: '… and its access token opens nothing any more, although it has not expired.',
  });
  return app;
}

async function signInByApp(api: Api, narrator: Narrator, email: string, app: Authenticator): Promise<Tokens> {
  narrator.chapter('The next sign-in: password, then the app');
  const asked = await askForApp(api, narrator, email, 'The password again …');
  const session = await api.post<Tokens>(
    '/auth/token/second-factor',
    { codeToken: asked.codeToken, code: await app.nextCode() },
    { status: 200, because: 'Password and app: a session.' },
  );
  const { acr, amr } = decode(session.accessToken).claims;
  narrator.expect(acr === 'aal2', `The assurance is higher now: acr aal2, amr ${amr.join(' ')}.`, `acr is ${acr}`);
  return session;
}

async function refuseWrongCodes(api: Api, narrator: Narrator, email: string, app: Authenticator): Promise<Tokens> {
  narrator.chapter('What a thief of the password meets');
  const { codeToken } = await askForApp(api, narrator, email, 'He knows the password …');
  const guess = (code: string, expected: Parameters<Api['post']>[2]) =>
    api.post<Tokens>('/auth/token/second-factor', { codeToken, code }, expected);
  await guess(app.lastCode, {
    status: 401,
    code: 'invalid_code',
    because: 'The code of a moment ago, seen over a shoulder: each is good once.',
  });
  await guess(app.wrongCode(), {
    status: 429,
    code: 'retry_too_soon',
    because: 'A guess right after another is refused unseen, and not counted.',
  });
  await narrator.wait(api.retryAfter, 'as Retry-After says');
  await guess(app.wrongCode(), {
    status: 401,
    code: 'invalid_code',
    because: 'A wrong code; the second of five that this code token has.',
  });
  await narrator.wait(RETRY_WAIT_SECONDS, 'the gap between two attempts, CODE_TOKEN_RETRY_WAIT');
  return guess(await app.nextCode(), { status: 200, because: 'A new code of the app: a second session.' });
}

async function refresh(api: Api, narrator: Narrator, { refreshToken }: Tokens): Promise<void> {
  narrator.chapter('Tokens are refreshed, and a stolen one gives itself away');
  const second = await api.post<Tokens>(
    '/auth/token/refresh',
    { refreshToken },
    { status: 200, because: 'New tokens; the refresh token was good for this one exchange.' },
  );
  const repeated = await api.post<Tokens>(
    '/auth/token/refresh',
    { refreshToken },
    { status: 200, because: 'The same request again within ten seconds: perhaps the answer was lost on its way.' },
  );
  narrator.expect(
    repeated.refreshToken === second.refreshToken,
    'So it gets the same successor: no second line begins.',
  );
  const third = await api.post<Tokens>(
    '/auth/token/refresh',
    { refreshToken: second.refreshToken },
    { status: 200, because: 'The successor is used, as an honest client would.' },
  );
  await api.post(
    '/auth/token/refresh',
    { refreshToken },
    {
      status: 401,
      code: 'refresh_token_reused',
      because: 'The first one after that: two hold this session, one of them a thief, so it ends for both.',
    },
  );
  await api.post(
    '/auth/token/refresh',
    { refreshToken: third.refreshToken },
    { status: 401, code: 'invalid_refresh_token', because: 'The newest refresh token is dead …' },
  );
  await api.get('/users/me', {
    token: third.accessToken,
    status: 401,
    code: 'invalid_token',
    because: '… and so is the newest access token.',
  });
}

async function signOut(api: Api, narrator: Narrator, session: Tokens): Promise<void> {
  narrator.chapter('Signing out');
  await api.get('/users/me', {
    token: session.accessToken,
    status: 200,
    because: 'The other session was not touched.',
  });
  for (const because of ['Until it is revoked.', 'Revoking again changes nothing and is no error.']) {
    await api.post('/auth/token/revoke', { refreshToken: session.refreshToken }, { status: 204, because });
  }
  await api.post(
    '/auth/token/refresh',
    { refreshToken: session.refreshToken },
    { status: 401, code: 'invalid_refresh_token', because: 'Nothing can be had from it any more.' },
  );
}

/** The first factor of somebody who has an app. */
export async function askForApp(api: Api, narrator: Narrator, email: string, because: string): Promise<Asked> {
  const body = { identifier: email, password: PASSWORD };
  const asked = await api.post<Asked>('/auth/token', body, { status: 200, because });
  narrator.expect(
    asked.device.type === 'totp',
    '… and the app is asked; no mail is sent.',
    `asked: ${asked.device.type}`,
  );
  return asked;
}

/** An address that nobody has: limits are counted per address, and none of an earlier tour is met. */
export function newAddress(): string {
  return `ada-${randomBytes(4).toString('hex')}@example.com`;
}

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigurationError, readSettings } from '../../src/config/env.js';
import { startApp, TEST_SECRET, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { Browser, cookiesOf } from '../support/browser.js';
import { openApi } from '../support/openapi.js';
import { enrollTotp, firstFactor, PASSWORD, register, signInByMail, type Asked } from '../support/people.js';

const ACCESS = '__Host-access';
const REFRESH = '__Secure-refresh';
const ASK = { 'x-auth-cookies': 'on' };
const SAME_ORIGIN = { 'sec-fetch-site': 'same-origin' };
const FRONTEND = 'https://app.example.test';
const EVIL = 'https://evil.example';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({
    AUTH_COOKIES: 'on',
    CORS_ORIGINS: FRONTEND,
    CODE_RESEND_COOLDOWN: 'off',
    CODE_TOKEN_RETRY_WAIT: 'off',
    CODE_TOKEN_MAX_ACTIVE: 'off',
  });
});
afterAll(() => app.close());

async function signedInBrowser(site?: Record<string, string>) {
  const person = await register(app);
  const browser = new Browser(app, site);
  const answer = await browser.signIn(person);
  expect(answer.status).toBe(200);
  return { person, browser, answer };
}

function codeOf({ body }: { body: Record<string, unknown> }): unknown {
  return body['code'];
}

/** A change with the access cookie, and headers of its own. */
function change(cookie: string, headers: Record<string, string>) {
  return app.http.patch('/users/me', { locale: 'de' }, { headers: { cookie, ...headers } });
}

describe('a sign-in that asks for cookies', () => {
  it('sets two cookies that no script can read and no other site sends, each no larger than a browser keeps', async () => {
    const { answer } = await signedInBrowser();
    const cookies = cookiesOf(answer);
    expect(cookies.map(({ name, attributes }) => [name, attributes])).toEqual([
      [ACCESS, ['Path=/', 'SameSite=Lax', 'Max-Age=300', 'Secure', 'HttpOnly']],
      [REFRESH, ['Path=/api/v1/auth/token', 'SameSite=Strict', 'Max-Age=604800', 'Secure', 'HttpOnly']],
    ]);
    for (const { text } of cookies) expect(text.length).toBeLessThan(4096);
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  it('leaves nothing of the tokens in the body', async () => {
    const { answer, browser } = await signedInBrowser();
    expect(answer.body).toMatchObject({ status: 'authenticated', tokenType: 'Cookie', expiresIn: 300 });
    expect(Object.keys(answer.body)).not.toEqual(expect.arrayContaining(['accessToken']));
    for (const name of [ACCESS, REFRESH]) expect(answer.text).not.toContain(browser.value(name).slice(-20));
    expect(answer.text).not.toMatch(/eyJ|accessToken|refreshToken"/);
  });

  it('sends the refresh cookie to the routes of its token, and to no other', async () => {
    const { browser } = await signedInBrowser();
    expect(browser.header('/api/v1/users/me')).not.toContain(REFRESH);
    expect(browser.header('/api/v1/auth/tokens')).not.toContain(REFRESH);
    expect(browser.header('/api/v1/auth/token/refresh')).toContain(REFRESH);
    expect(browser.header('/api/v1/auth/token/revoke')).toContain(REFRESH);
  });

  it('is a choice: without the header the tokens are in the body and no cookie is set', async () => {
    const person = await register(app);
    const { body } = await firstFactor(app, person.email);
    const code = await app.mailbox.code(person.email);
    const answer = await app.http.post('/auth/token/second-factor', { codeToken: body.codeToken, code });
    expect(answer.body).toMatchObject({ tokenType: 'Bearer', accessToken: expect.any(String) });
    expect(cookiesOf(answer)).toEqual([]);
  });
});

describe('the access cookie', () => {
  it('opens the API, and a step-up renews it without showing it', async () => {
    const { browser, person } = await signedInBrowser();
    expect((await browser.send('GET', '/users/me')).body).toMatchObject({ email: person.email });
    const before = browser.value(ACCESS);
    await browser.send('POST', '/auth/step-up', {});
    const proved = await browser.send('POST', '/auth/step-up', { code: await app.mailbox.code(person.email) });
    expect(proved.body).toEqual({ tokenType: 'Cookie', expiresIn: 300 });
    expect(browser.value(ACCESS)).not.toBe(before);
    expect(browser.names).toEqual([ACCESS, REFRESH]);
  });

  it('counts only where no Authorization header is', async () => {
    const { browser } = await signedInBrowser();
    const cookie = browser.header('/api/v1/users/me');
    for (const authorization of ['Bearer nonsense', 'Basic YTpi', '']) {
      const answer = await app.http.get('/users/me', { headers: { cookie, authorization } });
      expect([authorization, answer.status]).toEqual([authorization, 401]);
    }
  });

  it('is refused where two of the name come: another host of the site may have planted one', async () => {
    const { browser } = await signedInBrowser();
    const other = await signedInBrowser();
    const cookie = `${browser.header('/x')}; ${other.browser.header('/x')}`;
    expect((await app.http.get('/users/me', { headers: { cookie } })).status).toBe(401);
  });

  it('lets a gateway pass what this origin sends or only reads, and nothing that another site may send', async () => {
    const { browser } = await signedInBrowser();
    const cookie = browser.header('/');
    const ask = async (headers: Record<string, string>) =>
      (await app.http.get('/auth/forward', { headers: { cookie, ...headers } })).status;
    expect(await ask({ 'sec-fetch-site': 'same-origin' })).toBe(200);
    expect(await ask({ 'sec-fetch-site': 'cross-site', 'x-forwarded-method': 'GET' })).toBe(200);
    expect(await ask({ 'sec-fetch-site': 'cross-site', 'x-forwarded-method': 'POST' })).toBe(403);
    expect(await ask({ 'sec-fetch-site': 'same-site', 'x-original-method': 'DELETE' })).toBe(403);
    expect(await ask({ 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await ask({})).toBe(403);
  });
});

describe('the refresh cookie', () => {
  it('is exchanged for the next one, and a used one ends the session', async () => {
    const { browser } = await signedInBrowser();
    const used = browser.value(REFRESH);
    const refreshed = await browser.send('POST', '/auth/token/refresh', {});
    expect(refreshed.body).toEqual({ tokenType: 'Cookie', expiresIn: 300, refreshExpiresIn: 604800 });
    expect(browser.value(REFRESH)).not.toBe(used);
    await app.clock.advance(60);
    const replayed = await app.http.post(
      '/auth/token/refresh',
      {},
      { headers: { ...SAME_ORIGIN, cookie: `${REFRESH}=${used}` } },
    );
    expect(codeOf(replayed)).toBe('refresh_token_reused');
    expect((await browser.send('POST', '/auth/token/refresh', {})).status).toBe(401);
    expect((await browser.send('GET', '/users/me')).status).toBe(401);
  });

  it('gives parallel refreshes of two tabs the same successor', async () => {
    const { browser } = await signedInBrowser();
    const answers = await Promise.all(Array.from({ length: 8 }, () => browser.send('POST', '/auth/token/refresh', {})));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    const successors = answers.flatMap(cookiesOf).filter(({ name }) => name === REFRESH);
    expect(new Set(successors.map(({ value }) => value)).size).toBe(1);
    expect((await browser.send('POST', '/auth/token/refresh')).status).toBe(200);
  });

  it('gives its successors to no script, even to one that asks for tokens', async () => {
    const { browser } = await signedInBrowser();
    const answer = await browser.send('POST', '/auth/token/refresh', {}, { 'x-auth-cookies': 'off' });
    expect([answer.status, answer.text.includes('accessToken')]).toEqual([200, false]);
  });

  it('is no access token, and the access cookie is no refresh token', async () => {
    const { browser } = await signedInBrowser();
    const access = browser.value(ACCESS);
    const swapped = { ...SAME_ORIGIN, cookie: `${ACCESS}=${browser.value(REFRESH)}; ${REFRESH}=${access}` };
    expect((await app.http.get('/users/me', { headers: swapped })).status).toBe(401);
    expect(codeOf(await app.http.post('/auth/token/refresh', {}, { headers: swapped }))).toBe('invalid_refresh_token');
    const only = { cookie: `${REFRESH}=${browser.value(REFRESH)}` };
    expect(codeOf(await app.http.get('/users/me', { headers: only }))).toBe('authentication_required');
  });

  it('is refused where two of the name come', async () => {
    const [one, two] = [await signedInBrowser(), await signedInBrowser()];
    const cookie = [one, two].map(({ browser }) => `${REFRESH}=${browser.value(REFRESH)}`).join('; ');
    const answer = await app.http.post('/auth/token/refresh', {}, { headers: { ...SAME_ORIGIN, cookie } });
    expect(codeOf(answer)).toBe('invalid_refresh_token');
  });

  it('stands behind a refresh token of the body', async () => {
    const { browser } = await signedInBrowser();
    const session = await signInByMail(app, await register(app));
    const answer = await browser.send('POST', '/auth/token/refresh', { refreshToken: session.refreshToken });
    expect(answer.body).toMatchObject({ tokenType: 'Bearer', accessToken: expect.any(String) });
    expect(cookiesOf(answer)).toEqual([]);
  });
});

describe('a change by cookie that another site may have sent (CSRF)', () => {
  it.each([
    ['a page of another site', { 'sec-fetch-site': 'cross-site', origin: EVIL }],
    ['another host of the same site', { 'sec-fetch-site': 'same-site', origin: 'https://blog.example.test' }],
    ['an older browser on another site', { origin: EVIL }],
    ['a sandboxed frame', { origin: 'null' }],
    ['an origin that begins like ours', { origin: 'https://id.example.test.evil.example' }],
    ['an origin that ends like the frontend', { origin: 'https://evilapp.example.test' }],
    ['the frontend without encryption', { origin: FRONTEND.replace('https', 'http') }],
    ['what says nothing of its origin', {}],
  ])('is refused: %s', async (_, headers) => {
    const { browser } = await signedInBrowser();
    const cookie = browser.header('/api/v1/auth/token/refresh');
    for (const answer of [
      await change(cookie, headers),
      await app.http.post('/auth/token/refresh', {}, { headers: { cookie, ...headers } }),
      await app.http.post('/auth/token/revoke', {}, { headers: { cookie, ...headers } }),
      await app.http.delete('/users/me/sessions', { headers: { cookie, ...headers } }),
    ]) {
      expect([answer.status, codeOf(answer)]).toEqual([403, 'cross_site_request']);
      expect(cookiesOf(answer)).toEqual([]);
    }
    expect((await browser.send('GET', '/users/me')).status).toBe(200);
  });

  it.each([
    ['this origin', { 'sec-fetch-site': 'same-origin' }],
    ['this origin, in an older browser', { origin: 'https://id.example.test' }],
    ['the frontend of CORS_ORIGINS', { 'sec-fetch-site': 'same-site', origin: FRONTEND }],
  ])('is allowed: %s', async (_, headers) => {
    const { browser } = await signedInBrowser();
    expect((await change(browser.header('/x'), headers)).status).toBe(200);
  });

  it('a bearer token needs no evidence, with the cookies beside it or not', async () => {
    const { browser } = await signedInBrowser();
    const { accessToken } = await signInByMail(app, await register(app));
    const authorization = `Bearer ${accessToken}`;
    const elsewhere: Record<string, string>[] = [{}, { origin: EVIL, 'sec-fetch-site': 'cross-site' }];
    for (const headers of elsewhere) {
      expect((await change(browser.header('/x'), { authorization, ...headers })).status).toBe(200);
    }
  });

  it('nobody can be signed in by another site, into an account that is not his', async () => {
    const person = await register(app);
    const headers = { ...ASK, 'sec-fetch-site': 'cross-site', origin: EVIL };
    const answer = await app.http.post('/auth/token', { identifier: person.email, password: PASSWORD }, { headers });
    expect([answer.status, codeOf(answer)]).toEqual([403, 'cross_site_request']);
  });
});

describe('CORS with cookies', () => {
  const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-auth-cookies' };
  const ask = (method: 'OPTIONS' | 'GET', headers: Record<string, string>) =>
    app.app.inject({ method, url: '/api/v1/users/me', headers });

  it.each([
    EVIL,
    'null',
    `${FRONTEND}.evil.example`,
    'https://evilapp.example.test',
    FRONTEND.replace('https', 'http'),
  ])('lets %s read nothing', async (origin) => {
    for (const { headers } of [await ask('OPTIONS', { origin, ...preflight }), await ask('GET', { origin })]) {
      expect(headers['access-control-allow-origin']).toBeUndefined();
      expect(String(headers['vary'])).toContain('Origin');
    }
  });

  it('lets the frontend of CORS_ORIGINS read, with its cookies', async () => {
    for (const { headers } of [
      await ask('OPTIONS', { origin: FRONTEND, ...preflight }),
      await ask('GET', { origin: FRONTEND }),
    ]) {
      expect(headers['access-control-allow-origin']).toBe(FRONTEND);
      expect(headers['access-control-allow-credentials']).toBe('true');
      expect(String(headers['vary'])).toContain('Origin');
    }
  });

  it('lets it send every operation of the document', async () => {
    const methods = new Set(Object.values(openApi.paths).flatMap((item) => Object.keys(item)));
    expect(methods.size).toBeGreaterThan(3);
    for (const method of methods) {
      const { headers } = await ask('OPTIONS', {
        origin: FRONTEND,
        'access-control-request-method': method.toUpperCase(),
        'access-control-request-headers': 'authorization,content-type',
      });
      expect(String(headers['access-control-allow-methods']).split(/, ?/)).toContain(method.toUpperCase());
      expect(headers['access-control-allow-headers']).toBe('authorization,content-type');
    }
  });
});

describe('the end of a session', () => {
  it.each([
    ['signing out', 'POST', () => '/auth/token/revoke'],
    ['signing out everywhere', 'DELETE', () => '/users/me/sessions'],
    ['ending the present session', 'DELETE', (id: string) => `/users/me/sessions/${id}`],
    ['deleting the account', 'DELETE', () => '/users/me'],
  ] as const)('%s clears both cookies', async (_, method, path) => {
    const { browser } = await signedInBrowser();
    const sessions = await browser.send<{ items: { id: string }[] }>('GET', '/users/me/sessions');
    const access = browser.value(ACCESS);
    const answer = await browser.send(method, path(sessions.body.items[0]?.id ?? ''));
    expect(answer.status).toBe(204);
    expect(cookiesOf(answer).map(({ text }) => text)).toEqual([
      `${ACCESS}=; Path=/; SameSite=Lax; Max-Age=0; Secure; HttpOnly`,
      `${REFRESH}=; Path=/api/v1/auth/token; SameSite=Strict; Max-Age=0; Secure; HttpOnly`,
    ]);
    expect(browser.names).toEqual([]);
    expect((await app.http.get('/users/me', { token: access })).status).toBe(401);
  });

  it('of another browser leaves the cookies of this one', async () => {
    const { browser, person } = await signedInBrowser();
    await signInByMail(app, person);
    const { body } = await browser.send<{ items: { id: string; current: boolean }[] }>('GET', '/users/me/sessions');
    const other = body.items.find(({ current }) => !current);
    const answer = await browser.send('DELETE', `/users/me/sessions/${other?.id ?? ''}`);
    expect([answer.status, cookiesOf(answer)]).toEqual([204, []]);
    expect((await browser.send('GET', '/users/me')).status).toBe(200);
  });

  it('does not come with a new password: the present cookies go on, the others end', async () => {
    const { browser, person } = await signedInBrowser();
    const elsewhere = new Browser(app);
    await elsewhere.signIn(person);
    const body = { currentPassword: PASSWORD, newPassword: 'four quite uncommon words' };
    expect((await browser.send('POST', '/users/me/password', body)).status).toBe(204);
    expect((await browser.send('GET', '/users/me')).status).toBe(200);
    expect((await browser.send('POST', '/auth/token/refresh', {})).status).toBe(200);
    expect((await elsewhere.send('GET', '/users/me')).status).toBe(401);
  });

  it('clears what is left where the refresh cookie is gone already', async () => {
    const answer = await app.http.post('/auth/token/revoke', {}, { headers: { ...SAME_ORIGIN, ...ASK } });
    expect([answer.status, cookiesOf(answer).length]).toEqual([204, 2]);
  });
});

// From here on other applications run: the strategies of passport are one set for the whole process, those of the last.

describe('where an authenticator app has to be enrolled', () => {
  let strict: TestApp;
  beforeAll(async () => {
    strict = await startApp({
      AUTH_COOKIES: 'on',
      TWO_FACTOR_TRUSTED_METHODS: 'totp',
      CODE_RESEND_COOLDOWN: 'off',
      CODE_TOKEN_RETRY_WAIT: 'off',
    });
  });
  afterAll(() => strict.close());

  async function enrolling() {
    const person = await register(strict);
    const browser = new Browser(strict);
    const { enrollmentToken } = (await browser.signIn(person)).body as { enrollmentToken: string };
    return { person, browser, enrollmentToken };
  }

  it('the enrollment token is in the body, and the tokens that follow it are cookies', async () => {
    const { browser, enrollmentToken } = await enrolling();
    expect(browser.names).toEqual([]);
    const bearer = { authorization: `Bearer ${enrollmentToken}`, ...ASK };
    const created = await browser.send<{ id: string; secret: string }>(
      'POST',
      '/otp-devices',
      { type: 'totp' },
      bearer,
    );
    const code = totpCode(created.body.secret, strict.clock);
    const confirmed = await browser.send('POST', `/otp-devices/${created.body.id}/confirm`, { code }, bearer);
    expect(confirmed.body).toMatchObject({ status: 'authenticated', tokenType: 'Cookie' });
    expect(confirmed.text).not.toMatch(/accessToken|refreshToken"/);
    expect((await browser.send('GET', '/users/me')).status).toBe(200);
  });

  it('the access cookie takes no other kind of token, also where another would do as a bearer', async () => {
    const { enrollmentToken } = await enrolling();
    const { codeToken } = (await firstFactor(strict, (await register(strict)).email)).body;
    const asBearer = await strict.http.post('/otp-devices', { type: 'totp' }, { token: enrollmentToken });
    expect(asBearer.status).toBe(201);
    for (const token of [codeToken, enrollmentToken, 'nonsense']) {
      const headers = { ...SAME_ORIGIN, cookie: `${ACCESS}=${token}` };
      expect(codeOf(await strict.http.get('/users/me', { headers }))).toBe('invalid_token');
      expect(codeOf(await strict.http.post('/otp-devices', { type: 'totp' }, { headers }))).toBe('invalid_token');
    }
  });
});

describe('AUTH_COOKIES=off', () => {
  it('ignores cookies and whoever asks for them, and checks no origin', async () => {
    const off = await startApp();
    try {
      const person = await register(off);
      const elsewhere = new Browser(off, { 'sec-fetch-site': 'cross-site', origin: EVIL });
      const answer = await elsewhere.signIn(person);
      expect(answer.body).toMatchObject({ tokenType: 'Bearer', refreshToken: expect.any(String) });
      expect(cookiesOf(answer)).toEqual([]);
      const { accessToken, refreshToken } = answer.body as { accessToken: string; refreshToken: string };
      const headers = { ...SAME_ORIGIN, cookie: `${ACCESS}=${accessToken}; ${REFRESH}=${refreshToken}` };
      expect(codeOf(await off.http.get('/users/me', { headers }))).toBe('authentication_required');
      expect(codeOf(await off.http.get('/auth/forward', { headers }))).toBe('authentication_required');
      for (const path of ['/auth/token/refresh', '/auth/token/revoke']) {
        expect((await off.http.post(path, {}, { headers })).status).toBe(400);
      }
      expect((await off.http.get('/users/me', { token: accessToken, headers })).status).toBe(200);
    } finally {
      await off.close();
    }
  });
});

describe('the size of the access cookie', () => {
  it('stays below 4096 bytes with RS256, an authenticator app and many roles', async () => {
    const rsa = await startApp({
      AUTH_COOKIES: 'on',
      SIGNING_ALGORITHM: 'RS256',
      PUBLIC_URL: `https://${'id.'.repeat(20)}example.test`,
    });
    try {
      const person = await register(rsa);
      const { accessToken } = await signInByMail(rsa, person);
      const { secret } = await enrollTotp(rsa, accessToken);
      const roles = Array.from({ length: 32 }, (_, index) => `role-${index}-${'x'.repeat(24)}`);
      await rsa.sql('UPDATE users SET roles = $2 WHERE id = $1', [person.id, roles]);
      const browser = new Browser(rsa);
      const first = await browser.send<Asked>(
        'POST',
        '/auth/token',
        { identifier: person.email, password: PASSWORD },
        ASK,
      );
      const body = { codeToken: first.body.codeToken, code: totpCode(secret, rsa.clock) };
      const answer = await browser.send('POST', '/auth/token/second-factor', body, ASK);
      expect(cookiesOf(answer).map(({ text }) => text.length < 4096)).toEqual([true, true]);
      expect((await browser.send('GET', '/users/me')).status).toBe(200);
    } finally {
      await rsa.close();
    }
  });
});

describe('below a path of PUBLIC_URL', () => {
  it('the refresh cookie has the path that the browser knows', async () => {
    const below = await startApp({ AUTH_COOKIES: 'on', PUBLIC_URL: 'https://example.test/auth' });
    try {
      const answer = await new Browser(below).signIn(await register(below));
      const refresh = cookiesOf(answer).find(({ name }) => name === REFRESH);
      expect(refresh?.attributes).toContain('Path=/auth/api/v1/auth/token');
    } finally {
      await below.close();
    }
  });
});

describe('the start', () => {
  const production = {
    NODE_ENV: 'production',
    SECRET_KEY: TEST_SECRET,
    SMTP_URL: 'smtp://mail.example.com',
    DATABASE_URL: 'postgres://localhost/x',
  };

  it('is refused in production where browsers would not keep the cookies', () => {
    const start = (PUBLIC_URL: string) => () => readSettings({ ...production, AUTH_COOKIES: 'on', PUBLIC_URL });
    expect(start('http://localhost:3000')).toThrow(ConfigurationError);
    expect(start('http://localhost:3000')).toThrow(/AUTH_COOKIES/);
    expect(start('https://id.example.com')).not.toThrow();
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fireAtOnce, outcomes } from '../security/burst.js';
import { sessionsOf } from '../security/traces.js';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { magicLink, nextLink, tokenOf } from '../support/links.js';
import {
  firstFactor,
  PASSWORD,
  personWithTotp,
  register,
  secondFactor,
  signInByMail,
  type Asked,
  type SignedIn,
} from '../support/people.js';

type Redeemed = (SignedIn | Asked) & { code?: string; methods?: string[] };

const redeem = <Body = Redeemed>(app: TestApp, token: string) =>
  app.http.post<Body>('/auth/magic-link/redeem', { token });

describe('a magic link', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  it('stands for the password; the app is asked next, and both give a session (P09)', async () => {
    const person = await personWithTotp(app);
    const link = await magicLink(app, person.email);
    expect(`${link.origin}${link.pathname}`).toBe('https://id.example.test/magic-link');

    const redeemed = await redeem<Asked>(app, tokenOf(link));
    expect([redeemed.status, redeemed.body.status]).toEqual([200, 'second_factor_required']);
    expect(redeemed.body.device.type).toBe('totp');
    expect(redeemed.body.devices.map(({ type }) => type)).not.toContain('email');
    expect(redeemed.headers['cache-control']).toBe('no-store');
    expect(JSON.stringify(redeemed.body)).not.toMatch(/accessToken|refreshToken/);

    const signedIn = await secondFactor(app, redeemed.body.codeToken, totpCode(person.secret, app.clock));
    expect(signedIn.body.status).toBe('authenticated');
    const { body: claims } = await app.http.post('/auth/token/verify', { token: signedIn.body.accessToken });
    expect(claims).toMatchObject({ sub: person.id, amr: ['email', 'otp', 'mfa'], acr: 'aal2' });
  });

  it('is not enough with a mailbox alone: a device of another channel comes first (P10)', async () => {
    const person = await register(app);
    const redeemed = await redeem(app, tokenOf(await magicLink(app, person.email)));
    expect([redeemed.status, redeemed.body.status]).toEqual([200, 'enrollment_required']);
    expect(redeemed.body.methods).not.toContain('email');
    expect(await sessionsOf(app, person.id)).toBe(0);
  });

  it('proves the address it was sent to', async () => {
    const person = await register(app);
    await redeem(app, tokenOf(await magicLink(app, person.email)));
    const [user] = await app.sql('SELECT email_verified_at IS NOT NULL AS verified FROM users WHERE id = $1', [
      person.id,
    ]);
    expect(user).toEqual({ verified: true });
  });

  it('may be asked for by the username, and goes to the mailbox', async () => {
    const username = `ada-${crypto.randomUUID().slice(0, 8)}`;
    const person = await register(app, { username });
    expect((await app.http.post('/auth/magic-link', { identifier: username })).status).toBe(202);
    const link = await nextLink(app, person.email, /sign-in link/);
    expect((await redeem(app, tokenOf(link))).status).toBe(200);
  });

  it('works once', async () => {
    const person = await personWithTotp(app);
    const token = tokenOf(await magicLink(app, person.email));
    expect((await redeem(app, token)).status).toBe(200);
    const again = await redeem(app, token);
    expect([again.status, again.body.code]).toEqual([400, 'invalid_link']);
  });

  it('works for ten minutes and not a second longer', async () => {
    const [inTime, late] = [await personWithTotp(app), await personWithTotp(app)];
    const [first, second] = [await magicLink(app, inTime.email), await magicLink(app, late.email)];
    await app.clock.advance(590);
    expect((await redeem(app, tokenOf(first))).status).toBe(200);
    await app.clock.advance(11);
    const refused = await redeem(app, tokenOf(second));
    expect([refused.status, refused.body.code]).toEqual([400, 'invalid_link']);
  });

  it('is worth nothing once a newer one was sent', async () => {
    const person = await personWithTotp(app);
    const older = await magicLink(app, person.email);
    await app.clock.advance(61);
    const newer = await magicLink(app, person.email);
    expect((await redeem(app, tokenOf(older))).status).toBe(400);
    expect((await redeem(app, tokenOf(newer))).status).toBe(200);
  });

  it('is void after a change of the password, and for a deactivated account', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    const link = await magicLink(app, person.email);
    const changed = await app.http.post(
      '/users/me/password',
      { currentPassword: PASSWORD, newPassword: 'four other uncommon words' },
      { token },
    );
    expect(changed.status).toBe(204);
    expect((await redeem(app, tokenOf(link))).status).toBe(400);

    const leaver = await register(app);
    const open = await magicLink(app, leaver.email);
    await app.sql('UPDATE users SET active = false WHERE id = $1', [leaver.id]);
    expect((await redeem(app, tokenOf(open))).status).toBe(400);
  });

  it('is kept as a hash, and only the mail has it', async () => {
    const person = await register(app);
    const token = tokenOf(await magicLink(app, person.email));
    const rows = await app.sql<{ row: string }>('SELECT links::text AS row FROM links WHERE user_id = $1', [person.id]);
    expect(rows).toHaveLength(1);
    expect(rows[0]?.row).not.toContain(token);
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
  });

  it('H04: leads to PUBLIC_URL, whatever Host the request names', async () => {
    const person = await register(app);
    const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' };
    expect((await app.http.post('/auth/magic-link', { identifier: person.email }, { headers })).status).toBe(202);
    const mail = await app.mailbox.next(person.email, /sign-in link/);
    expect(`${mail.text}${mail.html}`).not.toContain('evil.example');
    expect(mail.text).toContain('https://id.example.test/magic-link?token=');
  });

  describe('W05: opened by a scanner', () => {
    it.each(['/magic-link', '/reset-password'])(
      '%s uses nothing up, tells nothing and sends no referrer',
      async (path) => {
        const person = await personWithTotp(app);
        const link = await magicLink(app, person.email);
        const token = tokenOf(link);
        for (const method of ['GET', 'HEAD', 'GET', 'HEAD'] as const) {
          const page = await app.app.inject({ method, url: `${path}?token=${token}` });
          expect(page.statusCode).toBe(200);
          expect(page.headers).toMatchObject({
            'content-type': 'text/html; charset=utf-8',
            'referrer-policy': 'no-referrer',
            'cache-control': 'no-store',
            'x-content-type-options': 'nosniff',
          });
          expect(String(page.headers['content-security-policy'])).toMatch(/script-src 'self'(;|$)/);
          expect(page.body).not.toContain(token);
          expect(page.body).not.toMatch(/<script>|<script(?![^>]*src)|\son\w+=/);
        }
        expect(
          (await app.app.inject({ method: 'GET', url: `/api/v1/auth/magic-link/redeem?token=${token}` })).statusCode,
        ).toBe(405);
        expect((await redeem(app, token)).status).toBe(200);
      },
    );

    it('the page posts by a script of its own', async () => {
      const page = await app.app.inject('/magic-link');
      expect(page.body).toContain('<script src="/link-pages.js" defer></script>');
      expect(page.body).toContain('data-action="/api/v1/auth/magic-link/redeem"');
      expect((await app.app.inject('/reset-password')).body).toContain(
        'data-action="/api/v1/auth/password-reset/confirm"',
      );
      const script = await app.app.inject('/link-pages.js');
      expect(script.headers['content-type']).toBe('text/javascript; charset=utf-8');
    });
  });
});

describe('R23: a magic link redeemed ten times at once', () => {
  let app: TestApp;
  let origin: string;
  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp', TWO_FACTOR_FALLBACK_METHOD: 'none' });
    origin = await app.listen();
  });
  afterAll(() => app.close());

  it('begins one session', async () => {
    for (let round = 0; round < 5; round += 1) {
      const person = await register(app);
      const token = tokenOf(await magicLink(app, person.email));
      const shots = Array.from({ length: 10 }, () => ({ path: '/auth/magic-link/redeem', body: { token } }));
      expect(outcomes(await fireAtOnce([origin], shots))).toEqual({ '200': 1, '400 invalid_link': 9 });
      expect(await sessionsOf(app, person.id)).toBe(1);
    }
  });
});

describe('where a magic link leads', () => {
  const ALLOWED = ['https://app.example.com/signed-in', 'https://app.example.com/other?from=mail'];
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({
      FRONTEND_URL: 'https://app.example.com/welcome/',
      REDIRECT_ALLOWLIST: ALLOWED.join(','),
    });
  });
  afterAll(() => app.close());

  it('to the frontend by default, and our own page leads back there', async () => {
    const person = await register(app);
    const link = await magicLink(app, person.email);
    expect(link.href).toMatch(/^https:\/\/app\.example\.com\/welcome\/magic-link\?token=[\w-]{43}$/);
    expect((await app.app.inject('/magic-link')).body).toContain('<a href="https://app.example.com/welcome">');
  });

  it.each(ALLOWED)('to %s, which the operator allowed, with the token added', async (redirectTo) => {
    const person = await register(app);
    const link = await magicLink(app, person.email, redirectTo);
    const token = tokenOf(link);
    expect(token).toMatch(/^[\w-]{43}$/);
    link.searchParams.delete('token');
    expect(link.href).toBe(redirectTo);
    expect((await redeem(app, token)).status).toBe(200);
  });

  it.each([
    '//app.example.com/signed-in',
    '//evil.example',
    'https:evil.example',
    'https:app.example.com/signed-in',
    'https:\\\\app.example.com\\signed-in',
    '\\\\evil.example',
    '/\\evil.example',
    'javascript:alert(1)//https://app.example.com/signed-in',
    'data:text/html,https://app.example.com/signed-in',
    'https://app.example.com/signed-in@evil.example',
    'https://app.example.com@evil.example/signed-in',
    'https://user:pass@app.example.com/signed-in',
    '%2f%2fevil.example',
    'https://app.example.com/signed-in%2f..%2f..',
    'https://app.example.com/signed-in/../elsewhere',
    'https://app.example.com.evil.example/signed-in',
    'https://evil-app.example.com/signed-in',
    'https://sub.app.example.com/signed-in',
    'https://*.example.com/signed-in',
    'https://app.example.com/signed-in/',
    'https://app.example.com/signed-in?next=https://evil.example',
    'https://app.example.com/signed-in#fragment',
    'https://app.example.com/',
    'https://app.example.com:444/signed-in',
    'http://app.example.com/signed-in',
    'HTTPS://APP.EXAMPLE.COM/signed-in',
    ' https://app.example.com/signed-in',
    'https://app.example.com/signed-in\r\n',
    '/signed-in',
    '',
  ])('W01: not to %j, and nothing is sent', async (redirectTo) => {
    const person = await register(app);
    const answers = [];
    for (const identifier of [person.email, 'nobody-at-all@example.com']) {
      answers.push(await app.http.post('/auth/magic-link', { identifier, redirectTo }));
    }
    expect(answers.map(({ status, body }) => [status, body['code']])).toEqual(
      Array(2).fill([400, 'redirect_not_allowed']),
    );
    const jobs = await app.sql(`SELECT 1 FROM graphile_worker.jobs WHERE task_identifier = 'send-proof'`);
    expect(jobs).toEqual([]);
    expect(await app.sql('SELECT 1 FROM links WHERE user_id = $1', [person.id])).toEqual([]);
  });

  it('W01: a refusal is not counted against the destination', async () => {
    const person = await register(app);
    await app.http.post('/auth/magic-link', { identifier: person.email, redirectTo: 'https://evil.example' });
    await magicLink(app, person.email);
    expect(await firstFactor(app, person.email)).toMatchObject({ status: 200, body: { codeSent: false } });
  });
});

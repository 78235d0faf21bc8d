import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import {
  enrollTotp,
  firstFactor,
  PASSWORD,
  personWithTotp,
  register,
  secondFactor,
  signInByMail,
  type Asked,
  type Authenticator,
  type Person,
  type SignedIn,
} from '../support/people.js';

type Trusted = SignedIn & { trustedBrowserToken: string };
type Body = (Trusted | (Asked & { trustedBrowserToken?: never })) & { code?: string };

const DAY = 86_400;
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0';

describe('a trusted browser, where they are off', () => {
  it('is refused before the code is looked at, and without asking nothing changes', async () => {
    const app = await startApp();
    const person = await register(app);
    const asked = await firstFactor(app, person.email);
    const code = await app.mailbox.code(person.email);

    const refused = await secondFactor<{ code: string }>(app, asked.body.codeToken, code, { trustBrowser: true });
    expect([refused.status, refused.body.code]).toEqual([403, 'trusted_browsers_off']);
    const accepted = await secondFactor(app, asked.body.codeToken, code, { trustBrowser: false });
    expect(accepted.status).toBe(200);
    expect(accepted.body).not.toHaveProperty('trustedBrowserToken');
    await app.close();
  });

  it('is nothing any more once the operator switches them off', async () => {
    const app = await startApp({ TRUSTED_BROWSER_TTL: '30d' });
    const person = await register(app);
    const asked = await firstFactor(app, person.email);
    const code = await app.mailbox.code(person.email);
    const trusted = await secondFactor<Trusted>(app, asked.body.codeToken, code, { trustBrowser: true });
    const { trustedBrowserToken } = trusted.body;
    const replica = await startApp({}, { replicaOf: app });
    const { body } = await replica.http.post<Body>('/auth/token', {
      identifier: person.email,
      password: PASSWORD,
      trustedBrowserToken,
    });
    expect(body.status).toBe('second_factor_required');
    await replica.close();
    await app.close();
  });
});

describe('a trusted browser, where an app is required', () => {
  it('cannot be had by the step that only opens an enrollment', async () => {
    const strict = await startApp({ TRUSTED_BROWSER_TTL: '30d', TWO_FACTOR_TRUSTED_METHODS: 'totp' });
    const person = await register(strict);
    const { body } = await firstFactor(strict, person.email);
    const code = await strict.mailbox.code(person.email);
    const answer = await secondFactor(strict, body.codeToken, code, { trustBrowser: true });
    expect([answer.status, answer.body.status]).toEqual([200, 'enrollment_required']);
    expect(answer.body).not.toHaveProperty('trustedBrowserToken');
    expect(await strict.sql('SELECT 1 FROM trusted_browsers')).toEqual([]);
    await strict.close();
  });
});

describe('a trusted browser, with TRUSTED_BROWSER_TTL=30d', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ TRUSTED_BROWSER_TTL: '30d' });
  });
  afterAll(() => app.close());

  const signIn = (
    { email: identifier }: Person,
    trustedBrowserToken: string | undefined,
    password = PASSWORD,
    userAgent = FIREFOX,
  ) =>
    app.http.post<Body>(
      '/auth/token',
      { identifier, password, trustedBrowserToken },
      { headers: { 'user-agent': userAgent } },
    );

  /** A complete sign-in that asks for the trust. */
  async function trust(person: Person & Authenticator, userAgent = FIREFOX): Promise<Trusted> {
    await app.clock.advance(60);
    const { body } = await firstFactor(app, person.email);
    const answer = await app.http.post<Trusted>(
      '/auth/token/second-factor',
      { codeToken: body.codeToken, code: totpCode(person.secret, app.clock), trustBrowser: true },
      { headers: { 'user-agent': userAgent } },
    );
    expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'no-store']);
    return answer.body;
  }

  const browsersOf = async ({ accessToken: token }: { accessToken: string }) =>
    (await app.http.get<{ items: Record<string, unknown>[] }>('/users/me/trusted-browsers', { token })).body.items;

  async function expectAsked(person: Person, token: string | undefined, password = PASSWORD): Promise<void> {
    const { status, body } = await signIn(person, token, password);
    expect([status, body.status]).toEqual([200, 'second_factor_required']);
    expect(body).not.toHaveProperty('trustedBrowserToken');
  }

  it('needs the password only, and the session says so: aal1, pwd', async () => {
    const person = await personWithTotp(app);
    const { trustedBrowserToken } = await trust(person);
    expect(Buffer.from(trustedBrowserToken, 'base64url')).toHaveLength(32);

    const { status, body } = await signIn(person, trustedBrowserToken);
    expect([status, body.status]).toEqual([200, 'authenticated']);
    const { accessToken: token } = body as Trusted;
    const claims = await app.http.post('/auth/token/verify', { token });
    expect(claims.body).toMatchObject({ active: true, acr: 'aal1', amr: ['pwd'] });
    expect((await signIn(person, undefined)).body.status).toBe('second_factor_required');
  });

  it('is no password', async () => {
    const person = await personWithTotp(app);
    const { trustedBrowserToken } = await trust(person);
    const refused = await signIn(person, trustedBrowserToken, 'three other words');
    expect([refused.status, refused.body.code]).toEqual([401, 'invalid_credentials']);
    // A wrong password does not use the token up.
    expect((await signIn(person, trustedBrowserToken)).body.status).toBe('authenticated');
  });

  it('has another token after each use, and the one before is dead', async () => {
    const person = await personWithTotp(app);
    const first = (await trust(person)).trustedBrowserToken;
    const second = (await signIn(person, first)).body.trustedBrowserToken;
    expect(second).not.toBe(first);
    await expectAsked(person, first);
    const third = (await signIn(person, second)).body.trustedBrowserToken;
    expect(third).toEqual(expect.any(String));
    expect([first, second]).not.toContain(third);
  });

  it('goes on in one place, where a copy of its token is used at the same moment', async () => {
    const person = await personWithTotp(app);
    const { trustedBrowserToken } = await trust(person);
    const answers = await Promise.all([signIn(person, trustedBrowserToken), signIn(person, trustedBrowserToken)]);
    expect(answers.map(({ body }) => body.status).toSorted()).toEqual(['authenticated', 'second_factor_required']);
  });

  it('is one user’s: his token does nothing for another one, and stays good for him', async () => {
    const [person, other] = [await personWithTotp(app), await personWithTotp(app)];
    const { trustedBrowserToken } = await trust(person);
    await expectAsked(other, trustedBrowserToken);
    expect((await signIn(person, trustedBrowserToken)).body.status).toBe('authenticated');
  });

  it('does not replace a second factor after an e-mailed code', async () => {
    const person = await personWithTotp(app);
    const { trustedBrowserToken } = await trust(person);
    await app.http.post('/auth/otp', { identifier: person.email });
    const code = await app.mailbox.code(person.email);
    const { body } = await app.http.post<Body>('/auth/token', { identifier: person.email, code, trustedBrowserToken });
    expect(body).toMatchObject({ status: 'second_factor_required', device: { type: 'totp' } });
  });

  it('is told to the user by mail, in his language', async () => {
    const person = await personWithTotp(app);
    await app.sql(`UPDATE users SET locale = 'de' WHERE id = $1`, [person.id]);
    await trust(person);
    const { text } = await app.mailbox.next(person.email, /Browser/);
    expect(text).toContain('Firefox/145.0');
    expect(text).toContain('Browser');
    const events = await app.sql(`SELECT 1 FROM audit_events WHERE user_id = $1 AND type = 'browser.trusted'`, [
      person.id,
    ]);
    expect(events).toHaveLength(1);
  });

  it('is listed without its token, the last used first', async () => {
    const person = await personWithTotp(app);
    const firefox = await trust(person);
    const safari = await trust(person, 'Safari');
    await app.clock.advance(60);
    await signIn(person, firefox.trustedBrowserToken);

    const browsers = await browsersOf(safari);
    expect(browsers.map(({ userAgent }) => userAgent)).toEqual([FIREFOX, 'Safari']);
    expect(Object.keys(browsers[0] ?? {}).toSorted()).toEqual(
      ['createdAt', 'expiresAt', 'id', 'ip', 'lastUsedAt', 'userAgent'].toSorted(),
    );
    const { createdAt, expiresAt } = browsers[0] as { createdAt: string; expiresAt: string };
    expect(Date.parse(expiresAt) - Date.parse(createdAt)).toBe(30 * DAY * 1000);
    const stored = await app.sql<{ row: string }>('SELECT t::text AS row FROM trusted_browsers t WHERE user_id = $1', [
      person.id,
    ]);
    expect(JSON.stringify(stored)).not.toContain(safari.trustedBrowserToken);
  });

  it('can be forgotten, one or all of them, by its user only', async () => {
    const [person, other] = [await personWithTotp(app), await personWithTotp(app)];
    const [firefox, safari, opera] = [await trust(person), await trust(person, 'Safari'), await trust(person, 'Opera')];
    const mine = await browsersOf(firefox);
    const id = mine.find(({ userAgent }) => userAgent === 'Safari')?.['id'] as string;

    const { accessToken: stranger } = (await trust(other)) as { accessToken: string };
    expect((await app.http.delete(`/users/me/trusted-browsers/${id}`, { token: stranger })).status).toBe(404);
    expect((await app.http.delete('/users/me/trusted-browsers', { token: stranger })).status).toBe(204);
    expect(await browsersOf(firefox)).toHaveLength(3);

    const { accessToken: token } = opera;
    expect((await app.http.delete(`/users/me/trusted-browsers/${id}`, { token })).status).toBe(204);
    expect((await app.http.delete(`/users/me/trusted-browsers/${id}`, { token })).status).toBe(404);
    await expectAsked(person, safari.trustedBrowserToken);
    const next = (await signIn(person, firefox.trustedBrowserToken)).body.trustedBrowserToken;
    expect(next).toEqual(expect.any(String));

    expect((await app.http.delete('/users/me/trusted-browsers', { token })).status).toBe(204);
    await expectAsked(person, next);
    await expectAsked(person, opera.trustedBrowserToken);
    expect(await browsersOf(opera)).toEqual([]);
  });

  it('expires 30 days after the second factor, however often it is used', async () => {
    const person = await personWithTotp(app);
    const { trustedBrowserToken } = await trust(person);
    await app.clock.advance(29 * DAY);
    const { body } = await signIn(person, trustedBrowserToken);
    expect(body.status).toBe('authenticated');
    await app.clock.advance(DAY + 1);
    await expectAsked(person, body.trustedBrowserToken);
  });

  describe('is forgotten with every change of the account’s security:', () => {
    const NEW_PASSWORD = 'four words nobody knows';

    it('another password', async () => {
      const person = await personWithTotp(app);
      const { trustedBrowserToken, accessToken: token } = await trust(person);
      const change = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };
      expect((await app.http.post('/users/me/password', change, { token })).status).toBe(204);
      await expectAsked(person, trustedBrowserToken, NEW_PASSWORD);
    });

    it('a reset one', async () => {
      const person = await personWithTotp(app);
      const { trustedBrowserToken } = await trust(person);
      await app.http.post('/auth/password-reset', { identifier: person.email });
      const { text } = await app.mailbox.next(person.email, /new password/);
      const token = /token=([\w-]+)/.exec(text)?.[1];
      const reset = await app.http.post('/auth/password-reset/confirm', { token, newPassword: NEW_PASSWORD });
      expect(reset.status).toBe(204);
      await expectAsked(person, trustedBrowserToken, NEW_PASSWORD);
    });

    it('another device', async () => {
      const person = await personWithTotp(app);
      const { trustedBrowserToken, accessToken } = await trust(person);
      await enrollTotp(app, accessToken);
      await expectAsked(person, trustedBrowserToken);
    });

    it('one device less', async () => {
      const person = await personWithTotp(app);
      const { trustedBrowserToken, accessToken: token } = await trust(person);
      expect((await app.http.delete(`/otp-devices/${person.deviceId}`, { token })).status).toBe(204);
      await expectAsked(person, trustedBrowserToken);
    });

    it('another preference', async () => {
      const person = await personWithTotp(app);
      const { trustedBrowserToken, accessToken: token } = await trust(person);
      expect((await app.http.patch('/users/me/two-factor', { preferredMethod: 'email' }, { token })).status).toBe(200);
      await expectAsked(person, trustedBrowserToken);
    });
  });

  it('can be trusted by a code from the mailbox too', async () => {
    const person = await register(app);
    await signInByMail(app, person);
    const { body } = await firstFactor(app, person.email);
    const code = await app.mailbox.code(person.email);
    const { trustedBrowserToken } = (await secondFactor<Trusted>(app, body.codeToken, code, { trustBrowser: true }))
      .body;
    expect((await signIn(person, trustedBrowserToken)).body.status).toBe('authenticated');
  });
});

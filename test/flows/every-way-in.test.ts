import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import type { Answer } from '../support/http.js';
import { OpenIdProvider } from '../support/openid-provider.js';
import { firstFactor, PASSWORD, register, secondFactor, type Person } from '../support/people.js';
import { signInByIdToken } from '../support/social.js';

/** The policies of the README; trusted browsers are on, so that they are in the table. */
const POLICIES = {
  'the default': {},
  'an app is required': { TWO_FACTOR_TRUSTED_METHODS: 'totp' },
  optional: { TWO_FACTOR_TRUSTED_METHODS: 'none,email,sms,totp', TWO_FACTOR_FALLBACK_METHOD: 'none' },
} as const;
type PolicyName = keyof typeof POLICIES;

type WayIn = 'password' | 'mailed code' | 'texted code' | 'magic link' | 'provider' | 'trusted browser';
type Who = 'new' | 'mailbox' | 'phone' | 'app' | 'app, opted in' | 'mailbox, opted in' | 'no address';

interface Somebody extends Person {
  phoneNumber: string;
  secret?: string;
}

interface Result {
  status: 'authenticated' | 'second_factor_required' | 'enrollment_required';
  code?: string;
  accessToken: string;
  codeToken: string;
  enrollmentToken: string;
  device: { id: string; type: string };
  devices: { type: string }[];
  methods: string[];
  trustedBrowserToken?: string;
}

/** What happens, step by step: what is asked or enrolled, and what the session says in the end. */
type Row = [who: Who, way: WayIn, whatHappens: string];

/**
 * Every first factor meets every state of a user under every policy. Where a second factor is demanded or wanted, no
 * row but the trusted browser's has a session without one, and none has the same channel twice (P09, P10, P12, P13).
 */
const TABLE: Record<PolicyName, Row[]> = {
  'the default': [
    ['new', 'password', 'asks email → in: aal1 pwd email'],
    ['new', 'mailed code', 'enrolls sms/totp → in: aal2 email otp mfa'],
    ['new', 'texted code', 'asks email → in: aal1 sms email'],
    ['new', 'magic link', 'enrolls sms/totp → in: aal2 email otp mfa'],
    ['new', 'provider', 'asks email → in: aal1 fed email'],
    ['mailbox', 'password', 'asks email → in: aal1 pwd email'],
    ['mailbox', 'mailed code', 'enrolls sms/totp → in: aal2 email otp mfa'],
    ['mailbox', 'texted code', 'asks email → in: aal1 sms email'],
    ['mailbox', 'magic link', 'enrolls sms/totp → in: aal2 email otp mfa'],
    ['mailbox', 'provider', 'asks email → in: aal1 fed email'],
    ['mailbox', 'trusted browser', 'in: aal1 pwd'],
    ['phone', 'password', 'asks sms → in: aal2 pwd sms mfa'],
    ['phone', 'mailed code', 'asks sms → in: aal2 email sms mfa'],
    ['phone', 'texted code', 'asks email → in: aal1 sms email'],
    ['phone', 'magic link', 'asks sms → in: aal2 email sms mfa'],
    ['phone', 'provider', 'asks sms → in: aal2 fed sms mfa'],
    ['phone', 'trusted browser', 'in: aal1 pwd'],
    ['app', 'password', 'asks totp → in: aal2 pwd otp mfa'],
    ['app', 'mailed code', 'asks totp → in: aal2 email otp mfa'],
    ['app', 'texted code', 'asks totp → in: aal2 sms otp mfa'],
    ['app', 'magic link', 'asks totp → in: aal2 email otp mfa'],
    ['app', 'provider', 'asks totp → in: aal2 fed otp mfa'],
    ['app', 'trusted browser', 'in: aal1 pwd'],
    ['no address', 'password', '403 two_factor_not_configured'],
    ['no address', 'provider', 'enrolls email/sms/totp → in: aal2 fed otp mfa'],
  ],
  'an app is required': [
    ['new', 'password', 'asks email → enrolls totp → in: aal2 pwd email otp mfa'],
    ['new', 'mailed code', 'enrolls totp → in: aal2 email otp mfa'],
    ['new', 'texted code', 'asks email → enrolls totp → in: aal2 sms email otp mfa'],
    ['new', 'magic link', 'enrolls totp → in: aal2 email otp mfa'],
    ['new', 'provider', 'asks email → enrolls totp → in: aal2 fed email otp mfa'],
    ['app', 'password', 'asks totp → in: aal2 pwd otp mfa'],
    ['app', 'mailed code', 'asks totp → in: aal2 email otp mfa'],
    ['app', 'texted code', 'asks totp → in: aal2 sms otp mfa'],
    ['app', 'magic link', 'asks totp → in: aal2 email otp mfa'],
    ['app', 'provider', 'asks totp → in: aal2 fed otp mfa'],
    ['app', 'trusted browser', 'in: aal1 pwd'],
    ['no address', 'password', '403 two_factor_not_configured'],
    ['no address', 'provider', 'enrolls totp → in: aal2 fed otp mfa'],
  ],
  optional: [
    ['new', 'password', 'in: aal1 pwd'],
    ['new', 'mailed code', 'in: aal1 email'],
    ['new', 'texted code', 'in: aal1 sms'],
    ['new', 'magic link', 'in: aal1 email'],
    ['new', 'provider', 'in: aal1 fed'],
    ['app', 'password', 'asks totp → in: aal2 pwd otp mfa'],
    ['app', 'mailed code', 'asks totp → in: aal2 email otp mfa'],
    ['app', 'texted code', 'asks totp → in: aal2 sms otp mfa'],
    ['app', 'magic link', 'asks totp → in: aal2 email otp mfa'],
    ['app, opted in', 'password', 'asks totp → in: aal2 pwd otp mfa'],
    ['app, opted in', 'mailed code', 'asks totp → in: aal2 email otp mfa'],
    ['app, opted in', 'texted code', 'asks totp → in: aal2 sms otp mfa'],
    ['app, opted in', 'magic link', 'asks totp → in: aal2 email otp mfa'],
    ['app, opted in', 'provider', 'asks totp → in: aal2 fed otp mfa'],
    ['app, opted in', 'trusted browser', 'in: aal1 pwd'],
    ['mailbox, opted in', 'password', 'asks email → in: aal1 pwd email'],
    ['mailbox, opted in', 'mailed code', 'enrolls sms/totp → in: aal2 email otp mfa'],
    ['mailbox, opted in', 'magic link', 'enrolls sms/totp → in: aal2 email otp mfa'],
    ['no address', 'password', 'in: aal1 pwd'],
    ['no address', 'provider', 'in: aal1 fed'],
  ],
};

describe.each(Object.keys(TABLE) as PolicyName[])('the policy: %s', (policy) => {
  let app: TestApp;
  let idp: OpenIdProvider;
  beforeAll(async () => {
    idp = await OpenIdProvider.start();
    app = await startApp({
      ...POLICIES[policy],
      TRUSTED_BROWSER_TTL: '30d',
      CODE_RESEND_COOLDOWN: 'off',
      OIDC_CORP_ISSUER: idp.issuer,
      OIDC_CORP_CLIENT_ID: 'countersign',
      OIDC_CORP_CLIENT_SECRET: 'corp-secret',
    });
    idp.now = () => app.clock.seconds();
  });
  afterAll(async () => {
    await app.close();
    await idp.stop();
  });

  it.each(TABLE[policy])('%s, %s: %s', async (who, way, whatHappens) => {
    const person = await become(who);
    expect(await walk(person, await waysIn[way](person))).toBe(whatHappens);
  });

  /** Proves first that it is who he is, and nothing more. */
  const waysIn: Record<WayIn, (person: Somebody) => Promise<Answer<Result>>> = {
    password: ({ email }) => firstFactor<Result>(app, email),
    'mailed code': ({ email }) => withSentCode(email, () => app.mailbox.code(email)),
    'texted code': ({ phoneNumber }) => withSentCode(phoneNumber, () => app.mailbox.smsCode(phoneNumber)),
    'magic link': async ({ email }) => {
      await app.http.post('/auth/magic-link', { identifier: email });
      const { text } = await app.mailbox.next(email, /link/);
      const token = /token=([\w-]+)/.exec(text)?.[1];
      return app.http.post<Result>('/auth/magic-link/redeem', { token });
    },
    provider: async ({ id }) => {
      await app.sql(
        `INSERT INTO social_identities (id, user_id, provider, issuer, subject, created_at, last_used_at)
         VALUES ($1, $1, 'corp', $2, $3, now(), now())`,
        [id, idp.issuer, id],
      );
      return signInByIdToken<Result>(app, 'corp', idp, { sub: id, aud: 'countersign' });
    },
    'trusted browser': async (person) => {
      const asked = await firstFactor(app, person.email);
      const { body } = await secondFactor<Result>(
        app,
        asked.body.codeToken,
        await codeOf(person, asked.body.device.type),
        { trustBrowser: true },
      );
      const { trustedBrowserToken } = body;
      return app.http.post<Result>('/auth/token', {
        identifier: person.email,
        password: PASSWORD,
        trustedBrowserToken,
      });
    },
  };

  async function withSentCode(identifier: string, read: () => Promise<string>): Promise<Answer<Result>> {
    const channel = identifier.startsWith('+') ? 'sms' : 'email';
    expect((await app.http.post('/auth/otp', { identifier, channel })).status).toBe(202);
    return app.http.post<Result>('/auth/token', { identifier, code: await read() });
  }

  /** Follows the answers until there is a session or a refusal, and tells what was met on the way. */
  async function walk(person: Somebody, { status, body }: Answer<Result>): Promise<string> {
    if (status !== 200) return `${status} ${body.code}`;
    switch (body.status) {
      case 'authenticated': {
        const { body: claims } = await app.http.post<{ acr: string; amr: string[] }>('/auth/token/verify', {
          token: body.accessToken,
        });
        expect((await app.http.get('/users/me', { token: body.accessToken })).status).toBe(200);
        return `in: ${claims.acr} ${claims.amr.join(' ')}`;
      }
      case 'second_factor_required': {
        // What was given so far opens nothing.
        expect((await app.http.get('/users/me', { token: body.codeToken })).status).toBe(401);
        const code = await codeOf(person, body.device.type);
        return `asks ${body.device.type} → ${await walk(person, await secondFactor<Result>(app, body.codeToken, code))}`;
      }
      case 'enrollment_required': {
        const { enrollmentToken: token, methods } = body;
        expect((await app.http.get('/users/me', { token })).status).toBe(403);
        return `enrolls ${methods.join('/')} → ${await walk(person, await enroll(person, token))}`;
      }
    }
  }

  async function codeOf({ email, phoneNumber, secret }: Somebody, type: string): Promise<string> {
    if (type === 'email') return app.mailbox.code(email);
    if (type === 'sms') return app.mailbox.smsCode(phoneNumber);
    // An app's code is good for one use, so the next one is awaited.
    await app.clock.advance(60);
    return totpCode(secret ?? '', app.clock);
  }

  async function enroll(person: Somebody, token: string): Promise<Answer<Result>> {
    const { body } = await app.http.post<{ id: string; secret: string }>('/otp-devices', { type: 'totp' }, { token });
    person.secret = body.secret;
    const code = totpCode(body.secret, app.clock);
    return app.http.post<Result>(`/otp-devices/${body.id}/confirm`, { code }, { token });
  }

  async function become(who: Who): Promise<Somebody> {
    const phoneNumber = `+49151${randomInt(10_000_000, 99_999_999)}`;
    if (who === 'no address') {
      const username = `user-${randomInt(1_000_000_000)}`;
      const { body } = await app.http.post<{ id: string }>('/users', { username, password: PASSWORD });
      return { id: body.id, email: username, phoneNumber };
    }
    const person: Somebody = { ...(await register(app, { phoneNumber })), phoneNumber };
    if (who === 'new') return person;

    const token = await firstSession(person, who);
    if (who === 'phone') await confirm(token, { type: 'sms', phoneNumber }, () => app.mailbox.smsCode(phoneNumber));
    if (who.startsWith('app') && person.secret === undefined) expect((await enroll(person, token)).status).toBe(200);
    if (who.endsWith('opted in')) {
      const changed = await app.http.patch('/users/me/two-factor', { required: true }, { token });
      expect(changed.status).toBe(200);
    }
    return person;
  }

  /** Signs in with whatever the policy asks of a newcomer. */
  async function firstSession(person: Somebody, who: Who): Promise<string> {
    // Where no second factor is asked, only a mailed code makes the address a device.
    const first = who.startsWith('mailbox') && policy === 'optional' ? 'mailed code' : 'password';
    let { body } = await waysIn[first](person);
    if (body.status === 'second_factor_required') {
      ({ body } = await secondFactor<Result>(app, body.codeToken, await codeOf(person, body.device.type)));
    }
    if (body.status === 'enrollment_required') ({ body } = await enroll(person, body.enrollmentToken));
    return body.accessToken;
  }

  async function confirm(token: string, device: Record<string, string>, read: () => Promise<string>): Promise<void> {
    const { body } = await app.http.post<{ id: string }>('/otp-devices', device, { token });
    const { status } = await app.http.post(`/otp-devices/${body.id}/confirm`, { code: await read() }, { token });
    expect(status).toBe(200);
  }
});

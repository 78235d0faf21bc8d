import { randomBytes, randomInt } from 'node:crypto';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AdminCreation } from '../../src/admin/admin-creation.service.js';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { accept, invite, inviteAndRead, type Invitation } from '../support/invitations.js';
import { nextLink, tokenOf } from '../support/links.js';
import {
  administrator,
  enrollTotp,
  firstFactor,
  PASSWORD,
  personWithTotp,
  register,
  secondFactor,
  signInByMail,
  type SignedIn,
} from '../support/people.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const DAY = 86_400;
const nobody = () => `invited-${randomBytes(5).toString('hex')}@example.com`;

let app: TestApp;
beforeAll(async () => {
  app = await startApp({
    REDIRECT_ALLOWLIST: 'https://app.example.com/welcome?from=mail',
    WEBHOOK_ALLOW_PRIVATE_TARGETS: 'on',
  });
});
afterAll(() => app.close());

/** Somebody who has just signed in. */
async function member(extra: Record<string, unknown> = {}) {
  const person = await register(app, extra);
  return { ...person, token: (await signInByMail(app, person)).accessToken };
}

const userOf = async (email: string) =>
  (
    await app.sql<{ id: string; verified: boolean; roles: string[]; first_name: string; password_hash: string | null }>(
      'SELECT id, email_verified_at IS NOT NULL AS verified, roles, first_name, password_hash FROM users WHERE email = $1',
      [email],
    )
  )[0];

const shown = async (id: string, token: string) =>
  (await app.http.get<Invitation>(`/invitations/${id}`, { token })).body;

describe('an invitation of somebody who has no account', () => {
  it('goes out by mail, tells who invites, and makes an account whose address is proved', async () => {
    const inviter = await member({ firstName: 'Ada', lastName: 'Lovelace' });
    const email = nobody();
    const created = await invite(app, inviter.token, { email, message: ' Welcome to the team! ' });
    expect([created.status, created.body]).toEqual([
      201,
      expect.objectContaining({
        inviter: { id: inviter.id, name: 'Ada Lovelace' },
        email,
        phoneNumber: null,
        status: 'pending',
        roles: [],
        requireTwoFactor: false,
        methods: null,
        message: 'Welcome to the team!',
        acceptedBy: null,
      }),
    ]);
    const week = Date.parse(created.body.expiresAt) - app.clock.now().getTime();
    expect(Math.round(week / 1000 / DAY)).toBe(7);

    const mail = await app.mailbox.next(email, /^You are invited to Countersign$/);
    const link = new URL(/https?:\/\/\S+/.exec(mail.text)?.[0] ?? '');
    expect(`${link.origin}${link.pathname}`).toBe('https://id.example.test/invitation');
    expect(mail.text).toContain('Ada Lovelace invites you');
    expect(mail.text).toContain('“Welcome to the team!”');
    expect(mail.text).toContain(`until ${created.body.expiresAt.slice(0, 16).replace('T', ' ')} UTC`);

    const preview = await app.http.post('/invitations/preview', { token: tokenOf(link) });
    expect([preview.status, preview.body]).toEqual([
      200,
      {
        inviter: 'Ada Lovelace',
        address: 'i•••@example.com',
        roles: [],
        requiresTwoFactor: false,
        methods: null,
        message: 'Welcome to the team!',
        expiresAt: created.body.expiresAt,
      },
    ]);

    const accepted = await accept(app, tokenOf(link), { firstName: 'Grace', lastName: 'Hopper', password: PASSWORD });
    // The mailbox was the first factor, so the second one is of another channel.
    expect([accepted.status, accepted.body.status, accepted.body.methods]).toEqual([
      200,
      'enrollment_required',
      ['sms', 'totp'],
    ]);
    expect(accepted.headers['cache-control']).toBe('no-store');
    expect(await userOf(email)).toMatchObject({ verified: true, roles: [], first_name: 'Grace' });

    expect(await shown(created.body.id, inviter.token)).toMatchObject({
      status: 'accepted',
      acceptedAt: expect.any(String) as string,
      acceptedBy: null,
    });
    const notice = await app.mailbox.next(inviter.email, /^Your invitation was accepted$/);
    expect(notice.text).toContain('Your invitation to i•••@example.com was accepted.');
    // The password that the new user chose is his.
    await app.clock.advance(61);
    const { accessToken } = await signInByMail(app, { id: '', email });
    expect((await app.http.get('/users/me', { token: accessToken })).body).toMatchObject({ email, firstName: 'Grace' });
  });

  it('by phone goes out as a text of our own words alone, and proves the number', async () => {
    const inviter = await member({ firstName: 'Mallory', lastName: 'Hostile' });
    const phoneNumber = `+49151${randomInt(10_000_000, 99_999_999)}`;
    const { status, body } = await invite(app, inviter.token, { phoneNumber, message: 'Call me' });
    expect([status, body.email, body.phoneNumber]).toEqual([201, null, phoneNumber]);
    const { text } = await app.mailbox.next(phoneNumber, /^$/);
    expect(text).toMatch(
      /^Invitation: https:\/\/id\.example\.test\/invitation\?token=[\w-]{43} Works once, until [\d-]{10} [\d:]{5} UTC\. Unexpected\? Ignore\.$/,
    );
    const token = /token=([\w-]+)/.exec(text)?.[1] ?? '';
    const preview = await app.http.post('/invitations/preview', { token });
    expect(preview.body['address']).toBe(`+••••••${phoneNumber.slice(-2)}`);
    const accepted = await accept(app, token);
    expect([accepted.status, accepted.body.status, accepted.body.methods]).toEqual([
      200,
      'enrollment_required',
      ['email', 'totp'],
    ]);
    const [user] = await app.sql(
      'SELECT phone_verified_at IS NOT NULL AS verified FROM users WHERE phone_number = $1',
      [phoneNumber],
    );
    expect(user).toEqual({ verified: true });
  });

  it('is written in the language of the inviter’s request', async () => {
    const inviter = await member();
    const email = nobody();
    await invite(app, inviter.token, { email }, { 'accept-language': 'de-AT, en;q=0.5' });
    const { text } = await app.mailbox.next(email, /^Sie sind zu Countersign eingeladen$/);
    expect(text).toMatch(/^p•••@example\. com lädt Sie ein/);
  });

  it('leads where the inviter wants, of what the operator allows', async () => {
    const inviter = await member();
    const { link } = await inviteAndRead(app, inviter.token, nobody(), {
      redirectTo: 'https://app.example.com/welcome?from=mail',
    });
    expect(link.href).toMatch(/^https:\/\/app\.example\.com\/welcome\?from=mail&token=[\w-]{43}$/);
  });
});

describe('an invitation by an administrator', () => {
  it('brings roles, and a rule that leads through the enrollment of what it accepts', async () => {
    const admin = await administrator(app);
    const email = nobody();
    const { id, token } = await inviteAndRead(app, admin.token, email, {
      roles: ['support'],
      requireTwoFactor: true,
      methods: ['totp'],
    });
    expect((await app.http.post('/invitations/preview', { token })).body).toMatchObject({
      roles: ['support'],
      requiresTwoFactor: true,
      methods: ['totp'],
    });

    const { body } = await accept(app, token, { password: PASSWORD });
    expect([body.status, body.methods]).toEqual(['enrollment_required', ['totp']]);
    const { secret } = await enrollTotp(app, body.enrollmentToken ?? '');
    const user = await userOf(email);
    expect(user?.roles).toEqual(['support']);

    const { body: asked } = await firstFactor(app, email);
    const signedIn = await secondFactor(app, asked.codeToken, totpCode(secret, app.clock));
    const claims = await app.http.post('/auth/token/verify', { token: signedIn.body.accessToken });
    expect(claims.body).toMatchObject({ roles: ['support'], acr: 'aal2' });

    const rule = await app.http.get(`/admin/users/${user?.id}/two-factor`, { token: admin.token });
    expect(rule.body).toMatchObject({ required: true, methods: ['totp'], deadline: null });
    expect(await shown(id, admin.token)).toMatchObject({ status: 'accepted', acceptedBy: user?.id });

    const events = await app.sql<{ type: string; actor: string; actor_id: string | null; details: object }>(
      `SELECT type, actor, actor_id, details FROM audit_events WHERE user_id = $1
       AND type IN ('user.roles-changed', 'two-factor.rule-changed', 'invitation.accepted') ORDER BY type`,
      [user?.id],
    );
    expect(events).toEqual([
      {
        type: 'invitation.accepted',
        actor: 'user',
        actor_id: null,
        details: { invitationId: id, inviterId: admin.id, newAccount: true },
      },
      expect.objectContaining({ type: 'two-factor.rule-changed', actor: 'admin', actor_id: admin.id }),
      {
        type: 'user.roles-changed',
        actor: 'admin',
        actor_id: admin.id,
        details: { before: [], after: ['support'] },
      },
    ]);
  });

  it('is told to webhooks in ids alone', async () => {
    const receiver = await WebhookReceiver.start();
    const admin = await administrator(app);
    try {
      const webhook = { url: receiver.url(), events: ['invitation.accepted'] };
      expect((await app.http.post('/admin/webhooks', webhook, { token: admin.token })).status).toBe(201);
      const email = nobody();
      const { id, token } = await inviteAndRead(app, admin.token, email);
      await accept(app, token);
      const user = await userOf(email);
      const data = { userId: user?.id, invitationId: id, inviterId: admin.id, newAccount: true };
      // What was accepted before may be sealed only now, and is told too.
      const told = expect.objectContaining({
        type: 'invitation.accepted',
        data: expect.objectContaining(data) as unknown,
      });
      await vi.waitFor(() => expect(receiver.told).toContainEqual(told), { timeout: 10_000, interval: 20 });
      for (const { body } of receiver.hits) expect(body).not.toContain('@');
    } finally {
      await app.sql('DELETE FROM webhooks');
      await receiver.stop();
    }
  });
});

describe('an invitation of somebody who has an account', () => {
  it('P09: adds its roles, and asks for his second factor before there is a session', async () => {
    const admin = await administrator(app);
    const person = await personWithTotp(app);
    await app.sql(`UPDATE users SET roles = '{auditor}' WHERE id = $1`, [person.id]);
    const { token } = await inviteAndRead(app, admin.token, person.email, { roles: ['support', 'auditor'] });
    const { status, body } = await accept(app, token);
    expect([status, body.status, body.device?.type]).toEqual([200, 'second_factor_required', 'totp']);
    expect(JSON.stringify(body)).not.toMatch(/accessToken|refreshToken/);
    expect((await userOf(person.email))?.roles).toEqual(['auditor', 'support']);
  });

  it('takes no password and no name for it, and stays open when they were sent', async () => {
    const inviter = await member();
    const person = await personWithTotp(app);
    const before = await userOf(person.email);
    const { id, token } = await inviteAndRead(app, inviter.token, person.email);
    const refused = await accept(app, token, { password: 'four other uncommon words', firstName: 'Eve' });
    expect([refused.status, refused.body.code]).toEqual([400, 'validation_failed']);
    expect(refused.text).toContain('"field":"password"');
    expect(refused.text).toContain('"field":"firstName"');
    expect(await userOf(person.email)).toEqual(before);
    expect((await shown(id, inviter.token)).status).toBe('pending');
    // his own access token may go along
    expect((await accept(app, token, {}, person.session.accessToken)).status).toBe(200);
  });

  it('keeps the stricter of two rules, and can be no way to lower one', async () => {
    const admin = await administrator(app);
    const person = await personWithTotp(app);
    const path = `/admin/users/${person.id}/two-factor`;
    await app.http.patch(path, { required: true, methods: ['totp', 'sms'] }, { token: admin.token });
    const { token } = await inviteAndRead(app, admin.token, person.email, { methods: ['email', 'totp'] });
    expect((await accept(app, token)).status).toBe(200);
    const { body } = await app.http.get(path, { token: admin.token });
    expect(body).toMatchObject({ required: true, methods: ['totp'] });
  });

  it('is written in his own language, whatever the inviter’s is', async () => {
    const inviter = await member();
    const person = await member();
    await app.http.patch('/users/me', { locale: 'de' }, { token: person.token });
    await app.clock.advance(61);
    await invite(app, inviter.token, { email: person.email }, { 'accept-language': 'en' });
    await app.mailbox.next(person.email, /^Sie sind zu Countersign eingeladen$/);
  });
});

describe('an open invitation', () => {
  it('is sent again with a fresh link, three times; the one before opens nothing any more', async () => {
    const inviter = await member();
    const email = nobody();
    const first = await inviteAndRead(app, inviter.token, email, { expiresIn: 3 * DAY });
    const resend = async () => {
      const { accessToken } = await signInByMail(app, inviter);
      return app.http.post<Invitation>(`/invitations/${first.id}/resend`, undefined, { token: accessToken });
    };
    const tooSoon = await app.http.post(`/invitations/${first.id}/resend`, undefined, { token: inviter.token });
    expect([tooSoon.status, tooSoon.body['code']]).toEqual([429, 'code_recently_sent']);

    let before = first.token;
    for (let n = 0; n < 3; n += 1) {
      await app.clock.advance(DAY / 2);
      const { status, body } = await resend();
      expect([status, body.status]).toEqual([200, 'pending']);
      expect(Date.parse(body.expiresAt)).toBeGreaterThan(app.clock.now().getTime() + (3 * DAY - 60) * 1000);
      const now = tokenOf(await nextLink(app, email, /You are invited/));
      expect((await app.http.post('/invitations/preview', { token: before })).body['code']).toBe('invalid_invitation');
      before = now;
    }
    await app.clock.advance(DAY / 2);
    const refused = await resend();
    expect([refused.status, refused.body.code]).toEqual([429, 'too_many_invitations']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(27 * DAY);
    expect((await accept(app, before)).status).toBe(200);
  });

  it('can be revoked, and twice is as good as once', async () => {
    const inviter = await member();
    const { id, token } = await inviteAndRead(app, inviter.token, nobody());
    for (let n = 0; n < 2; n += 1) {
      expect((await app.http.delete(`/invitations/${id}`, { token: inviter.token })).status).toBe(204);
    }
    expect((await shown(id, inviter.token)).status).toBe('revoked');
    const refused = await accept(app, token);
    expect([refused.status, refused.body.code]).toEqual([400, 'invalid_invitation']);
    const resent = await app.http.post(`/invitations/${id}/resend`, undefined, { token: inviter.token });
    expect([resent.status, resent.body['code']]).toEqual([409, 'invitation_not_open']);
    const events = await app.sql(`SELECT 1 FROM audit_events WHERE user_id = $1 AND type = 'invitation.revoked'`, [
      inviter.id,
    ]);
    expect(events).toHaveLength(1);
  });

  it('cannot be revoked once it was accepted', async () => {
    const inviter = await member();
    const { id, token } = await inviteAndRead(app, inviter.token, nobody());
    await accept(app, token);
    const { status, body } = await app.http.delete(`/invitations/${id}`, { token: inviter.token });
    expect([status, body['code']]).toEqual([409, 'invitation_not_open']);
    expect((await shown(id, inviter.token)).status).toBe('accepted');
  });

  it('expires when it was said to, and the address may be invited again then', async () => {
    const inviter = await member();
    const email = nobody();
    const { id, token } = await inviteAndRead(app, inviter.token, email, { expiresIn: 3600 });
    const again = await invite(app, inviter.token, { email });
    expect([again.status, again.body.code]).toEqual([409, 'already_invited']);
    await app.clock.advance(3599);
    expect((await app.http.post('/invitations/preview', { token })).status).toBe(200);
    await app.clock.advance(2);
    for (const path of ['/invitations/preview', '/invitations/accept']) {
      expect((await app.http.post(path, { token })).body['code']).toBe('invalid_invitation');
    }
    const { accessToken } = await signInByMail(app, inviter);
    expect((await shown(id, accessToken)).status).toBe('expired');
    expect((await invite(app, accessToken, { email })).status).toBe(201);
  });
});

describe('the list of invitations', () => {
  it('is one’s own, the newest first, page by page, and of one status where that is asked', async () => {
    const inviter = await member();
    await inviteAndRead(app, (await member()).token, nobody());
    const ids: string[] = [];
    for (let n = 0; n < 3; n += 1) ids.unshift((await invite(app, inviter.token, { email: nobody() })).body.id);
    await app.http.delete(`/invitations/${ids[1]}`, { token: inviter.token });

    const list = async (query: string) =>
      (
        await app.http.get<{ items: Invitation[]; nextCursor: string | null }>(`/invitations?${query}`, {
          token: inviter.token,
        })
      ).body;
    const first = await list('limit=2');
    expect(first.items.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    const second = await list(`limit=2&cursor=${first.nextCursor}`);
    expect([second.items.map(({ id }) => id), second.nextCursor]).toEqual([[ids[2]], null]);
    expect((await list('status=revoked')).items.map(({ id }) => id)).toEqual([ids[1]]);
    expect((await list('status=pending')).items.map(({ id }) => id)).toEqual([ids[0], ids[2]]);
    for (const query of ['status=open', 'limit=0', 'cursor=WyJ4Il0', 'cursor=x']) {
      expect((await app.http.get(`/invitations?${query}`, { token: inviter.token })).status).toBe(400);
    }
  });

  it('shows administrators those of all', async () => {
    const inviter = await member();
    const { id } = await inviteAndRead(app, inviter.token, nobody());
    const admin = await administrator(app);
    const { body } = await app.http.get<{ items: Invitation[] }>('/invitations?limit=5', { token: admin.token });
    expect(body.items.map((invitation) => invitation.id)).toContain(id);
    expect((await app.http.delete(`/invitations/${id}`, { token: admin.token })).status).toBe(204);
    const [event] = await app.sql(
      `SELECT actor, actor_id FROM audit_events WHERE user_id = $1 AND type = 'invitation.revoked'`,
      [inviter.id],
    );
    expect(event).toEqual({ actor: 'admin', actor_id: admin.id });
  });
});

describe('the page of an invitation', () => {
  /** As far as the script needs a browser; its requests reach the real application. */
  async function open(link: URL) {
    const page = await app.app.inject({ method: 'GET', url: link.pathname + link.search });
    const script = await app.app.inject('/invitation.js');
    const element = () => ({ textContent: '', hidden: false, disabled: false });
    const [about, words, message, button] = [element(), element(), element(), element()];
    const typed: [string, string][] = [];
    const submitted: ((event: { preventDefault(): void }) => Promise<void>)[] = [];
    const form = {
      ...element(),
      dataset: { action: /data-action="([^"]+)"/.exec(page.body)?.[1] ?? '' },
      querySelector: () => button,
      addEventListener: (_: 'submit', listener: (typeof submitted)[number]) => submitted.push(listener),
    };
    const elements: Record<string, unknown> = { form, '#about': about, '#words': words, '[role=status]': message };
    const sent: { url: string; body: unknown }[] = [];
    runInNewContext(script.body, {
      document: { querySelector: (selector: string) => elements[selector] },
      location: { pathname: link.pathname, search: link.search },
      history: { replaceState: () => undefined },
      URLSearchParams,
      FormData: function FormData() {
        return typed;
      },
      fetch: async (url: string, request: { method: 'POST'; headers: Record<string, string>; body: string }) => {
        sent.push({ url, body: JSON.parse(request.body) });
        const { statusCode, body } = await app.app.inject({ ...request, url, payload: request.body });
        return { ok: statusCode < 300, json: () => Promise.resolve(JSON.parse(body)) };
      },
    });
    return { page, form, about, words, message, sent, typed, press: () => submitted[0]?.({ preventDefault() {} }) };
  }

  it('tells who invites, and accepts when the button is pressed, without the fields that were left empty', async () => {
    const inviter = await member({ firstName: 'Ada' });
    const { link, token } = await inviteAndRead(app, inviter.token, nobody(), { message: '<b>Hello</b>' });
    const opened = await open(link);
    expect(opened.page.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    });
    expect(opened.page.body).not.toContain(token);
    await vi.waitFor(() => expect(opened.about.textContent).toBe('Ada invites you, as i•••@example.com.'));
    expect([opened.words.textContent, opened.words.hidden]).toEqual(['<b>Hello</b>', false]);
    opened.typed.push(['firstName', ''], ['lastName', 'Hopper'], ['password', '']);
    await opened.press();
    expect(opened.sent[1]).toEqual({ url: '/api/v1/invitations/accept', body: { token, lastName: 'Hopper' } });
    expect([opened.form.hidden, opened.message.textContent]).toEqual([
      true,
      'You have accepted the invitation. A second factor has to be set up when you sign in.',
    ]);

    const used = await open(link);
    await vi.waitFor(() => expect(used.message.textContent).toMatch(/^The invitation is not valid\. /));
    expect(used.form.hidden).toBe(true);
  });

  it('cuts no password off, and blames the link where the token is none', async () => {
    const { page, message } = await open(new URL(`https://id.example.test/invitation?token=${'x'.repeat(300)}`));
    expect(page.body).not.toMatch(/type="password"[^>]*maxlength/);
    await vi.waitFor(() => expect(message.textContent).toMatch(/^This link is not as it was sent\./));
  });
});

describe('where nobody may register', () => {
  it('S4 25: an invitation is the way in, and without a second factor the answer is a session', async () => {
    const closed = await startApp({
      SIGNUP_ALLOWED: 'off',
      TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp',
      TWO_FACTOR_FALLBACK_METHOD: 'none',
      REQUIRED_FIELDS: 'firstName,phoneNumber',
      FRONTEND_URL: 'https://app.example.com/id',
    });
    try {
      const inviter = nobody();
      await closed.app
        .get(AdminCreation, { strict: false })
        .create(
          { email: inviter, password: PASSWORD },
          { link: false, unprovedToo: false },
          { actor: { kind: 'cli' } },
        );
      const { body: session } = await firstFactor<SignedIn>(closed, inviter);
      expect((await closed.http.post('/users', { email: nobody(), password: PASSWORD })).status).toBe(403);

      const email = nobody();
      const untrusted = await invite(closed, session.accessToken, { email, methods: ['sms'] });
      expect(untrusted.text).toContain('sms is not trusted by the configuration');
      const { link, token } = await inviteAndRead(closed, session.accessToken, email);
      expect(link.href).toMatch(/^https:\/\/app\.example\.com\/id\/invitation\?token=/);
      // What registrations must give, as far as the invitation does not bring it.
      const incomplete = await accept(closed, token, { password: PASSWORD });
      expect(incomplete.text).toContain('"errors":[{"field":"firstName"');
      const { status, body } = await accept(closed, token, { password: PASSWORD, firstName: 'Grace' });
      expect([status, body.status, body.user?.emailVerified]).toEqual([200, 'authenticated', true]);
      expect((await closed.http.get('/users/me', { token: body.accessToken })).body).toMatchObject({ email });
      expect((await firstFactor<SignedIn>(closed, email)).body.status).toBe('authenticated');
    } finally {
      await closed.close();
    }
  });
});

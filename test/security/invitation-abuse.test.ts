import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { accept, invite, inviteAndRead, type Invitation } from '../support/invitations.js';
import { magicLink, tokenOf } from '../support/links.js';
import { enrollTotp, firstFactor, PASSWORD, register, secondFactor, type SignedIn } from '../support/people.js';
import { countOf, fireAtOnce, outcomes } from './burst.js';
import { sessionsOf } from './traces.js';

const DAY = 86_400;
const PER_DAY = 8;
const ALLOWED = 'https://app.example.com/welcome';
/** A password is enough to be signed in: so accounts are in use whose address nobody has proved. */
const SETTINGS = {
  TWO_FACTOR_TRUSTED_METHODS: 'none,email,sms,totp',
  TWO_FACTOR_FALLBACK_METHOD: 'none',
  INVITATIONS_PER_DAY: String(PER_DAY),
  REDIRECT_ALLOWLIST: ALLOWED,
};

let app: TestApp;
beforeAll(async () => {
  app = await startApp(SETTINGS);
});
afterAll(() => app.close());

const nobody = () => `invited-${randomBytes(5).toString('hex')}@example.com`;
const signIn = async (email: string) => (await firstFactor<SignedIn>(app, email)).body.accessToken;

async function member(extra: Record<string, unknown> = {}) {
  const person = await register(app, extra);
  return { ...person, token: await signIn(person.email) };
}

/** An administrator who has just signed in with his authenticator app. */
async function admin() {
  const person = await member();
  const { secret } = await enrollTotp(app, person.token);
  await app.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [person.id]);
  return { ...person, secret, token: await signInWithApp(person.email, secret) };
}

async function signInWithApp(email: string, secret: string): Promise<string> {
  const { body } = await firstFactor(app, email);
  const signedIn = await secondFactor(app, body.codeToken, totpCode(secret, app.clock));
  await app.clock.advance(30);
  return signedIn.body.accessToken;
}

const prove = (userId: string) => app.sql('UPDATE users SET email_verified_at = now() WHERE id = $1', [userId]);
const rowOf = async (table: 'users' | 'invitations', id: string) =>
  (await app.sql(`SELECT * FROM ${table} WHERE id = $1`, [id]))[0];
const usersOf = (email: string) => app.sql<{ id: string }>('SELECT id FROM users WHERE email_canonical = $1', [email]);
const refusalOf = ({ status, body }: { status: number; body: { code?: string } }) => `${status} ${body.code}`;

describe('P17: an invitation to x@', () => {
  it('is not for y@, whoever is signed in as y@', async () => {
    const inviter = await member();
    const x = await register(app);
    await prove(x.id);
    const y = await member();
    await prove(y.id);
    for (const email of [x.email, nobody()]) {
      const { id, token } = await inviteAndRead(app, inviter.token, email);
      expect(refusalOf(await accept(app, token, {}, y.token))).toBe('403 invitation_for_another_address');
      expect(await rowOf('invitations', id)).toMatchObject({ accepted_at: null });
      expect(refusalOf(await accept(app, token, {}, `${y.token}x`))).toBe('401 invalid_token');
      // signed out, it is a matter of the mailbox alone
      expect((await accept(app, token)).body.user?.email).toBe(email);
    }
  });

  it('is not for an account that only claims to be x@', async () => {
    const inviter = await member();
    const claimant = await member();
    const { token } = await inviteAndRead(app, inviter.token, claimant.email);
    expect(refusalOf(await accept(app, token, {}, claimant.token))).toBe('403 invitation_for_another_address');
  });

  it('leaves a stranger nothing who has registered x@ before', async () => {
    const administrator = await admin();
    const phoneNumber = `+49151${String(Date.now()).slice(-8)}`;
    const planted = await member({ phoneNumber, firstName: 'Eve' });
    await app.http.post('/otp-devices', { type: 'totp' }, { token: planted.token });
    await app.sql(
      `INSERT INTO social_identities (id, user_id, provider, issuer, subject, created_at, last_used_at)
       VALUES (gen_random_uuid(), $1, 'google', 'https://accounts.google.com', 'eve', now(), now())`,
      [planted.id],
    );
    const link = tokenOf(await magicLink(app, planted.email));
    await app.clock.advance(61);
    const refreshed = await firstFactor<SignedIn>(app, planted.email);

    const { token } = await inviteAndRead(app, administrator.token, planted.email, { roles: ['support'] });
    const { status, body } = await accept(app, token, { password: 'the owner’s own words', firstName: 'Grace' });
    expect([status, body.status, body.user]).toEqual([
      200,
      'authenticated',
      expect.objectContaining({ id: planted.id, emailVerified: true, phoneNumber: null, firstName: 'Grace' }),
    ]);

    expect((await firstFactor(app, planted.email)).status).toBe(401);
    expect((await app.http.get('/users/me', { token: refreshed.body.accessToken })).status).toBe(401);
    const refresh = await app.http.post('/auth/token/refresh', { refreshToken: refreshed.body.refreshToken });
    expect(refresh.status).toBe(401);
    expect((await app.http.post('/auth/magic-link/redeem', { token: link })).status).toBe(400);
    expect((await firstFactor(app, phoneNumber)).status).toBe(401);
    for (const table of ['otp_devices', 'social_identities']) {
      expect(await app.sql(`SELECT 1 FROM ${table} WHERE user_id = $1`, [planted.id])).toEqual([]);
    }
    expect((await firstFactor(app, planted.email, 'the owner’s own words')).body.status).toBe('authenticated');
  });

  it('takes no second factor from an account by a mailbox that was never proved to be its own', async () => {
    const inviter = await member();
    const owner = await member();
    await enrollTotp(app, owner.token);
    const before = await rowOf('users', owner.id);
    const { id, token } = await inviteAndRead(app, inviter.token, owner.email);
    expect(refusalOf(await accept(app, token, { password: 'four other uncommon words' }))).toBe(
      '403 account_not_proved',
    );
    expect(await rowOf('users', owner.id)).toEqual(before);
    expect(await rowOf('invitations', id)).toMatchObject({ accepted_at: null });
    // once it is proved, the invitation is good: with the second factor
    await prove(owner.id);
    expect((await accept(app, token)).body.status).toBe('second_factor_required');
  });

  it('brings no field into an account that nobody has proved, but those of the operator', async () => {
    const inviter = await member();
    const person = await register(app);
    const { token } = await inviteAndRead(app, inviter.token, person.email);
    const body = { password: 'four other uncommon words', profile: { anything: 'x'.repeat(1_000) } };
    const refused = await accept(app, token, body);
    expect([refused.status, refused.body]).toMatchObject([
      400,
      { code: 'validation_failed', errors: [{ field: 'profile.anything', messages: ['is not asked for'] }] },
    ]);
    expect((await rowOf('users', person.id))?.['profile']).toEqual({});
  });

  it('opens nothing for an account that was deactivated', async () => {
    const inviter = await member();
    const person = await register(app);
    const { token } = await inviteAndRead(app, inviter.token, person.email);
    await app.sql('UPDATE users SET active = false WHERE id = $1', [person.id]);
    expect(refusalOf(await accept(app, token))).toBe('400 invalid_invitation');
    expect(await rowOf('users', person.id)).toMatchObject({ active: false, email_verified_at: null });
  });

  it('raises no role in the body of its acceptance', async () => {
    const inviter = await member();
    const { token } = await inviteAndRead(app, inviter.token, nobody());
    for (const extra of [
      { roles: ['admin'] },
      { email: 'y@example.com' },
      { emailVerified: true },
      { active: true },
      { requireTwoFactor: false },
      { inviterId: inviter.id },
    ]) {
      expect(refusalOf(await accept(app, token, extra))).toBe('400 validation_failed');
    }
    expect((await accept(app, token)).body.user?.email).toMatch(/^invited-/);
  });
});

describe('an inviter who may no longer', () => {
  it('was deactivated: his invitations are void, also when he is let in again', async () => {
    const inviter = await member();
    const { id, token } = await inviteAndRead(app, inviter.token, nobody());
    const administrator = await admin();
    for (const active of [false, true]) {
      await app.http.patch(`/admin/users/${inviter.id}`, { active }, { token: administrator.token });
      expect(refusalOf(await accept(app, token))).toBe('400 invalid_invitation');
      const { body } = await app.http.get<Invitation>(`/invitations/${id}`, { token: administrator.token });
      expect(body.status).toBe('revoked');
    }
  });

  it('is no administrator any more: what he gave roles with is void, the rest is not', async () => {
    const administrator = await admin();
    await admin();
    const withRoles = await inviteAndRead(app, administrator.token, nobody(), { roles: ['admin'] });
    const withMethods = await inviteAndRead(app, administrator.token, nobody(), { methods: ['sms'] });
    const plain = await inviteAndRead(app, administrator.token, nobody());
    await app.sql(`UPDATE users SET roles = '{support}' WHERE id = $1`, [administrator.id]);
    await app.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [administrator.id]);
    expect(refusalOf(await accept(app, withRoles.token))).toBe('400 invalid_invitation');
    expect(refusalOf(await accept(app, withMethods.token))).toBe('400 invalid_invitation');
    expect((await accept(app, plain.token)).status).toBe(200);
  });

  it('has removed his account: nothing of his opens, and administrators see that it was revoked', async () => {
    const inviter = await member();
    const { id, token } = await inviteAndRead(app, inviter.token, nobody());
    expect((await app.http.delete('/users/me', { token: inviter.token })).status).toBe(204);
    expect(refusalOf(await accept(app, token))).toBe('400 invalid_invitation');
    const administrator = await admin();
    const { body } = await app.http.get<Invitation>(`/invitations/${id}`, { token: administrator.token });
    expect([body.status, body.inviter]).toEqual(['revoked', null]);
  });
});

describe('what only administrators may give', () => {
  it.each([{ roles: ['support'] }, { methods: ['email'] }])(
    '%j by anybody else is refused, and nothing is sent',
    async (gift) => {
      const inviter = await member();
      const email = nobody();
      expect(refusalOf(await invite(app, inviter.token, { email, ...gift }))).toBe('403 admin_required');
      expect(await app.sql('SELECT 1 FROM invitations WHERE address = $1', [email])).toEqual([]);
      // a second factor may be asked for by everybody
      expect((await invite(app, inviter.token, { email, requireTwoFactor: true })).status).toBe(201);
    },
  );

  it('needs a recent proof, and of the factor that counts', async () => {
    const administrator = await admin();
    await app.clock.advance(299);
    const gift = { email: nobody(), roles: ['support'] };
    expect(refusalOf(await invite(app, administrator.token, gift))).toBe('401 insufficient_user_authentication');
    const weak = await member();
    await enrollTotp(app, weak.token);
    await app.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [weak.id]);
    const answers = [
      await invite(app, weak.token, gift),
      await app.http.get('/invitations', { token: weak.token }),
      await app.http.get(`/invitations/${administrator.id}`, { token: weak.token }),
    ];
    for (const answer of answers) expect(refusalOf(answer)).toBe('401 insufficient_user_authentication');
    // without them a password is enough, as for everybody
    expect((await invite(app, weak.token, { email: gift.email })).status).toBe(201);
  });

  it('names no method that the configuration does not trust, and no role that is none', async () => {
    const narrow = await admin();
    for (const gift of [{ methods: ['none'] }, { methods: [] }, { roles: ['Admin!'] }, { roles: ['a', 'a'] }]) {
      expect(refusalOf(await invite(app, narrow.token, { email: nobody(), ...gift }))).toBe('400 validation_failed');
    }
  });
});

describe('M03: somebody else’s invitation', () => {
  it('is answered like one that does not exist, and stays as it is', async () => {
    const inviter = await member();
    const { id } = await inviteAndRead(app, inviter.token, nobody());
    const before = await rowOf('invitations', id);
    const { token } = await member();
    await app.clock.advance(61);
    for (const place of [id, '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11', 'x']) {
      const answers = [
        await app.http.get(`/invitations/${place}`, { token }),
        await app.http.delete(`/invitations/${place}`, { token }),
        await app.http.post(`/invitations/${place}/resend`, undefined, { token }),
      ];
      for (const answer of answers) expect(refusalOf(answer)).toBe('404 not_found');
    }
    expect(await rowOf('invitations', id)).toEqual(before);
  });
});

describe('U06: who invites too many', () => {
  it('cannot flood an address by revoking and inviting it again', async () => {
    const inviter = await member();
    const email = nobody();
    const answers = [];
    for (let n = 0; n < 6; n += 1) {
      const token = await signIn(inviter.email);
      const answer = await invite(app, token, { email });
      answers.push(answer.status === 201 ? '201' : refusalOf(answer));
      if (answer.status === 201) await app.http.delete(`/invitations/${answer.body.id}`, { token });
      await app.clock.advance(DAY / 2);
    }
    expect(answers).toEqual([...Array<string>(4).fill('201'), ...Array<string>(2).fill('429 too_many_invitations')]);
  });

  it('shares the limit of the address with every other message to it', async () => {
    const inviter = await member();
    const email = nobody();
    await app.http.post('/auth/magic-link', { identifier: email });
    const refused = await invite(app, inviter.token, { email });
    expect(refusalOf(refused)).toBe('429 code_recently_sent');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(50);
    expect(await app.sql('SELECT 1 FROM invitations WHERE address = $1', [email])).toEqual([]);
  });
});

describe('E02: whether an address has an account', () => {
  it('is told neither to the inviter nor to the page of the invitation', async () => {
    const inviter = await member();
    const known = await member();
    const answers = [];
    for (const email of [known.email, nobody()]) {
      const { status, body, headers } = await invite(app, inviter.token, { email });
      const { text, subject } = await app.mailbox.next(email, /invited/);
      const link = new URL(/https?:\/\/\S+/.exec(text)?.[0] ?? '');
      const preview = await app.http.post('/invitations/preview', { token: tokenOf(link) });
      answers.push({
        status,
        body: { ...body, id: '', email: '', createdAt: '', expiresAt: '' },
        headers: Object.keys(headers),
        subject,
        mail: text.replace(link.href, ''),
        preview: { ...preview.body, address: '', expiresAt: '' },
      });
    }
    expect({ ...answers[0], mail: withoutTime(answers[0]?.mail) }).toEqual({
      ...answers[1],
      mail: withoutTime(answers[1]?.mail),
    });
    const { body } = await app.http.get('/invitations', { token: inviter.token });
    expect(JSON.stringify(body)).not.toContain(known.id);
  });

  const withoutTime = (text = '') => text.replace(/\d{4}-\d\d-\d\d \d\d:\d\d/, '');
});

describe('the link of an invitation', () => {
  it('is kept as a hash, and good for nothing else', async () => {
    const inviter = await member();
    const person = await register(app);
    const { id, token } = await inviteAndRead(app, inviter.token, person.email);
    const [row] = await app.sql<{ row: string }>('SELECT v::text AS row FROM invitations v WHERE id = $1', [id]);
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    for (const text of [token, Buffer.from(token).toString('hex'), Buffer.from(token, 'base64url').toString('hex')]) {
      expect(row?.row).not.toContain(text);
    }
    expect((await app.http.post('/auth/magic-link/redeem', { token })).body['code']).toBe('invalid_link');
    const reset = { token, newPassword: 'four other uncommon words' };
    expect((await app.http.post('/auth/password-reset/confirm', reset)).body['code']).toBe('invalid_link');
    await app.clock.advance(61);
    const other = tokenOf(await magicLink(app, person.email));
    expect(refusalOf(await accept(app, other))).toBe('400 invalid_invitation');
  });

  it('W05: is used up by no GET', async () => {
    const inviter = await member();
    const { token } = await inviteAndRead(app, inviter.token, nobody());
    for (const method of ['GET', 'HEAD', 'GET'] as const) {
      const page = await app.app.inject({ method, url: `/invitation?token=${token}` });
      expect(page.statusCode).toBe(200);
      expect(String(page.headers['content-security-policy'])).toMatch(/script-src 'self'(;|$)/);
      expect(page.body).not.toMatch(/<script>|<script(?![^>]*src)|\son\w+=/);
    }
    for (const path of ['preview', 'accept']) {
      const got = await app.app.inject({ method: 'GET', url: `/api/v1/invitations/${path}?token=${token}` });
      expect(got.statusCode).toBeGreaterThanOrEqual(400);
    }
    expect((await accept(app, token)).status).toBe(200);
  });

  it.each([
    '//app.example.com/welcome',
    'https:app.example.com/welcome',
    '\\\\evil.example',
    '/\\evil.example',
    'javascript:alert(1)',
    'https://app.example.com@evil.example/welcome',
    'https://app.example.com/welcome@evil.example',
    '%2f%2fevil.example',
    'https://app.example.com.evil.example/welcome',
    'https://evil-app.example.com/welcome',
    'https://*.example.com/welcome',
    'https://app.example.com/welcome/',
    'https://app.example.com/welcome?next=https://evil.example',
    ' https://app.example.com/welcome',
    '/welcome',
    '',
  ])('W01: leads not to %j, and nothing is sent', async (redirectTo) => {
    const inviter = await member();
    const email = nobody();
    expect(refusalOf(await invite(app, inviter.token, { email, redirectTo }))).toBe('400 redirect_not_allowed');
    expect(await app.sql('SELECT 1 FROM invitations WHERE address = $1', [email])).toEqual([]);
    expect((await invite(app, inviter.token, { email, redirectTo: ALLOWED })).status).toBe(201);
  });
});

describe('I12: an inviter who wants his words to be more than words', () => {
  const HOSTILE =
    '<img src=x onerror=alert(1)> {{7*7}} ${7*7} https://evil.example/a?b=c www.evil.example evil。example\r\nBcc: x@evil.example\u202E';

  it('is read as text, and nothing of it can be tapped on', async () => {
    const inviter = await member({ firstName: 'https://evil.example', lastName: '<b>{{url}}</b>' });
    const email = nobody();
    await invite(app, inviter.token, { email, message: HOSTILE });
    const { subject, text, html, ...mail } = await app.mailbox.next(email, /invited/);
    expect(subject).toBe('You are invited to Countersign');
    expect(mail.to).toBe(email);
    expect(text).toContain('https: //evil. example <b>{{url}}</b> invites you');
    expect(text).toContain(
      '“<img src=x onerror=alert(1)> {{7*7}} ${7*7} https: //evil. example/a?b=c www. evil. example evil。 example Bcc: x@evil. example”',
    );
    expect(html).not.toMatch(/<img|<b>/);
    expect(html).toContain('{{7*7}}');
    for (const shown of [text, html]) {
      expect(shown).not.toMatch(/evil[.。]example|\u202E/);
      const links = shown.match(/https?:\/\/[^\s"<]*/g) ?? [];
      expect(links.every((link) => link.startsWith('https://id.example.test/invitation?token'))).toBe(true);
    }
  });

  it('says no more than 500 characters', async () => {
    const inviter = await member();
    const email = nobody();
    const tooLong = await invite(app, inviter.token, { email, message: '😀'.repeat(501) });
    expect(refusalOf(tooLong)).toBe('400 validation_failed');
    expect((await invite(app, inviter.token, { email, message: '😀'.repeat(500) })).status).toBe(201);
  });

  it.each<[string, Record<string, unknown>]>([
    ['no address', {}],
    ['two addresses', { email: 'a@example.com', phoneNumber: '+4915112345678' }],
    ['no mail address', { email: 'a@b@c' }],
    ['a header', { email: 'a@example.com\r\nBcc: b@example.com' }],
    ['a number that earns money', { phoneNumber: '+499001234567' }],
    ['an address that is a list', { email: ['a@example.com'] }],
    ['somebody else as the inviter', { email: 'a@example.com', inviterId: '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11' }],
    ['a status', { email: 'a@example.com', status: 'accepted' }],
    ['a life of minutes', { email: 'a@example.com', expiresIn: 3599 }],
    ['a life of years', { email: 'a@example.com', expiresIn: 2_592_001 }],
  ])('%s: is refused', async (_what, body) => {
    const { token } = await member();
    expect(refusalOf(await invite(app, token, body))).toBe('400 validation_failed');
  });
});

describe('on two replicas', () => {
  /** Of an address without an account, and of one with. */
  let open: { id: string; token: string; email: string }[];
  let replica: TestApp;
  let origins: string[];
  beforeAll(async () => {
    // Read before the other replica may send the mails.
    const administrator = await admin();
    open = [];
    for (let n = 0; n < 3; n += 1) {
      const email = nobody();
      open.push({ email, ...(await inviteAndRead(app, administrator.token, email)) });
    }
    const person = await register(app);
    await prove(person.id);
    const roles = ['support'];
    open.push({ email: person.email, ...(await inviteAndRead(app, administrator.token, person.email, { roles })) });
    replica = await startApp(SETTINGS, { replicaOf: app });
    origins = [await app.listen(), await replica.listen()];
  });
  afterAll(() => replica?.close());

  it('R22: an invitation accepted ten times at once makes one account, for whoever came first', async () => {
    for (const { id, token, email } of open.slice(0, 3)) {
      const names = [`grace-${randomBytes(4).toString('hex')}`, `edsger-${randomBytes(4).toString('hex')}`];
      const shots = Array.from({ length: 10 }, (_, n) => ({
        path: '/invitations/accept',
        body: { token, username: names[n % 2], password: PASSWORD },
      }));
      expect(outcomes(await fireAtOnce(origins, shots))).toEqual({ '200': 1, '400 invalid_invitation': 9 });
      const [user, ...others] = await usersOf(email);
      expect(others).toEqual([]);
      expect(await sessionsOf(app, user?.id ?? '')).toBe(1);
      expect(await rowOf('invitations', id)).toMatchObject({ accepted_by: user?.id });
    }
  });

  it('R22: it adds its roles once to the account that is there', async () => {
    const { token, email } = open[3] ?? { token: '', email: '' };
    const shots = Array.from({ length: 10 }, () => ({ path: '/invitations/accept', body: { token } }));
    expect(outcomes(await fireAtOnce(origins, shots))).toEqual({ '200': 1, '400 invalid_invitation': 9 });
    const [user] = await usersOf(email);
    expect(await rowOf('users', user?.id ?? '')).toMatchObject({ roles: ['support'] });
    const changes = `SELECT 1 FROM audit_events WHERE user_id = $1 AND type = 'user.roles-changed'`;
    expect(await app.sql(changes, [user?.id])).toHaveLength(1);
  });

  it('U06: an inviter is stopped at exactly as many as he may in a day', async () => {
    const inviter = await member();
    const shots = Array.from({ length: 2 * PER_DAY }, () => ({
      path: '/invitations',
      body: { email: nobody() },
      token: inviter.token,
    }));
    const hits = await fireAtOnce(origins, shots);
    expect(outcomes(hits)).toEqual({ '201': PER_DAY, '429 too_many_invitations': PER_DAY });
    const waits = hits.filter(({ status }) => status === 429).map(({ headers }) => Number(headers['retry-after']));
    for (const wait of waits) expect(wait).toBeGreaterThan(DAY - 120);

    // Revoking makes no room, a day does.
    const { body } = await app.http.get<{ items: Invitation[] }>('/invitations', { token: inviter.token });
    for (const { id } of body.items) await app.http.delete(`/invitations/${id}`, { token: inviter.token });
    expect(refusalOf(await invite(app, inviter.token, { email: nobody() }))).toBe('429 too_many_invitations');
    await app.clock.advance(Math.max(...waits) + 1);
    expect((await invite(app, await signIn(inviter.email), { email: nobody() })).status).toBe(201);
  });

  it('U06: he gets one open invitation of an address, of ten at once', async () => {
    const inviter = await member();
    const email = nobody();
    const shots = Array.from({ length: 10 }, () => ({ path: '/invitations', body: { email }, token: inviter.token }));
    expect(outcomes(await fireAtOnce(origins, shots))).toEqual({ '201': 1, '409 already_invited': 9 });
  });

  it('U06: he sends again once, of ten at once', async () => {
    const inviter = await member();
    const { id } = (await invite(app, inviter.token, { email: nobody() })).body;
    await app.clock.advance(61);
    const shots = Array.from({ length: 10 }, () => ({ path: `/invitations/${id}/resend`, token: inviter.token }));
    const hits = await fireAtOnce(origins, shots);
    expect([countOf(hits, 200), countOf(hits, 429)]).toEqual([1, 9]);
    expect(await rowOf('invitations', id)).toMatchObject({ messages: 2 });
  });
});

describe('where nobody may invite', () => {
  it('is said to everybody alike', async () => {
    const closed = await startApp({ ...SETTINGS, INVITE_ALLOWED: 'off' });
    try {
      const person = await register(closed);
      const { body } = await firstFactor<SignedIn>(closed, person.email);
      expect(refusalOf(await invite(closed, body.accessToken, { email: nobody() }))).toBe('403 invitations_closed');
      expect((await closed.http.get('/invitations', { token: body.accessToken })).body['items']).toEqual([]);
    } finally {
      await closed.close();
    }
  });
});

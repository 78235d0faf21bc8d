import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
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
  signInByTotp,
} from '../support/people.js';
import { sessionsOf } from '../security/traces.js';

interface AdminUser {
  id: string;
  email: string | null;
  roles: string[];
  active: boolean;
  passwordSet: boolean;
  lastSignInAt: string | null;
  twoFactor: { required: boolean; enrolled: boolean; methods: string[]; recoveryCodesLeft: number };
}

interface UserPage {
  items: AdminUser[];
  nextCursor: string | null;
}

type Admin = Awaited<ReturnType<typeof administrator>>;

const someName = () => `name${randomBytes(5).toString('hex')}`;

/** The statements of a request on the database, whatever the job worker does meanwhile. */
const followed = new AsyncLocalStorage<string[]>();
const prototype = pg.Client.prototype as unknown as { query: (this: pg.Client, ...query: unknown[]) => unknown };
const query = prototype.query;

beforeAll(() => {
  prototype.query = function (this: pg.Client, ...parameters: unknown[]) {
    const [config] = parameters;
    followed.getStore()?.push(typeof config === 'string' ? config : ((config as { text?: string }).text ?? ''));
    return query.apply(this, parameters);
  };
});
afterAll(() => {
  prototype.query = query;
});

describe('the list of users', () => {
  let app: TestApp;
  let admin: Admin;
  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp' });
    admin = await administrator(app);
  });
  afterAll(() => app.close());

  const list = async (search: Record<string, string> = {}) => {
    const { status, body } = await app.http.get<UserPage>(`/admin/users?${new URLSearchParams(search).toString()}`, {
      token: admin.token,
    });
    expect(status, JSON.stringify(body)).toBe(200);
    return body;
  };
  const idsOf = async (search: Record<string, string>) => (await list(search)).items.map(({ id }) => id);

  it('shows what an administrator must know, and nothing that lets him sign in as somebody else', async () => {
    const person = await personWithTotp(app);
    const { items } = await list({ q: person.email });
    expect(items).toEqual([
      {
        id: person.id,
        email: person.email,
        emailVerified: true,
        phoneNumber: null,
        phoneVerified: false,
        username: null,
        firstName: '',
        lastName: '',
        locale: null,
        profile: {},
        roles: [],
        createdAt: expect.any(String) as string,
        updatedAt: expect.any(String) as string,
        active: true,
        passwordSet: true,
        lastSignInAt: expect.any(String) as string,
        twoFactor: { required: false, enrolled: true, methods: ['email', 'totp'], recoveryCodesLeft: 10 },
      },
    ]);
    const [session] = await app.sql<{ at: Date }>('SELECT max(created_at) AS at FROM sessions WHERE user_id = $1', [
      person.id,
    ]);
    expect(items[0]?.lastSignInAt).toBe(session?.at.toISOString());
    expect((await app.http.get(`/admin/users/${person.id}`, { token: admin.token })).body).toEqual(items[0]);
  });

  it.each(['-createdAt', 'createdAt', '-email', 'email'])(
    'comes in the order %s, page by page, nobody twice and nobody missing',
    async (sort) => {
      const mark = someName();
      for (let n = 0; n < 7; n += 1) await register(app, { firstName: mark });
      // Without an address, and created in the same moment.
      for (const name of ['x', 'y']) {
        await app.http.post('/users', { username: `${name}${mark}`, password: PASSWORD, firstName: mark });
      }
      await app.sql(`UPDATE users SET created_at = '2026-01-01 10:00:00.000123Z' WHERE username IS NOT NULL`);
      await app.sql(
        `UPDATE users SET created_at = '2026-01-01 10:00:00.000456Z' WHERE id IN
           (SELECT id FROM users WHERE first_name = $1 AND username IS NULL ORDER BY id LIMIT 2)`,
        [mark],
      );
      const column = sort.endsWith('email') ? `coalesce(email_canonical, '')` : 'created_at';
      const direction = sort.startsWith('-') ? 'DESC' : 'ASC';
      const expected = await app.sql<{ id: string }>(
        `SELECT id FROM users WHERE first_name = $1 ORDER BY ${column} ${direction}, id ${direction}`,
        [mark],
      );

      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const page: UserPage = await list({ q: mark, sort, limit: '2', ...(cursor === null ? {} : { cursor }) });
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.nextCursor;
      } while (cursor !== null);
      expect(seen).toEqual(expected.map(({ id }) => id));
      expect(seen).toHaveLength(9);
    },
  );

  it('costs one statement a page, however many filters there are', async () => {
    const statements: string[] = [];
    const search = { q: 'person', role: 'admin', active: 'true', twoFactor: 'enrolled', method: 'totp', sort: 'email' };
    await list();
    const { items } = await followed.run(statements, () => list(search));
    expect(items.map(({ id }) => id)).toEqual([admin.id]);
    // The guard knows the session by now.
    expect(statements).toHaveLength(1);
    expect(statements[0]).toMatch(/FROM users u WHERE [^]+ORDER BY coalesce/);
  });

  describe('finds by q', () => {
    it('a part of the address, username, number or names, in any case', async () => {
      const mark = someName();
      const username = `user-${mark}`;
      const phoneNumber = `+4915${Math.floor(Math.random() * 1e8 + 1e8)}`;
      const person = await register(app, { firstName: 'Änne', lastName: mark.toUpperCase(), username, phoneNumber });
      for (const q of [
        person.email.slice(3, -5),
        person.email.toUpperCase(),
        username.slice(2),
        phoneNumber.slice(3),
        mark,
        `äNNE ${mark.slice(0, 8)}`,
        ` ${mark} `,
      ]) {
        expect(await idsOf({ q }), q).toEqual([person.id]);
      }
    });

    it('what LIKE takes for a wildcard as what it is', async () => {
      const mark = someName();
      const person = await register(app, { firstName: `${mark}%_\\x` });
      const other = await register(app, { firstName: `${mark}abcx` });
      for (const q of [`${mark}%`, `${mark}%_`, `${mark}%_\\`, `_\\X`])
        expect(await idsOf({ q }), q).toEqual([person.id]);
      expect((await idsOf({ q: mark })).sort()).toEqual([person.id, other.id].sort());
      expect(await idsOf({ q: `${mark}\\%` })).toEqual([]);
    });

    it.each([
      ['decomposed letters', 'Rene\u0301', ['Rene\u0301', 'ren\u00e9', 'REN\u00c9']],
      ['a Turkish capital', '\u0130pek', ['\u0130pek', 'ipek']],
      [
        'a word that ends in a sigma',
        '\u03a3\u0399\u03a3\u03a5\u03a6\u039f\u03a3',
        ['\u03a3\u0399\u03a3\u03a5\u03a6\u039f\u03a3'],
      ],
    ])('a name as it was typed: %s', async (_, firstName, typed) => {
      const lastName = someName();
      const { id } = await register(app, { firstName, lastName });
      for (const q of typed) expect(await idsOf({ q: `${q} ${lastName}` })).toEqual([id]);
    });

    it('nobody for what is no search', async () => {
      expect(await idsOf({ q: `' OR '1'='1` })).toEqual([]);
      for (const q of ['\0', 'a\nb', 'x'.repeat(101)]) {
        const path = `/admin/users?${new URLSearchParams({ q }).toString()}`;
        expect((await app.http.get(path, { token: admin.token })).status).toBe(400);
      }
    });
  });

  it('finds by role, state and method', async () => {
    const mark = someName();
    const [withApp, withMail, idle] = [await personWithTotp(app), await register(app), await register(app)];
    await signInByMail(app, withMail);
    for (const { id } of [withApp, withMail, idle]) {
      await app.sql('UPDATE users SET first_name = $2 WHERE id = $1', [id, mark]);
    }
    await app.sql(`UPDATE users SET active = false, roles = '{support,staff}' WHERE id = $1`, [idle.id]);
    const found = async (search: Record<string, string>) =>
      (await idsOf({ q: mark, sort: 'createdAt', ...search })).sort();
    expect(await found({})).toEqual([withApp.id, withMail.id, idle.id].sort());
    expect(await found({ role: 'staff' })).toEqual([idle.id]);
    expect(await found({ role: 'admin' })).toEqual([]);
    expect(await found({ active: 'false' })).toEqual([idle.id]);
    expect(await found({ active: 'true' })).toEqual([withApp.id, withMail.id].sort());
    expect(await found({ method: 'totp' })).toEqual([withApp.id]);
    expect(await found({ method: 'email' })).toEqual([withApp.id, withMail.id].sort());
    expect(await found({ method: 'recovery_codes' })).toEqual([withApp.id]);
    expect(await found({ twoFactor: 'enrolled' })).toEqual([withApp.id, withMail.id].sort());
    expect(await found({ twoFactor: 'missing' })).toEqual([idle.id]);

    // Recovery codes alone, a pending device and one that was closed are no second factor.
    await app.sql(`UPDATE otp_devices SET confirmed_at = NULL WHERE user_id = $1 AND type = 'email'`, [withApp.id]);
    await app.sql(`UPDATE otp_devices SET disabled_at = now() WHERE user_id = $1 AND type = 'totp'`, [withApp.id]);
    expect(await found({ twoFactor: 'missing' })).toEqual([withApp.id, idle.id].sort());
    expect(await found({ method: 'totp' })).toEqual([]);
  });

  it('finds of whom a second factor is required now: by a rule in force, or by his own wish', async () => {
    const mark = someName();
    const [ruled, later, inRole, wishing, free] = await Promise.all(
      Array.from({ length: 5 }, () => register(app, { firstName: mark })),
    );
    if (!ruled || !later || !inRole || !wishing || !free) throw new Error('Nobody registered');
    const rule = (
      level: string,
      role: string | null,
      userId: string | null,
      deadline: string | null,
      required = true,
    ) =>
      app.sql(
        `INSERT INTO requirement_rules (id, level, role, user_id, required, deadline, updated_at, applied)
         VALUES (gen_random_uuid(), $1, $2, $3, $4, now() + $5::interval, now(), true)`,
        [level, role, userId, required, deadline],
      );
    const required = async () => (await idsOf({ q: mark, twoFactor: 'required' })).sort();
    await app.sql('UPDATE users SET two_factor_required = true WHERE id = $1', [wishing.id]);
    await app.sql(`UPDATE users SET roles = '{auditor}' WHERE id = $1`, [inRole.id]);
    await rule('user', null, ruled.id, null);
    await rule('user', null, later.id, '1 hour');
    await rule('user', null, free.id, null, false);
    await rule('role', 'auditor', null, '-1 second');
    await rule('role', 'nobody', null, null);
    expect(await required()).toEqual([ruled.id, inRole.id, wishing.id].sort());
    await app.clock.advance(3_601);
    admin = { ...admin, token: (await signInByTotp(app, admin)).accessToken };
    expect(await required()).toEqual([ruled.id, later.id, inRole.id, wishing.id].sort());
    await rule('global', null, null, null);
    expect(await required()).toHaveLength(5);
    expect((await list({ q: mark })).items.every(({ twoFactor }) => twoFactor.required)).toBe(true);
    await app.sql('DELETE FROM requirement_rules');
  });

  /** As a page would hand it out, of what a client could make of it. */
  const cursor = (...key: (string | null)[]) => ({ cursor: Buffer.from(JSON.stringify(key)).toString('base64url') });
  const SOMEBODY = '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11';

  it.each([
    { sort: 'password' },
    { sort: 'createdAt; DROP TABLE users' },
    { active: 'yes' },
    { twoFactor: 'off' },
    { method: 'fax' },
    { role: 'Admin' },
    { limit: '201' },
    { cursor: 'x' },
    cursor('-createdAt', 'yesterday', SOMEBODY),
    cursor('-createdAt', '1795320000000000', 'x'),
    cursor('-createdAt', null, null),
    cursor('createdAt', '1795320000000000', SOMEBODY),
    cursor('email', 'ada@example.com', SOMEBODY),
    cursor('1795320000000000', SOMEBODY),
    { password: 'x' },
  ])('refuses %j', async (search) => {
    const path = `/admin/users?${new URLSearchParams(search as unknown as Record<string, string>).toString()}`;
    const { status, body } = await app.http.get(path, { token: admin.token });
    expect([status, body]).toMatchObject([400, { errors: [{ field: Object.keys(search)[0] }] }]);
  });
});

it('where the configuration demands a second factor, it is required of everybody', async () => {
  const app = await startApp();
  try {
    const admin = await administrator(app);
    await register(app);
    const { body } = await app.http.get<UserPage>('/admin/users?twoFactor=required', { token: admin.token });
    expect(body.items.map(({ twoFactor }) => twoFactor.required)).toEqual([true, true]);
  } finally {
    await app.close();
  }
});

describe('an administrator', () => {
  let app: TestApp;
  let admin: Admin;
  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'totp', TWO_FACTOR_FALLBACK_METHOD: 'email' });
    admin = await enrolledAdministrator(app);
  });
  afterAll(() => app.close());

  const asAdmin = () => ({ token: admin.token });
  const row = async (id: string) => (await app.sql('SELECT * FROM users WHERE id = $1', [id]))[0];
  const enrolled = async () => {
    const person = await register(app);
    const { body } = await firstFactor(app, person.email);
    const second = await secondFactor<{ enrollmentToken: string }>(
      app,
      body.codeToken,
      await app.mailbox.code(person.email),
    );
    const authenticator = await enrollTotp(app, second.body.enrollmentToken);
    const session = await signInByTotp(app, { ...person, ...authenticator });
    admin = { ...admin, token: (await signInByTotp(app, admin)).accessToken };
    return { ...person, ...authenticator, session };
  };

  it('changes roles and names; the guard of the very next request knows', async () => {
    const person = await enrolled();
    const changed = await app.http.patch<AdminUser & { firstName: string; locale: string }>(
      `/admin/users/${person.id}`,
      { roles: ['support', 'admin'], firstName: ' Ada ', locale: 'de' },
      asAdmin(),
    );
    expect([changed.status, changed.body]).toMatchObject([
      200,
      { roles: ['support', 'admin'], firstName: 'Ada', locale: 'de' },
    ]);
    const token = person.session.accessToken;
    expect((await app.http.get('/admin/users', { token })).status).toBe(200);
    await app.http.patch(`/admin/users/${person.id}`, { roles: ['support'] }, asAdmin());
    const refused = await app.http.get('/admin/users', { token });
    expect([refused.status, refused.body['code']]).toEqual([403, 'admin_required']);
    // He is signed in all the same.
    expect((await app.http.get('/users/me', { token })).status).toBe(200);
  });

  it('writes nothing where nothing changes', async () => {
    const person = await register(app, { firstName: 'Ada' });
    const before = await row(person.id);
    const changes = { roles: [], active: true, firstName: 'Ada', lastName: '', locale: null };
    expect((await app.http.patch(`/admin/users/${person.id}`, changes, asAdmin())).status).toBe(200);
    expect((await app.http.patch(`/admin/users/${person.id}`, {}, asAdmin())).status).toBe(200);
    expect(await row(person.id)).toEqual(before);
  });

  it('deactivates: sessions end, what was open is void, nobody signs in, and the user is told', async () => {
    const person = await enrolled();
    const open = await firstFactor(app, person.email);
    await app.http.post('/auth/password-reset', { identifier: person.email });
    const link = await nextLink(app, person.email, /Choose a new password/);
    const path = `/admin/users/${person.id}`;
    const off = await app.http.patch<AdminUser>(path, { active: false }, asAdmin());
    expect([off.status, off.body.active]).toEqual([200, false]);

    expect((await app.http.get('/users/me', { token: person.session.accessToken })).status).toBe(401);
    const { refreshToken } = person.session;
    expect((await app.http.post('/auth/token/refresh', { refreshToken })).status).toBe(401);
    const code = totpCode(person.secret, app.clock);
    expect((await secondFactor(app, open.body.codeToken, code)).status).toBe(401);
    expect((await firstFactor(app, person.email)).status).toBe(401);
    await app.mailbox.next(person.email, /account was deactivated/);

    expect((await app.http.patch(path, { active: true }, asAdmin())).status).toBe(200);
    // What was void stays void, and the account works again.
    expect((await app.http.get('/users/me', { token: person.session.accessToken })).status).toBe(401);
    expect((await secondFactor(app, open.body.codeToken, code)).status).toBe(401);
    const reset = { token: tokenOf(link), newPassword: 'four words nobody knows' };
    expect((await app.http.post('/auth/password-reset/confirm', reset)).status).toBe(400);
    await app.clock.advance(60);
    expect((await signInByTotp(app, person)).status).toBe('authenticated');
  });

  it('deletes: everything of the user goes and a farewell is sent; the audit log stays', async () => {
    const person = await enrolled();
    const before = await app.sql('SELECT id FROM audit_events WHERE user_id = $1', [person.id]);
    expect((await app.http.delete(`/admin/users/${person.id}`, asAdmin())).status).toBe(204);
    expect((await app.http.get('/users/me', { token: person.session.accessToken })).status).toBe(401);
    expect((await app.http.delete(`/admin/users/${person.id}`, asAdmin())).status).toBe(404);
    expect(await rowsAbout(app, person.id)).toEqual({});
    const after = await app.sql('SELECT id FROM audit_events WHERE user_id = $1', [person.id]);
    expect(after.map(({ id }) => id)).toEqual(expect.arrayContaining(before.map(({ id }) => id)));
    await app.mailbox.next(person.email, /account was deleted/);
    // The address is free again.
    expect((await app.http.post('/users', { email: person.email, password: PASSWORD })).status).toBe(201);
  });

  it('resets the second factor: the next sign-in enrolls, with nothing of before, and ends in a session (P18)', async () => {
    const person = await enrolled();
    const open = await firstFactor(app, person.email);
    await app.sql(
      `INSERT INTO trusted_browsers (id, user_id, token_hash, created_at, last_used_at, expires_at, epoch)
       SELECT gen_random_uuid(), id, '\\x00', now(), now(), now() + interval '1 day', epoch FROM users WHERE id = $1`,
      [person.id],
    );
    expect(await row(person.id)).toMatchObject({ preferred_method: 'totp' });
    await app.clock.advance(60);
    await app.http.post('/auth/password-reset', { identifier: person.email });
    const link = await nextLink(app, person.email, /Choose a new password/);
    const { status, text } = await app.http.post(`/admin/users/${person.id}/two-factor/reset`, undefined, asAdmin());
    expect([status, text]).toEqual([204, '']);
    expect(await app.sql('SELECT 1 FROM otp_devices WHERE user_id = $1', [person.id])).toEqual([]);
    expect(await app.sql('SELECT 1 FROM trusted_browsers WHERE user_id = $1', [person.id])).toEqual([]);
    expect(await row(person.id)).toMatchObject({ preferred_method: null });
    expect((await app.http.get('/users/me', { token: person.session.accessToken })).status).toBe(401);
    const withLink = { token: tokenOf(link), newPassword: 'four words nobody knows' };
    expect((await app.http.post('/auth/password-reset/confirm', withLink)).status).toBe(400);
    const oldCode = totpCode(person.secret, app.clock);
    expect((await secondFactor(app, open.body.codeToken, oldCode)).status).toBe(401);
    await app.mailbox.next(person.email, /second factor was reset/);

    await app.clock.advance(60);
    const asked = await firstFactor(app, person.email);
    expect(asked.body.device.type).toBe('email');
    const mailed = await app.mailbox.code(person.email);
    const second = await secondFactor<{ status: string; enrollmentToken: string; methods: string[] }>(
      app,
      asked.body.codeToken,
      mailed,
    );
    expect(second.body).toMatchObject({ status: 'enrollment_required', methods: ['totp'] });
    const { secret, deviceId } = await enrollTotp(app, second.body.enrollmentToken);
    expect(secret).not.toBe(person.secret);
    expect((await signInByTotp(app, { ...person, secret, deviceId })).status).toBe('authenticated');
    const withOld = await firstFactor(app, person.email);
    expect((await secondFactor(app, withOld.body.codeToken, totpCode(person.secret, app.clock))).status).toBe(401);
  });

  it('signs a user out everywhere, also with an older proof', async () => {
    const person = await enrolled();
    const other = await signInByTotp(app, person);
    expect(await sessionsOf(app, person.id)).toBe(3);
    const events = async () =>
      (
        await app.sql(`SELECT session_id FROM audit_events WHERE user_id = $1 AND type = 'session.revoked'`, [
          person.id,
        ])
      ).length;
    expect((await app.http.delete(`/admin/users/${person.id}/sessions`, asAdmin())).status).toBe(204);
    expect(await sessionsOf(app, person.id)).toBe(0);
    for (const token of [person.session.accessToken, other.accessToken]) {
      expect((await app.http.get('/users/me', { token })).status).toBe(401);
    }
    expect(await events()).toBe(3);
    expect((await app.http.delete(`/admin/users/${person.id}/sessions`, asAdmin())).status).toBe(204);
    expect(await events()).toBe(3);
  });

  it('sends the link to choose a new password to the user, and never sees it', async () => {
    const person = await enrolled();
    await app.clock.advance(3_600);
    admin = { ...admin, token: (await signInByTotp(app, admin)).accessToken };
    const sent = await app.http.post(`/admin/users/${person.id}/recovery-link`, undefined, asAdmin());
    expect([sent.status, sent.body]).toEqual([202, { resendIn: 60 }]);
    const link = await nextLink(app, person.email, /Choose a new password/);
    expect(sent.text).not.toContain(tokenOf(link));

    // The limits of the destination are those of the user's own requests.
    const again = await app.http.post(`/admin/users/${person.id}/recovery-link`, undefined, asAdmin());
    expect([again.status, again.body['code']]).toEqual([429, 'code_recently_sent']);
    const own = await app.http.post('/auth/password-reset', { identifier: person.email });
    expect(own.status).toBe(429);
    const requests = await app.sql(
      `SELECT 1 FROM audit_events WHERE user_id = $1 AND type = 'user.recovery-link-requested'`,
      [person.id],
    );
    expect(requests).toHaveLength(1);

    const newPassword = 'four words nobody knows';
    const confirmed = await app.http.post('/auth/password-reset/confirm', { token: tokenOf(link), newPassword });
    expect(confirmed.status).toBe(204);
    expect((await firstFactor(app, person.email, newPassword)).body.status).toBe('second_factor_required');
  });

  it.each(['has no verified address', 'has no address', 'is inactive'])(
    'sends no link to a user who %s',
    async (which) => {
      const person = which === 'is inactive' ? await enrolled() : await register(app);
      if (which === 'is inactive') await app.sql('UPDATE users SET active = false WHERE id = $1', [person.id]);
      if (which === 'has no address')
        await app.sql('UPDATE users SET email = NULL, email_canonical = NULL WHERE id = $1', [person.id]);
      const { status, body } = await app.http.post(`/admin/users/${person.id}/recovery-link`, undefined, asAdmin());
      expect([status, body['code']]).toEqual([409, 'recovery_not_possible']);
    },
  );
});

it('an administrator gives a role whose rule demands more than a session has proved, and the session ends', async () => {
  const strict = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp', TWO_FACTOR_FALLBACK_METHOD: 'none' });
  try {
    const boss = await administratorWithoutDevice(strict);
    const person = await register(strict);
    const { body } = await firstFactor<{ accessToken: string }>(strict, person.email);
    await strict.sql(
      `INSERT INTO requirement_rules (id, level, role, required, updated_at, applied)
       VALUES (gen_random_uuid(), 'role', 'treasurer', true, now(), true)`,
    );
    expect((await strict.http.get('/users/me', { token: body.accessToken })).status).toBe(200);
    const changed = await strict.http.patch(`/admin/users/${person.id}`, { roles: ['treasurer'] }, { token: boss });
    expect(changed.status).toBe(200);
    expect((await strict.http.get('/users/me', { token: body.accessToken })).status).toBe(401);
  } finally {
    await strict.close();
  }
});

it('an administrator unlocks: no pause after wrong passwords is left, and a device that was closed works', async () => {
  const guarded = await startApp({ PASSWORD_FREE_FAILURES: '3', CODE_TOKEN_RETRY_WAIT: 'off' });
  try {
    const boss = await administrator(guarded);
    const username = someName();
    const person = await register(guarded, { username });
    const session = await signInByMail(guarded, person);
    const authenticator = await enrollTotp(guarded, session.accessToken);
    const { accessToken: token } = await signInByTotp(guarded, { ...person, ...authenticator });
    await guarded.sql(
      `UPDATE otp_devices SET failures = 100, disabled_at = now(), blocked_until = now() + interval '1 h' WHERE id = $1`,
      [authenticator.deviceId],
    );
    const newPassword = 'four words nobody knows';
    const guesses = [
      ...[person.email, username].flatMap((identifier) => [
        () => guarded.http.post('/auth/token', { identifier, password: 'wrong' }),
        () => guarded.http.post('/auth/token', { identifier, code: '000000' }),
        () => guarded.http.post('/auth/password-reset/confirm', { identifier, code: '000000', newPassword }),
      ]),
      () => guarded.http.post('/users/me/password', { currentPassword: 'wrong', newPassword }, { token }),
    ];
    const boxed = async () => {
      const answers = [];
      for (const guess of guesses) answers.push((await guess()).status);
      return answers;
    };
    for (let n = 0; n < 4; n += 1) await boxed();
    expect(new Set(await boxed())).toEqual(new Set([429]));
    expect((await firstFactor(guarded, person.email)).status).toBe(429);

    const path = `/admin/users/${person.id}/unlock`;
    expect((await guarded.http.post(path, undefined, { token: boss.token })).status).toBe(204);
    expect(await boxed()).not.toContain(429);
    await guarded.http.post(path, undefined, { token: boss.token });
    expect((await signInByTotp(guarded, { ...person, ...authenticator })).status).toBe('authenticated');
  } finally {
    await guarded.close();
  }
});

describe('a wish for a second factor', () => {
  it.each([
    ['stays after a reset where the fallback can ask for it', 'email', true],
    ['does not lock its user out after a reset where nothing else could ask', 'none', false],
  ])('%s', async (_promise, fallback, kept) => {
    const app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp', TWO_FACTOR_FALLBACK_METHOD: fallback });
    try {
      const boss = await administratorWithoutDevice(app);
      const person = await register(app);
      await app.sql('UPDATE users SET two_factor_required = true WHERE id = $1', [person.id]);
      const path = `/admin/users/${person.id}/two-factor/reset`;
      expect((await app.http.post(path, undefined, { token: boss })).status).toBe(204);
      const [user] = await app.sql('SELECT two_factor_required AS wish FROM users WHERE id = $1', [person.id]);
      expect(user).toEqual({ wish: kept });
      const { body } = await firstFactor(app, person.email);
      expect(body.status).toBe(kept ? 'second_factor_required' : 'authenticated');
    } finally {
      await app.close();
    }
  });
});

describe('the own account', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  it('is deleted by its user with everything that is his; a farewell is sent, and the audit log stays', async () => {
    const { id, email, session } = await personWithTotp(app);
    expect((await app.http.delete('/users/me', { token: session.accessToken })).status).toBe(204);
    expect((await app.http.get('/users/me', { token: session.accessToken })).status).toBe(401);
    expect((await firstFactor(app, email)).status).toBe(401);
    expect(await rowsAbout(app, id)).toEqual({});
    await app.mailbox.next(email, /account was deleted/);
    const [event] = await app.sql(
      `SELECT actor, actor_id AS "actorId" FROM audit_events WHERE user_id = $1 AND type = 'user.deleted'`,
      [id],
    );
    expect(event).toEqual({ actor: 'user', actorId: null });
  });

  it('is not deleted with a proof of six minutes ago', async () => {
    const { id, session } = await personWithTotp(app);
    await app.clock.advance(360);
    const { refreshToken } = session;
    const { body } = await app.http.post<{ accessToken: string }>('/auth/token/refresh', { refreshToken });
    const { status, body: problem } = await app.http.delete('/users/me', { token: body.accessToken });
    expect([status, problem['code']]).toEqual([401, 'insufficient_user_authentication']);
    expect(await app.sql('SELECT 1 FROM users WHERE id = $1', [id])).toHaveLength(1);
  });
});

/** How many rows every table with a foreign key to users has of somebody. */
async function rowsAbout(app: TestApp, userId: string): Promise<Record<string, number>> {
  const columns = await app.sql<{ table: string; column: string }>(
    `SELECT c.conrelid::regclass::text AS table, a.attname AS column
     FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
     WHERE c.contype = 'f' AND c.confrelid = 'users'::regclass UNION ALL SELECT 'users', 'id'`,
  );
  expect(columns.length).toBeGreaterThan(6);
  const found: Record<string, number> = {};
  for (const { table, column } of columns) {
    const [row] = await app.sql<{ count: number }>(`SELECT count(*)::int FROM ${table} WHERE ${column} = $1`, [userId]);
    if (row && row.count > 0) found[table] = row.count;
  }
  return found;
}

/** Where only an app is trusted, one is enrolled at the first sign-in. */
async function enrolledAdministrator(app: TestApp): Promise<Admin> {
  const person = await register(app);
  const { body } = await firstFactor(app, person.email);
  const code = await app.mailbox.code(person.email);
  const second = await secondFactor<{ enrollmentToken: string }>(app, body.codeToken, code);
  const authenticator = await enrollTotp(app, second.body.enrollmentToken);
  await app.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [person.id]);
  const { accessToken: token } = await signInByTotp(app, { ...person, ...authenticator });
  return { ...person, ...authenticator, token };
}

/** Where nothing is asked after a password, that is how an administrator without a device signs in. */
async function administratorWithoutDevice(app: TestApp): Promise<string> {
  const person = await register(app);
  await app.sql(`UPDATE users SET roles = '{admin}', preferred_method = 'none' WHERE id = $1`, [person.id]);
  return (await firstFactor<{ accessToken: string }>(app, person.email)).body.accessToken;
}

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
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
  type Person,
  type SignedIn,
} from '../support/people.js';

type Admin = Awaited<ReturnType<typeof administrator>>;
type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

interface Operation {
  method: Method;
  path: (id: string) => string;
  body?: object;
  /** What it answers about somebody who exists. */
  status: number;
  /** Needs a recent proof. */
  fresh: boolean;
  /** What is recorded about the user. */
  event?: string;
}

const user = (id: string) => `/admin/users/${id}`;

const OPERATIONS: Record<string, Operation> = {
  'list users': { method: 'GET', path: () => '/admin/users', status: 200, fresh: false },
  'read a user': { method: 'GET', path: user, status: 200, fresh: false },
  'change his roles': {
    method: 'PATCH',
    path: user,
    body: { roles: ['support'] },
    status: 200,
    fresh: true,
    event: 'user.roles-changed',
  },
  'change his name': {
    method: 'PATCH',
    path: user,
    body: { firstName: 'Eve' },
    status: 200,
    fresh: true,
    event: 'user.updated',
  },
  'end his sessions': {
    method: 'DELETE',
    path: (id) => `${user(id)}/sessions`,
    status: 204,
    fresh: false,
    event: 'session.revoked',
  },
  'unlock him': {
    method: 'POST',
    path: (id) => `${user(id)}/unlock`,
    status: 204,
    fresh: true,
    event: 'user.unlocked',
  },
  'send him a link': {
    method: 'POST',
    path: (id) => `${user(id)}/recovery-link`,
    status: 202,
    fresh: true,
    event: 'user.recovery-link-requested',
  },
  'reset his second factor': {
    method: 'POST',
    path: (id) => `${user(id)}/two-factor/reset`,
    status: 204,
    fresh: true,
    event: 'two-factor.reset',
  },
  'deactivate him': {
    method: 'PATCH',
    path: user,
    body: { active: false },
    status: 200,
    fresh: true,
    event: 'user.deactivated',
  },
  'reactivate him': {
    method: 'PATCH',
    path: user,
    body: { active: true },
    status: 200,
    fresh: true,
    event: 'user.reactivated',
  },
  'delete him': { method: 'DELETE', path: user, status: 204, fresh: true, event: 'user.deleted' },
};
const operations = Object.entries(OPERATIONS);
const aboutOne = operations.filter(([what]) => what !== 'list users');
const writes = operations.filter(([, { event }]) => event !== undefined);

const NOBODY = '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11';

describe('the admin API over accounts', () => {
  let app: TestApp;
  let admin: Admin;
  let victim: Person;
  beforeAll(async () => {
    app = await startApp({ CODE_TOKEN_RETRY_WAIT: 'off' });
    admin = await administrator(app);
    victim = await register(app);
    await signInByMail(app, victim);
  });
  afterAll(() => app.close());

  const send = ({ method, path, body }: Operation, id: string, token: string | undefined) =>
    app.http.send<{ code?: string }>(method, path(id), body, { token });
  const freshAdmin = async () => {
    admin = { ...admin, token: (await signInByTotp(app, admin)).accessToken };
    return admin.token;
  };
  /** Everything that these routes could change. */
  const stateOf = async (id: string) => ({
    user: await app.sql('SELECT * FROM users WHERE id = $1', [id]),
    devices: await app.sql('SELECT * FROM otp_devices WHERE user_id = $1 ORDER BY id', [id]),
    sessions: await app.sql('SELECT id, ended_at FROM sessions WHERE user_id = $1 ORDER BY id', [id]),
    links: await app.sql('SELECT id FROM links WHERE user_id = $1', [id]),
  });

  /** What each operation answers to this token, and whether anything of the user has changed. */
  const answersTo = async (token: string, id: string) => {
    const before = await stateOf(id);
    const answers: Record<string, string> = {};
    for (const [what, operation] of operations) {
      const { status, body, headers } = await send(operation, id, token);
      const challenge = /acr_values="aal2", max_age="300"/.exec(String(headers['www-authenticate']))?.[0] ?? '';
      answers[what] = `${status} ${body.code ?? ''} ${challenge}`.trim();
    }
    return { answers, unchanged: JSON.stringify(await stateOf(id)) === JSON.stringify(before) };
  };
  const toEach = (answer: string) => Object.fromEntries(operations.map(([what]) => [what, answer]));

  it('is not for a user, and tells him nothing about who exists (M04, M08)', async () => {
    const { accessToken } = await signInByMail(app, await register(app));
    for (const id of [victim.id, NOBODY, 'me', '0']) {
      for (const [what, operation] of operations) {
        const { status, body } = await send(operation, id, accessToken);
        expect([what, status, body.code]).toEqual([what, 403, 'admin_required']);
      }
    }
    expect(await answersTo(accessToken, victim.id)).toEqual({
      answers: toEach('403 admin_required'),
      unchanged: true,
    });
  });

  it('is not for an administrator whose role was taken away, at his very next request', async () => {
    const demoted = await administrator(app);
    await freshAdmin();
    expect((await app.http.get('/admin/users', { token: demoted.token })).status).toBe(200);
    const changed = await app.http.patch(user(demoted.id), { roles: [] }, { token: admin.token });
    expect(changed.status).toBe(200);
    expect(await answersTo(demoted.token, victim.id)).toEqual({
      answers: toEach('403 admin_required'),
      unchanged: true,
    });
  });

  it('is not for an administrator who has an app and did not use it: the answer asks for aal2', async () => {
    const person = await register(app);
    const byMail = await signInByMail(app, person);
    await enrollTotp(app, byMail.accessToken);
    await app.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [person.id]);
    expect(await answersTo(byMail.accessToken, victim.id)).toEqual({
      answers: toEach('401 insufficient_user_authentication acr_values="aal2", max_age="300"'),
      unchanged: true,
    });
  });

  it('lets an administrator who proved himself six minutes ago read and end sessions, and nothing else', async () => {
    const boss = await administrator(app);
    const session = await signInByTotp(app, boss);
    await app.clock.advance(360);
    const { refreshToken } = session;
    const { body: stale } = await app.http.post<SignedIn>('/auth/token/refresh', { refreshToken });
    const target = await register(app);
    const { answers, unchanged } = await answersTo(stale.accessToken, target.id);
    const refused = '401 insufficient_user_authentication acr_values="aal2", max_age="300"';
    expect(answers).toEqual(
      Object.fromEntries(operations.map(([what, { fresh, status }]) => [what, fresh ? refused : String(status)])),
    );
    expect(unchanged).toBe(true);
    expect(operations.filter(([, { fresh }]) => !fresh).map(([what]) => what)).toEqual([
      'list users',
      'read a user',
      'end his sessions',
    ]);
  });

  it.each([
    NOBODY,
    NOBODY.toUpperCase(),
    '00000000-0000-0000-0000-000000000000',
    'c56a4180-65aa-42ec-a945-5fd21dec0538',
    'me',
    '0',
    '-1',
    '1',
    'null',
    `${NOBODY}0`,
    `${NOBODY}%00`,
    "'%20OR%201=1",
  ])('answers like for nobody where the id is %s (M08)', async (id) => {
    if (id === NOBODY) await freshAdmin();
    for (const [what, operation] of aboutOne) {
      const { status, body } = await send(operation, id, admin.token);
      expect([what, status, body]).toEqual([
        what,
        404,
        {
          type: '/problems#not_found',
          title: 'Not found',
          status: 404,
          detail: 'Nothing of yours is at this address.',
          code: 'not_found',
          requestId: expect.any(String) as string,
        },
      ]);
    }
  });

  it.each(writes)('records who did it and to whom: %s', async (what, operation) => {
    const target = await register(app, { firstName: 'Ada' });
    await signInByMail(app, target);
    if (what === 'reactivate him') await app.sql('UPDATE users SET active = false WHERE id = $1', [target.id]);
    if (what === 'send him a link') await app.clock.advance(3_600);
    await freshAdmin();
    const eventsOf = () =>
      app.sql<{ type: string }>(
        `SELECT type, actor, actor_id AS "actorId", ip, details FROM audit_events
         WHERE user_id = $1 AND type NOT IN ('message.delivery', 'proof.requested') ORDER BY at, id`,
        [target.id],
      );
    const openSessions = async () =>
      (await app.sql(`SELECT 1 FROM sessions WHERE user_id = $1 AND ended_at IS NULL`, [target.id])).length;
    const before = (await eventsOf()).length;
    const open = await openSessions();
    expect((await send(operation, target.id, admin.token)).status).toBe(operation.status);
    const events = (await eventsOf()).slice(before);
    expect(events.map(({ type }) => type)).toContain(operation.event);
    for (const event of events) expect(event).toMatchObject({ actor: 'admin', actorId: admin.id, ip: '127.0.0.1' });
    if (what === 'change his roles') expect(events).toMatchObject([{ details: { before: [], after: ['support'] } }]);
    if (what === 'change his name') expect(events).toMatchObject([{ details: { fields: ['firstName'] } }]);
    // Where sessions end, each has an event of its own.
    const revoked = events.filter(({ type }) => type === 'session.revoked');
    expect(revoked).toHaveLength(open - (await openSessions()));
    expect(JSON.stringify(events)).not.toMatch(/secret|@example\.com|Ada|Eve|otpauth/);
  });

  it.each([
    { password: 'another uncommon thing' },
    { newPassword: 'another uncommon thing' },
    { passwordHash: '$argon2id$v=19$m=19456,t=2,p=1$YWFhYWFhYWE$YWFhYWFhYWE' },
    { email: 'else@example.com' },
    { emailVerified: true },
    { emailVerifiedAt: '2020-01-01T00:00:00Z' },
    { phoneNumber: '+4930123456' },
    { phoneVerified: true },
    { username: 'root' },
    { id: NOBODY },
    { epoch: 0 },
    { preferredMethod: 'none' },
    { twoFactorRequired: false },
    { twoFactor: { required: false } },
    { createdAt: '2020-01-01T00:00:00Z' },
    { lastSignInAt: null },
    { isAdmin: true },
    { actor: 'system' },
  ])('refuses %j, and the allowed part beside it (M05, P18)', async (extra) => {
    if ('password' in extra) await freshAdmin();
    const before = await stateOf(victim.id);
    const body = { firstName: 'Eve', roles: ['support'], ...extra };
    const { status, body: problem } = await app.http.patch(user(victim.id), body, { token: admin.token });
    expect([status, problem]).toMatchObject([400, { errors: [{ field: Object.keys(extra)[0] }] }]);
    expect(await stateOf(victim.id)).toEqual(before);
  });

  it.each([
    { roles: 'admin' },
    { roles: null },
    { roles: ['Admin'] },
    { roles: [''] },
    { roles: ['a b'] },
    { roles: ['-admin'] },
    { roles: ['a'.repeat(33)] },
    { roles: ['admin', 'admin'] },
    { roles: [['admin']] },
    { roles: Array.from({ length: 21 }, (_, n) => `role${n}`) },
    { active: 'false' },
    { active: null },
    { active: 0 },
    { locale: 'x' },
    { firstName: null },
    { firstName: 'x'.repeat(101) },
  ])('refuses %j', async (change) => {
    if (change.roles === 'admin') await freshAdmin();
    const before = await stateOf(victim.id);
    const { status, body } = await app.http.patch(user(victim.id), change, { token: admin.token });
    expect([status, body]).toMatchObject([400, { errors: [{ field: Object.keys(change)[0] }] }]);
    expect(await stateOf(victim.id)).toEqual(before);
  });

  it('shows no secret, hash, code or link of anybody, whatever it answers (M06, P18)', async () => {
    const person = await personWithTotp(app);
    await freshAdmin();
    const { body: asked } = await firstFactor(app, person.email);
    const answers = [];
    for (const [, operation] of operations) answers.push((await send(operation, person.id, admin.token)).text);
    const seen = answers.join('\n');
    expect(seen).toContain(person.email);
    for (const secret of [person.secret, asked.codeToken, person.session.refreshToken, PASSWORD, 'argon2', 'otpauth']) {
      expect(seen).not.toContain(secret);
    }
    expect(seen).not.toMatch(/secret|hash|salt|epoch|token/i);
  });

  it('gives an administrator no way to a device or session of somebody else (M03)', async () => {
    const person = await personWithTotp(app);
    const token = await freshAdmin();
    const devicesBefore = (await stateOf(person.id)).devices;
    const device = `/otp-devices/${person.deviceId}`;
    for (const answer of [
      await app.http.get(device, { token }),
      await app.http.patch(device, { name: 'Mine' }, { token }),
      await app.http.delete(device, { token }),
      await app.http.post(`${device}/confirm`, { code: totpCode(person.secret, app.clock) }, { token }),
    ]) {
      expect([answer.status, answer.body['code']]).toEqual([404, 'not_found']);
    }
    expect((await stateOf(person.id)).devices).toEqual(devicesBefore);
  });
});

describe('a token that is no access token', () => {
  it('opens no admin route, even an administrator’s', async () => {
    const app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'totp', TWO_FACTOR_FALLBACK_METHOD: 'email' });
    try {
      const person = await register(app);
      await app.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [person.id]);
      const { body: asked } = await firstFactor(app, person.email);
      const code = await app.mailbox.code(person.email);
      const { body } = await secondFactor<{ enrollmentToken: string }>(app, asked.codeToken, code);
      for (const [, { method, path, body: sent }] of operations) {
        const withCodeToken = await app.http.send(method, path(person.id), sent, { token: asked.codeToken });
        expect([withCodeToken.status, withCodeToken.body['code']]).toEqual([401, 'invalid_token']);
        const enrolling = await app.http.send(method, path(person.id), sent, { token: body.enrollmentToken });
        expect([enrolling.status, enrolling.body['code']]).toEqual([403, 'enrollment_required']);
      }
      expect(await app.sql('SELECT roles, active FROM users')).toEqual([{ roles: ['admin'], active: true }]);
    } finally {
      await app.close();
    }
  });
});

import { setTimeout as pause } from 'node:timers/promises';
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
  type Asked,
  type Person,
  type SignedIn,
} from '../support/people.js';

interface Rule {
  level: string;
  role: string | null;
  required: boolean;
  methods: string[] | null;
  deadline: string | null;
  inForce: boolean;
}

interface Explained {
  required: boolean;
  methods: string[] | null;
  deadline: string | null;
  effective: { required: boolean; methods: string[]; deadline: string | null; decidedBy: Rule; reason: string };
  rules: Rule[];
}

type Answer = (SignedIn & { deadline: string | null }) | (Asked & { deadline?: never });

/** Nobody needs a second factor until a rule says so; an e-mailed code opens the enrollment. */
const OPTIONAL = {
  TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp',
  TWO_FACTOR_FALLBACK_METHOD: 'email',
  CODE_RESEND_COOLDOWN: 'off',
  SEND_PER_DESTINATION: 'off',
  CODE_TOKEN_MAX_ACTIVE: 'off',
};

let app: TestApp;
let admin: Awaited<ReturnType<typeof administrator>>;

beforeAll(async () => {
  app = await startApp(OPTIONAL);
  admin = await administrator(app);
});
afterAll(() => app.close());

/** A password is enough for him as long as no rule says otherwise. */
async function passwordOnly(): Promise<Person & { session: SignedIn }> {
  const person = await register(app);
  await app.sql(`UPDATE users SET preferred_method = 'none' WHERE id = $1`, [person.id]);
  const { body } = await firstFactor<SignedIn>(app, person.email);
  expect(body.status).toBe('authenticated');
  return { ...person, session: body };
}

/** The admin's token, proved again where the clock has moved on. */
async function token(): Promise<string> {
  const { accessToken } = await signInByTotp(app, admin);
  return accessToken;
}

const isAlive = async ({ accessToken }: SignedIn) =>
  (await app.http.get('/users/me', { token: accessToken })).status === 200;

const ruleOf = async (person: Person, change: Record<string, unknown>) =>
  app.http.patch<Explained>(`/admin/users/${person.id}/two-factor`, change, { token: await token() });

const explained = async (person: Person) =>
  (await app.http.get<Explained>(`/admin/users/${person.id}/two-factor`, { token: await token() })).body;

async function inSeconds(seconds: number): Promise<string> {
  return new Date(app.clock.now().getTime() + seconds * 1000).toISOString();
}

/** Lets the job run that looks for what has become due. */
async function runDueJob(): Promise<void> {
  const [job] = await app.sql<{ id: string }>(`SELECT id FROM graphile_worker.add_job('end-unmet-sessions')`);
  for (let left = 500; left > 0; left -= 1) {
    if ((await app.sql('SELECT 1 FROM graphile_worker.jobs WHERE id = $1', [job?.id])).length === 0) return;
    await pause(10);
  }
  throw new Error('The job did not end');
}

describe('a rule for one user', () => {
  it('changes what it names also where the rest of the rule is trusted no more', async () => {
    const person = await register(app);
    await ruleOf(person, { required: true });
    await app.sql(`UPDATE requirement_rules SET methods = '{sms}' WHERE user_id = $1`, [person.id]);
    const { status, body } = await ruleOf(person, { required: false });
    expect([status, body.required, body.methods]).toEqual([200, false, ['sms']]);
    expect((await ruleOf(person, { methods: ['sms'] })).status).toBe(400);
  });

  it('keeps both of two changes of different parts that are made in the same moment', async () => {
    const options = { token: await token() };
    for (let round = 0; round < 5; round += 1) {
      const path = `/admin/users/${(await register(app)).id}/two-factor`;
      const answers = await Promise.all([
        app.http.patch(path, { required: true }, options),
        app.http.patch(path, { methods: ['totp'] }, options),
      ]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      const { body } = await app.http.get<Explained>(path, options);
      expect([body.required, body.methods]).toEqual([true, ['totp']]);
    }
  });

  it('ends his password-only sessions at once, and his next sign-in asks', async () => {
    const person = await passwordOnly();
    const other = await passwordOnly();
    expect(await isAlive(person.session)).toBe(true);

    const { status, body } = await ruleOf(person, { required: true });
    expect(status).toBe(200);
    expect(body.effective).toMatchObject({ required: true, decidedBy: { level: 'user' } });
    expect(await isAlive(person.session)).toBe(false);
    expect(await isAlive(other.session)).toBe(true);
    const refresh = await app.http.post('/auth/token/refresh', { refreshToken: person.session.refreshToken });
    expect([refresh.status, refresh.body['code']]).toEqual([401, 'invalid_refresh_token']);
    expect((await firstFactor(app, person.email)).body.status).toBe('second_factor_required');
  });

  it('leaves a session alone that meets it', async () => {
    const person = await personWithTotp(app);
    const session = await signInByTotp(app, person);
    await ruleOf(person, { required: true, methods: ['totp'] });
    expect(await isAlive(session)).toBe(true);
    expect(await isAlive(person.session)).toBe(false);
  });

  it.each([{ methods: null }, { methods: ['totp'] }])(
    'leaves a session alone that met it at the sign-in, also after a step-up by a lesser factor: %j',
    async ({ methods }) => {
      const person = await personWithTotp(app);
      await app.http.post('/auth/otp', { identifier: person.email });
      const credentials = { identifier: person.email, code: await app.mailbox.code(person.email) };
      const { body: asked } = await app.http.post<Asked>('/auth/token', credentials);
      const { body: both } = await secondFactor(app, asked.codeToken, totpCode(person.secret, app.clock));
      const { accessToken } = both;
      const { body: devices } = await app.http.get<{ items: Asked['devices'] }>('/otp-devices', { token: accessToken });
      const deviceId = devices.items.find(({ type }) => type === 'email')?.id;
      const stepUp = (body: Record<string, unknown>) =>
        app.http.post<SignedIn>('/auth/step-up', { deviceId, ...body }, { token: accessToken });
      expect((await stepUp({})).status).toBe(202);
      const { body: lesser } = await stepUp({ code: await app.mailbox.code(person.email) });

      await ruleOf(person, { required: true, methods });
      expect(await isAlive(lesser)).toBe(true);
    },
  );

  it('asks for the enrollment of a method that it accepts', async () => {
    const person = await passwordOnly();
    await ruleOf(person, { required: true, methods: ['totp'] });
    const { body: asked } = await firstFactor(app, person.email);
    const answer = await secondFactor<{ status: string; methods: string[]; enrollmentToken: string }>(
      app,
      asked.codeToken,
      await app.mailbox.code(person.email),
    );
    expect(answer.body).toMatchObject({ status: 'enrollment_required', methods: ['totp'] });
    const created = await app.http.post<{ id: string; secret: string }>(
      '/otp-devices',
      { type: 'totp' },
      { token: answer.body.enrollmentToken },
    );
    const code = totpCode(created.body.secret, app.clock);
    const done = await app.http.post<SignedIn>(
      `/otp-devices/${created.body.id}/confirm`,
      { code },
      { token: answer.body.enrollmentToken },
    );
    expect(done.body.status).toBe('authenticated');
    expect(await isAlive(done.body)).toBe(true);
  });

  it('is switched off again', async () => {
    const person = await passwordOnly();
    await ruleOf(person, { required: true });
    const { body } = await ruleOf(person, { required: false });
    expect(body).toMatchObject({
      required: false,
      effective: { required: false, decidedBy: { level: 'configuration' } },
    });
    expect((await firstFactor(app, person.email)).body.status).toBe('authenticated');
    expect(await app.sql('SELECT 1 FROM requirement_rules WHERE user_id = $1', [person.id])).toEqual([]);
  });

  it('keeps what a change does not name', async () => {
    const person = await passwordOnly();
    const deadline = await inSeconds(3600);
    await ruleOf(person, { required: true, methods: ['totp'], deadline });
    const { body } = await ruleOf(person, { methods: null });
    expect(body).toMatchObject({ required: true, methods: null, deadline });
  });

  it('P07: stands above what the user wants: he may raise it, and not lower it', async () => {
    const person = await personWithTotp(app);
    const { accessToken } = await signInByTotp(app, person);
    const change = (required: boolean) => app.http.patch('/users/me/two-factor', { required }, { token: accessToken });
    await ruleOf(person, { required: true });
    const lowered = await change(false);
    expect([lowered.status, lowered.body['code']]).toEqual([403, 'two_factor_required_by_policy']);
    const raised = await change(true);
    expect([raised.status, raised.body['required'], raised.body['requiredBy']]).toEqual([200, true, 'policy']);
    await ruleOf(person, { required: false });
    const own = await app.http.get('/users/me/two-factor', { token: accessToken });
    expect([own.body['required'], own.body['requiredBy']]).toEqual([true, 'user']);
    expect(await explained(person)).toMatchObject({ effective: { required: true, decidedBy: { level: 'self' } } });
  });

  it('of methods that the configuration does not trust is refused', async () => {
    const person = await register(app);
    const { status, body } = await ruleOf(person, { required: true, methods: ['sms'] });
    expect([status, body]).toMatchObject([400, { code: 'validation_failed', errors: [{ field: 'methods' }] }]);
  });

  it.each([
    ['a deadline in the past', { required: true, deadline: '2020-01-01T00:00:00Z' }],
    ['a deadline in the year 10000', { required: true, deadline: '9999-12-31T23:59:59-23:59' }],
    ['a deadline without its time zone', { required: true, deadline: '2030-01-01T00:00:00' }],
    ['a day', { required: true, deadline: '2030-01-01' }],
    ['a day that there is not', { required: true, deadline: '2030-02-30T00:00:00Z' }],
    ['a week', { required: true, deadline: '2030-W13-3T10:00:00Z' }],
    ['a day of the year', { required: true, deadline: '2030-090T10:00:00Z' }],
    ['an hour without minutes', { required: true, deadline: '2030-01-01T10Z' }],
    ['a time without separators', { required: true, deadline: '20300101T100000Z' }],
    ['a comma before the fraction', { required: true, deadline: '2030-01-01T10:00:00,5Z' }],
    ['no method at all', { required: true, methods: [] }],
    ['a method twice', { required: true, methods: ['totp', 'totp'] }],
    ['recovery codes alone', { required: true, methods: ['recovery_codes'] }],
    ['text for a switch', { required: 'true' }],
    ['another property', { required: true, userId: 'somebody' }],
  ])('with %s is refused and changes nothing', async (_, change) => {
    const person = await register(app);
    const { status, body } = await ruleOf(person, change);
    expect([status, body]).toMatchObject([400, { code: 'validation_failed' }]);
    expect(await app.sql('SELECT 1 FROM requirement_rules WHERE user_id = $1', [person.id])).toEqual([]);
  });

  it('of nobody is not found', async () => {
    for (const id of ['00000000-0000-7000-8000-000000000000', 'me', '0']) {
      const path = `/admin/users/${id}/two-factor`;
      const read = await app.http.get(path, { token: await token() });
      const written = await app.http.patch(path, { required: true }, { token: await token() });
      expect([read.status, written.status]).toEqual([404, 404]);
    }
  });

  it('is written down with who wrote it', async () => {
    const person = await register(app);
    await ruleOf(person, { required: true, methods: ['totp'] });
    const events = await app.sql(
      `SELECT type, actor, actor_id, details FROM audit_events WHERE user_id = $1 AND type = 'two-factor.rule-changed'`,
      [person.id],
    );
    expect(events).toEqual([
      {
        type: 'two-factor.rule-changed',
        actor: 'admin',
        actor_id: admin.id,
        details: { level: 'user', role: null, required: true, methods: ['totp'], deadline: null },
      },
    ]);
  });
});

describe('a rule with a deadline', () => {
  it('is named by every sign-in until then, always the same, and demands nothing before', async () => {
    const person = await passwordOnly();
    const deadline = await inSeconds(7200);
    await ruleOf(person, { required: true, methods: ['totp'], deadline });
    expect(await isAlive(person.session)).toBe(true);

    for (let signIn = 0; signIn < 3; signIn += 1) {
      const { body } = await firstFactor<Answer>(app, person.email);
      expect([body.status, body.deadline]).toEqual(['authenticated', deadline]);
      await app.clock.advance(600);
    }
    expect((await explained(person)).effective).toMatchObject({ required: false, deadline });
  });

  it('is not named to somebody who is prepared', async () => {
    const person = await personWithTotp(app);
    await ruleOf(person, { required: true, methods: ['totp'], deadline: await inSeconds(3600) });
    const session: SignedIn & { deadline?: string | null } = await signInByTotp(app, person);
    expect(session.deadline).toBeNull();
    const own = await app.http.get('/users/me/two-factor', { token: session.accessToken });
    expect(own.body['deadline']).toBeNull();
  });

  it('stops being named once a device is enrolled', async () => {
    const person = await passwordOnly();
    const deadline = await inSeconds(3600);
    await ruleOf(person, { required: true, methods: ['totp'], deadline });
    const { body } = await firstFactor<SignedIn>(app, person.email);
    const own = () => app.http.get('/users/me/two-factor', { token: body.accessToken });
    expect((await own()).body['deadline']).toBe(deadline);
    await enrollTotp(app, body.accessToken);
    expect((await own()).body['deadline']).toBeNull();
  });

  it('holds when it has passed: sessions end and a sign-in enrolls', async () => {
    const person = await passwordOnly();
    await ruleOf(person, { required: true, methods: ['totp'], deadline: await inSeconds(120) });
    const { body: session } = await firstFactor<SignedIn>(app, person.email);
    await runDueJob();
    expect(await isAlive(session)).toBe(true);

    await app.clock.advance(130);
    const { body: asked } = await firstFactor(app, person.email);
    expect(asked.status).toBe('second_factor_required');
    const answer = await secondFactor(app, asked.codeToken, await app.mailbox.code(person.email));
    expect(answer.body.status).toBe('enrollment_required');
    await runDueJob();
    expect(await isAlive(session)).toBe(false);
    const ended = await app.sql(
      `SELECT details, actor FROM audit_events WHERE user_id = $1 AND type = 'session.revoked'`,
      [person.id],
    );
    expect(ended).toContainEqual({ details: { reason: 'policy_changed' }, actor: 'system' });
  });
});

describe('rules for everybody and for roles', () => {
  const policy = async () => (await app.http.get('/admin/two-factor/policy', { token: await token() })).body;
  const setGlobal = async (rule: Record<string, unknown>) =>
    app.http.put<{ rule: Rule; sessionsEnded: number }>('/admin/two-factor/policy', rule, { token: await token() });
  const setRole = async (role: string, rule: Record<string, unknown>) =>
    app.http.put<{ rule: Rule; sessionsEnded: number }>(`/admin/two-factor/policy/roles/${role}`, rule, {
      token: await token(),
    });

  it('act on those whom they are about, and on nobody else', async () => {
    const support = await passwordOnly();
    const other = await passwordOnly();
    await app.sql(`UPDATE users SET roles = '{sales,support}' WHERE id = $1`, [support.id]);

    const { status, body } = await setRole('support', { required: true, methods: ['totp'] });
    expect([status, body]).toEqual([
      200,
      {
        rule: { level: 'role', role: 'support', required: true, methods: ['totp'], deadline: null, inForce: true },
        sessionsEnded: 1,
      },
    ]);
    expect([await isAlive(support.session), await isAlive(other.session)]).toEqual([false, true]);
    expect(await explained(support)).toMatchObject({
      required: false,
      effective: {
        required: true,
        methods: ['totp'],
        decidedBy: { level: 'role', role: 'support' },
        reason: 'the rule of the role support requires a second factor; accepted: totp',
      },
      rules: [{ level: 'configuration' }, { level: 'role' }],
    });

    const path = '/admin/two-factor/policy/roles/support';
    expect((await app.http.get(path, { token: await token() })).body).toEqual(body.rule);

    const removed = await app.http.delete(path, { token: await token() });
    expect(removed.status).toBe(204);
    expect((await app.http.get(path, { token: await token() })).status).toBe(404);
    expect((await explained(support)).effective.required).toBe(false);
    expect(await policy()).toMatchObject({ global: null, roles: [] });
  });

  it('for everybody: nobody is left out', async () => {
    const person = await passwordOnly();
    const { status, body } = await setGlobal({ required: true });
    expect([status, body.rule]).toMatchObject([200, { level: 'global', required: true }]);
    expect(body.sessionsEnded).toBeGreaterThan(0);
    expect(await isAlive(person.session)).toBe(false);
    expect(await policy()).toMatchObject({
      configuration: { required: false, methods: ['email', 'totp'] },
      fallbackMethod: 'email',
      global: { required: true },
    });
    await setGlobal({ required: false });
    expect((await firstFactor(app, person.email)).body.status).toBe('authenticated');
  });

  it('P03, T16: a sign-in that was asked before is not completed by what is no longer accepted', async () => {
    const person = await register(app);
    const { accessToken } = await signInByMail(app, person);
    await enrollTotp(app, accessToken);
    await app.sql(`UPDATE users SET preferred_method = 'email' WHERE id = $1`, [person.id]);
    const { body: asked } = await firstFactor(app, person.email);
    expect(asked.device.type).toBe('email');
    await setGlobal({ required: true, methods: ['totp'] });
    const code = await app.mailbox.code(person.email);
    const answer = await secondFactor<Record<string, unknown>>(app, asked.codeToken, code);
    expect([answer.status, answer.body['code']]).toEqual([401, 'token_expired']);

    const { body: again } = await firstFactor(app, person.email);
    expect([again.device.type, again.devices.map(({ type }) => type)]).toEqual(['totp', ['totp', 'recovery_codes']]);
    const resent = await app.http.post('/auth/otp', { codeToken: again.codeToken, deviceId: asked.device.id });
    expect([resent.status, resent.body['code']]).toEqual([403, 'method_not_allowed']);
    await setGlobal({ required: false });
  });

  it('roles have names', async () => {
    for (const role of ['Support', '1st', 'a'.repeat(33), 'sup port']) {
      const path = `/admin/two-factor/policy/roles/${encodeURIComponent(role)}`;
      for (const { status, body } of [
        await app.http.put<Record<string, unknown>>(path, { required: true }, { token: await token() }),
        await app.http.get<Record<string, unknown>>(path, { token: await token() }),
      ]) {
        expect([role, status, body['code']]).toEqual([role, 400, 'validation_failed']);
      }
    }
  });
});

describe('one rule for many', () => {
  type Result = { operationId: string; users: number; sessionsEnded: number; code?: string };
  const setMany = async (body: Record<string, unknown>) =>
    app.http.post<Result>('/admin/users/two-factor', body, { token: await token() });

  it('named one by one, written as one operation', async () => {
    const people = [await passwordOnly(), await passwordOnly(), await register(app)];
    const inactive = await register(app);
    await app.sql('UPDATE users SET active = false WHERE id = $1', [inactive.id]);
    const userIds = [...people, inactive].map(({ id }) => id);
    const { status, body } = await setMany({
      required: true,
      userIds: [...userIds, '00000000-0000-7000-8000-000000000000'],
    });
    expect([status, body.users, body.sessionsEnded]).toEqual([200, 3, 2]);
    for (const person of people) expect((await explained(person)).effective.decidedBy.level).toBe('user');
    const events = await app.sql<{ user_id: string | null; type: string }>(
      `SELECT type, user_id FROM audit_events WHERE details ->> 'operationId' = $1 ORDER BY type, user_id`,
      [body.operationId],
    );
    expect(events.filter(({ type }) => type === 'two-factor.rule-changed').map(({ user_id: id }) => id)).toEqual(
      people.map(({ id }) => id).sort(),
    );
    expect(events.filter(({ type }) => type === 'two-factor.rules-changed')).toHaveLength(1);
  });

  it('found by a filter', async () => {
    const people = [await passwordOnly(), await passwordOnly()];
    await app.sql(`UPDATE users SET roles = '{warehouse}' WHERE id = ANY ($1)`, [people.map(({ id }) => id)]);
    const { body } = await setMany({ required: true, filter: { role: 'warehouse' } });
    expect([body.users, body.sessionsEnded]).toEqual([2, 2]);
  });

  it('ten thousand at once, and not one more', async () => {
    const ids = Array.from({ length: 10_000 }, (_, n) => `0199aaaa-0000-7000-8000-${String(n).padStart(12, '0')}`);
    await app.sql(
      `INSERT INTO users (id, first_name, last_name, roles, active, two_factor_required, created_at, updated_at)
       SELECT unnest($1::uuid[]), '', '', '{crowd}', true, false, now(), now()`,
      [ids],
    );
    const { status, body } = await setMany({ required: true, userIds: ids });
    expect([status, body.users]).toEqual([200, 10_000]);
    const tooMany = await setMany({ required: true, userIds: [...ids, admin.id] });
    expect([tooMany.status, tooMany.body.code]).toEqual([400, 'validation_failed']);

    await app.sql(`UPDATE users SET roles = '{crowd}' WHERE id = $1`, [(await register(app)).id]);
    const tooWide = await setMany({ required: true, filter: { role: 'crowd' } });
    expect([tooWide.status, tooWide.body]).toMatchObject([400, { errors: [{ field: 'filter' }] }]);
    await app.sql(`DELETE FROM users WHERE roles = '{crowd}'`);
  });

  it.each([
    ['neither', {}],
    ['both', { userIds: ['0199aaaa-0000-7000-8000-000000000001'], filter: {} }],
    ['no users', { userIds: [] }],
    ['a name instead of an id', { userIds: ['ada'] }],
    ['an unknown filter', { filter: { everybody: true } }],
  ])('%s is refused', async (_, body) => {
    const answer = await setMany({ required: true, ...body });
    expect([answer.status, answer.body.code]).toEqual([400, 'validation_failed']);
  });
});

describe('an administrator cannot be locked out', () => {
  it('by a rule that none of them could meet', async () => {
    const own = await startApp({ ...OPTIONAL, TWO_FACTOR_FALLBACK_METHOD: 'none' });
    const username = 'the-only-admin';
    const created = await own.http.post<{ id: string }>('/users', { username, password: PASSWORD });
    await own.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [created.body.id]);
    const { body } = await firstFactor<SignedIn>(own, username);
    expect(body.status).toBe('authenticated');
    const options = { token: body.accessToken };

    for (const put of [
      () => own.http.put('/admin/two-factor/policy', { required: true }, options),
      () => own.http.put('/admin/two-factor/policy/roles/admin', { required: true }, options),
      () => own.http.patch(`/admin/users/${created.body.id}/two-factor`, { required: true }, options),
      () => own.http.post('/admin/users/two-factor', { required: true, userIds: [created.body.id] }, options),
      async () => {
        const deadline = new Date(own.clock.now().getTime() + 86_400_000).toISOString();
        return own.http.put('/admin/two-factor/policy', { required: true, deadline }, options);
      },
    ]) {
      const refused = await put();
      expect([refused.status, refused.body['code']]).toEqual([409, 'last_admin']);
    }
    expect(await own.sql('SELECT 1 FROM requirement_rules')).toEqual([]);
    expect((await own.http.get('/users/me', options)).status).toBe(200);

    await enrollTotp(own, body.accessToken);
    const steppedUp = await own.http.put('/admin/two-factor/policy', { required: true }, options);
    expect([steppedUp.status, steppedUp.body['code']]).toEqual([401, 'insufficient_user_authentication']);
    await own.close();
  });
});

describe('a trusted browser', () => {
  it('stands in only for a method that is still accepted', async () => {
    const own = await startApp({ ...OPTIONAL, TRUSTED_BROWSER_TTL: '30d' });
    const boss = await administrator(own);
    const person = await register(own);
    const { body: asked } = await firstFactor(own, person.email);
    const code = await own.mailbox.code(person.email);
    const { body: first } = await secondFactor<SignedIn & { trustedBrowserToken: string }>(own, asked.codeToken, code, {
      trustBrowser: true,
    });
    const comeBack = (trustedBrowserToken: string) =>
      own.http.post<SignedIn & { trustedBrowserToken: string }>('/auth/token', {
        identifier: person.email,
        password: PASSWORD,
        trustedBrowserToken,
      });
    const { body: second } = await comeBack(first.trustedBrowserToken);
    expect(second.status).toBe('authenticated');

    // A rule of a role leaves the account itself as it is, so the browser is still remembered.
    await own.sql(`UPDATE users SET roles = '{support}' WHERE id = $1`, [person.id]);
    const put = (rule: object) => own.http.put('/admin/two-factor/policy/roles/support', rule, { token: boss.token });
    expect((await put({ required: true })).body['sessionsEnded']).toBe(0);
    const { body: third } = await comeBack(second.trustedBrowserToken);
    expect(third.status).toBe('authenticated');
    expect((await put({ required: true, methods: ['totp'] })).body['sessionsEnded']).toBe(3);
    expect((await comeBack(third.trustedBrowserToken)).body.status).toBe('second_factor_required');
    await own.close();
  });
});

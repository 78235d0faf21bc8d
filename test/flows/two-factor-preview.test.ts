import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
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
  type SignedIn,
} from '../support/people.js';

/** What a preview says would happen to a user, and what then does. */
type Fate = 'mustEnroll' | 'cannotSignIn' | 'unaffected';

interface Preview {
  users: number;
  mustEnroll: number;
  cannotSignIn: number;
  unaffected: number;
  sessionsEnding: number;
  list: { items: { id: string }[]; nextCursor: string | null } | null;
}

interface Citizen {
  id: string;
  /** What he types into the login box. */
  identifier: string;
  hasPassword: boolean;
  /** An address that a code reaches him at. */
  address: string | null;
}

const SETTINGS = {
  TWO_FACTOR_TRUSTED_METHODS: 'none,email,sms,totp',
  SMS_DRIVER: 'outbox',
  // the administrator signs in all the time
  SESSIONS_PER_USER: '100',
  SMS_COUNTRIES: 'DE',
  CODE_RESEND_COOLDOWN: 'off',
  SEND_PER_DESTINATION: 'off',
  CODE_TOKEN_MAX_ACTIVE: 'off',
  CODE_TOKEN_RETRY_WAIT: 'off',
};

let app: TestApp;
let admin: Awaited<ReturnType<typeof administrator>>;
const town: Citizen[] = [];

beforeAll(async () => {
  app = await startApp(SETTINGS);
  admin = await administrator(app);
  await populate();
});
afterAll(() => app.close());

let lastNumber = 15_112_350_000;

/** Every kind of user that a rule can meet: with and without addresses, passwords, devices that work and that do not. */
async function populate(): Promise<void> {
  const settle = async (roles: string, extra: Partial<Citizen> & { id: string; identifier: string }) => {
    await app.sql('UPDATE users SET roles = $2 WHERE id = $1', [extra.id, roles]);
    town.push({ hasPassword: true, address: null, ...extra });
  };
  for (const roles of ['{}', '{support}']) {
    const plain = await register(app);
    await settle(roles, { id: plain.id, identifier: plain.email, address: plain.email });

    const mailed = await register(app);
    await signInByMail(app, mailed);
    await settle(roles, { id: mailed.id, identifier: mailed.email, address: mailed.email });

    const carefree = await register(app);
    await app.sql(`UPDATE users SET preferred_method = 'none' WHERE id = $1`, [carefree.id]);
    await firstFactor(app, carefree.email);
    await settle(roles, { id: carefree.id, identifier: carefree.email, address: carefree.email });

    const secured = await personWithTotp(app);
    await signInByTotp(app, secured);
    await settle(roles, { id: secured.id, identifier: secured.email, address: secured.email });

    const broken = await personWithTotp(app);
    await app.sql(`UPDATE otp_devices SET disabled_at = now() WHERE user_id = $1 AND type = 'totp'`, [broken.id]);
    await settle(roles, { id: broken.id, identifier: broken.email, address: broken.email });

    const nameOnly = `name-only-${roles.length}`;
    const { body: unreachable } = await app.http.post<{ id: string }>('/users', {
      username: nameOnly,
      password: PASSWORD,
    });
    await firstFactor(app, nameOnly);
    await settle(roles, { id: unreachable.id, identifier: nameOnly });

    const named = `named-${roles.length}`;
    const { body: appOnly } = await app.http.post<{ id: string }>('/users', { username: named, password: PASSWORD });
    const { body: session } = await firstFactor<SignedIn>(app, named);
    await enrollTotp(app, session.accessToken);
    await settle(roles, { id: appOnly.id, identifier: named });

    const number = `+49${(lastNumber += 1)}`;
    const { body: caller } = await app.http.post<{ id: string }>('/users', { phoneNumber: number, password: PASSWORD });
    await settle(roles, { id: caller.id, identifier: number, address: number });

    const wordless = await register(app, { password: undefined });
    await settle(roles, { id: wordless.id, identifier: wordless.email, hasPassword: false, address: wordless.email });
  }
}

async function preview(proposed: Record<string, unknown>): Promise<Preview> {
  const { accessToken: token } = await signInByTotp(app, admin);
  const { status, body } = await app.http.post<Preview>('/admin/two-factor/policy/preview', proposed, { token });
  expect(status).toBe(200);
  return body;
}

/** Signs somebody in as he would: by password where he has one, else by a code; and by a code where that leads nowhere. */
async function fateOf(citizen: Citizen): Promise<Fate> {
  const first = citizen.hasPassword ? await firstFactor<Asked>(app, citizen.identifier) : null;
  if (first?.status === 200) {
    const fate = await continued(citizen, first.body);
    if (fate !== 'cannotSignIn') return fate;
  }
  if (citizen.address === null) return 'cannotSignIn';
  await app.http.post('/auth/otp', { identifier: citizen.address });
  const code = await codeFor(citizen.address);
  const byCode = await app.http.post<Asked>('/auth/token', { identifier: citizen.address, code });
  return byCode.status === 200 ? continued(citizen, byCode.body) : 'cannotSignIn';
}

async function continued(citizen: Citizen, answer: Asked | { status: string }): Promise<Fate> {
  if (answer.status === 'authenticated') return 'unaffected';
  if (answer.status === 'enrollment_required') return 'mustEnroll';
  const { codeToken, device } = answer as Asked;
  if (device.type === 'totp') {
    const [row] = await app.sql<{ works: boolean }>(
      'SELECT disabled_at IS NULL AS works FROM otp_devices WHERE id = $1',
      [device.id],
    );
    return row?.works ? 'unaffected' : 'cannotSignIn';
  }
  const code = await codeFor(citizen.address ?? '');
  const second = await secondFactor<{ status: string }>(app, codeToken, code);
  expect(second.status).toBe(200);
  return continued(citizen, second.body);
}

/** The newest code, whatever arrived before. */
async function codeFor(address: string): Promise<string> {
  return address.startsWith('+') ? app.mailbox.smsCode(address) : app.mailbox.code(address);
}

type Case = [what: string, rule: Record<string, unknown>, who: (citizen: Citizen, roles: string[]) => boolean];

const everybody = () => true;
const support = (_: Citizen, roles: string[]) => roles.includes('support');

const CASES: Case[] = [
  ['nothing changes', { level: 'global', required: false }, everybody],
  ['a second factor for everybody', { level: 'global', required: true }, everybody],
  ['an app for everybody', { level: 'global', required: true, methods: ['totp'] }, everybody],
  ['an app or a text message for everybody', { level: 'global', required: true, methods: ['sms', 'totp'] }, everybody],
  ['an app for one role', { level: 'role', role: 'support', required: true, methods: ['totp'] }, support],
  ['e-mail only for one role', { level: 'role', role: 'support', required: true, methods: ['email'] }, support],
];

describe('a preview tells what then happens', () => {
  it.each(CASES)('%s', async (_, rule, isMeant) => {
    const before = await app.sql('SELECT * FROM requirement_rules');
    const told = await preview(rule);
    const listed = new Map<string, Fate>();
    for (const list of ['mustEnroll', 'cannotSignIn', 'unaffected'] as const) {
      for (let cursor: string | null = ''; cursor !== null;) {
        const page = await preview({ ...rule, list, limit: 4, ...(cursor === '' ? {} : { cursor }) });
        for (const { id } of page.list?.items ?? []) {
          expect(listed.has(id)).toBe(false);
          listed.set(id, list);
        }
        cursor = page.list?.nextCursor ?? null;
      }
    }
    expect(await app.sql('SELECT * FROM requirement_rules')).toEqual(before);

    const path =
      rule['level'] === 'global'
        ? '/admin/two-factor/policy'
        : `/admin/two-factor/policy/roles/${String(rule['role'])}`;
    const { accessToken: token } = await signInByTotp(app, admin);
    // The signing in just now began a session more, which meets every rule of these.
    const { level: __, role: ___, ...demand } = rule;
    const { body } = await app.http.put<{ sessionsEnded: number }>(path, demand, { token });
    expect(body.sessionsEnded).toBe(told.sessionsEnding);

    const roles = new Map(
      (await app.sql<{ id: string; roles: string[] }>('SELECT id, roles FROM users')).map((row) => [row.id, row.roles]),
    );
    const meant = town.filter((citizen) => isMeant(citizen, roles.get(citizen.id) ?? []));
    const fates = new Map<string, Fate>();
    for (const citizen of meant) fates.set(citizen.id, await fateOf(citizen));
    // The administrator signs in all the time.
    if (rule['level'] === 'global') fates.set(admin.id, 'unaffected');

    const count = (fate: Fate) => [...fates.values()].filter((each) => each === fate).length;
    expect(told).toMatchObject({
      users: fates.size,
      mustEnroll: count('mustEnroll'),
      cannotSignIn: count('cannotSignIn'),
      unaffected: count('unaffected'),
    });
    expect([...listed].sort()).toEqual([...fates].sort());
    await app.http.put(path, { required: false }, { token });
  });

  it('of an app for everybody: some must enroll and some cannot sign in, or the cases above prove little', async () => {
    const told = await preview({ level: 'global', required: true, methods: ['totp'] });
    expect(told.mustEnroll).toBeGreaterThan(4);
    expect(told.cannotSignIn).toBeGreaterThan(1);
    expect(told.unaffected).toBeGreaterThan(2);
    expect(told.sessionsEnding).toBeGreaterThan(2);
  });

  it('for one user', async () => {
    const [plain] = town;
    const told = await preview({
      level: 'user',
      userId: plain?.id,
      required: true,
      methods: ['totp'],
      list: 'mustEnroll',
    });
    expect(told).toMatchObject({ users: 1, mustEnroll: 1, cannotSignIn: 0, unaffected: 0 });
    expect(told.list?.items.map(({ id }) => id)).toEqual([plain?.id]);
  });

  it('as of the deadline: what other rules demand by then counts too', async () => {
    const { accessToken: token } = await signInByTotp(app, admin);
    const at = (days: number) => new Date(app.clock.now().getTime() + days * 86_400_000).toISOString();
    const rule = { required: true, methods: ['totp'], deadline: at(7) };
    await app.http.put('/admin/two-factor/policy/roles/support', rule, { token });
    const soon = await preview({ level: 'global', required: true, deadline: at(1) });
    const later = await preview({ level: 'global', required: true, deadline: at(8) });
    expect(later.mustEnroll).toBeGreaterThan(soon.mustEnroll);
    expect(later.users).toBe(soon.users);
  });

  it.each([
    ['a role’s rule without the role', { level: 'role', required: true }, 'role'],
    ['a user’s rule without the user', { level: 'user', required: true }, 'userId'],
    ['a method that is not trusted', { level: 'global', required: true, methods: ['recovery_codes'] }, 'methods'],
    [
      'a cursor that names no user',
      { level: 'global', required: true, list: 'unaffected', cursor: 'WyJhIl0' },
      'cursor',
    ],
    ['a deadline that has passed', { level: 'global', required: true, deadline: '2020-01-01T00:00:00Z' }, 'deadline'],
    [
      'a deadline in the year 10000',
      { level: 'role', role: 'support', required: true, deadline: '9999-12-31T23:59:59-23:59' },
      'deadline',
    ],
    ['a cursor of its own making', { level: 'global', required: true, list: 'unaffected', cursor: 'WzFd' }, 'cursor'],
  ])('refuses %s', async (_, body, field) => {
    const { accessToken: token } = await signInByTotp(app, admin);
    const answer = await app.http.post('/admin/two-factor/policy/preview', body, { token });
    expect([answer.status, answer.body]).toMatchObject([400, { code: 'validation_failed', errors: [{ field }] }]);
  });

  it('of a rule for nobody is not found, as setting it is', async () => {
    const { accessToken: token } = await signInByTotp(app, admin);
    const body = { level: 'user', userId: '00000000-0000-7000-8000-000000000000', required: true };
    const answer = await app.http.post('/admin/two-factor/policy/preview', body, { token });
    expect([answer.status, answer.body['code']]).toEqual([404, 'not_found']);
  });
});

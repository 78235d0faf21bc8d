import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { countersign, documentOf, refusalOf, runCommand, type Ran } from '../support/command-line.js';
import { administer } from '../support/global-setup.js';
import {
  administrator,
  enrollTotp,
  PASSWORD,
  register,
  signInByMail,
  signInByTotp,
  type Authenticator,
  type Person,
} from '../support/people.js';

/** A command that is a process loads the whole application. */
vi.setConfig({ testTimeout: 60_000 });

interface Created {
  id: string;
  outcome: string;
  link: { url: string } | null;
}

let app: TestApp;
let admin: Person & Authenticator & { token: string };

beforeAll(async () => {
  app = await startApp();
  admin = await administrator(app);
});
afterAll(() => app.close());

/** A command that knows this service's settings, in this process. */
const run = (args: string[]): Promise<Ran> => runCommand(app, args);

/** The same as a process of its own. */
function cli(
  args: string[],
  { input = '', env = {} }: { input?: string; env?: Record<string, string> } = {},
): Promise<Ran> {
  const settings = { DATABASE_URL: app.database.url, PUBLIC_URL: 'https://id.example.test', ...env };
  return countersign(args, settings, input);
}

describe('users create-admin', () => {
  const email = 'first@example.com';

  it('makes somebody who chooses his password by the link, enrolls, and opens the admin API', async () => {
    const { id, outcome, link } = documentOf<Created>(await cli(['users', 'create-admin', '--email', email, '--json']));
    expect(outcome).toBe('created');
    const url = new URL(link?.url ?? '');
    expect(`${url.origin}${url.pathname}`).toBe('https://id.example.test/reset-password');

    const token = url.searchParams.get('token');
    const signsIn = await app.http.post('/auth/magic-link/redeem', { token });
    expect(signsIn.body).toMatchObject({ code: 'invalid_link' });
    const body = { token, newPassword: PASSWORD };
    expect((await app.http.post('/auth/password-reset/confirm', body)).status).toBe(204);
    expect((await app.http.post('/auth/password-reset/confirm', body)).body).toMatchObject({ code: 'invalid_link' });
    // Nobody has proved to read the mailbox so far.
    expect(await verified(id)).toBe(false);

    const person = { id, email };
    const session = await signInByMail(app, person);
    expect(await verified(id)).toBe(true);
    const device = await enrollTotp(app, session.accessToken);
    const { accessToken } = await signInByTotp(app, { ...person, ...device });
    expect((await app.http.get('/admin/users', { token: accessToken })).status).toBe(200);
    expect(await byCli(id)).toEqual(['user.created', 'user.recovery-link-requested', 'user.roles-changed']);
  });

  it('changes nothing the second time, and takes no password of an account that exists', async () => {
    const { code, stdout } = await cli(['users', 'create-admin', '--email', email.toUpperCase(), '--password-stdin'], {
      input: 'another uncommon password\n',
    });
    expect([code, stdout]).toEqual([
      0,
      `${email} is an administrator already.\nThe password of the account was left as it is.\n`,
    ]);
    expect((await app.http.post('/auth/token', { identifier: email, password: PASSWORD })).status).toBe(200);
  });

  it('promotes an account that anybody may have registered only when told to', async () => {
    const person = await register(app);
    const args = ['users', 'create-admin', '--email', person.email, '--json'];
    expect(refusalOf(await run(args))).toMatchObject({ exitCode: 2, code: 'unproved_account' });
    expect(await rolesOf(person.id)).toEqual([]);
    expect(documentOf(await run([...args, '--yes']))).toMatchObject({ outcome: 'promoted', link: null });
    expect(await rolesOf(person.id)).toEqual(['admin']);
    await app.sql(`UPDATE users SET roles = '{}' WHERE id = $1`, [person.id]);
  });
});

describe('two-factor', () => {
  it('require, effective, preview and unrequire agree with the API', async () => {
    const person = await register(app);
    const token = admin.token;
    documentOf(await run(['two-factor', 'require', '--user', person.email, '--methods', 'totp', '--json']));

    const { body: shown } = await app.http.get<{ effective: Record<string, unknown> }>(
      `/admin/users/${person.id}/two-factor`,
      { token },
    );
    expect(shown).toMatchObject({ required: true, methods: ['totp'] });
    const effective = await run(['two-factor', 'effective', person.id, '--json']);
    const preview = await run([
      ...['two-factor', 'preview', '--everybody', '--methods', 'totp', '--list', 'must-enroll', '--json'],
    ]);
    expect(documentOf(effective)).toMatchObject(shown.effective);

    const proposed = { level: 'global', required: true, methods: ['totp'], list: 'mustEnroll' };
    const { body: foreseen } = await app.http.post('/admin/two-factor/policy/preview', proposed, { token });
    expect(documentOf(preview)).toEqual(foreseen);
    expect(foreseen).toMatchObject({ list: { items: expect.arrayContaining([{ ...nobody, ...person }]) as unknown } });

    documentOf(await run(['two-factor', 'unrequire', '--user', person.email, '--json']));
    const { body: after } = await app.http.get(`/admin/users/${person.id}/two-factor`, { token });
    expect(after).toMatchObject({ required: false, methods: null });
    expect(await byCli(person.id)).toEqual(['two-factor.rule-changed', 'two-factor.rule-changed']);
  });
});

describe('users deactivate', () => {
  it('asks first, ends the sessions, and shows in the list', async () => {
    const person = await register(app, { username: 'leaver' });
    const { accessToken: token } = await signInByMail(app, person);
    const refused = await cli(['users', 'deactivate', 'leaver']);
    expect(refused).toEqual({
      code: 2,
      stdout: '',
      stderr: 'Deactivate leaver and end every session? Repeat it with --yes.\n',
    });
    expect((await app.http.get('/users/me', { token })).status).toBe(200);

    documentOf(await run(['users', 'deactivate', 'leaver', '--yes', '--json']));
    expect((await app.http.get('/users/me', { token })).body).toMatchObject({ code: 'invalid_token' });
    await app.mailbox.next(person.email, /deactivated/);
    const list = documentOf<{ items: { id: string }[] }>(await run(['users', 'list', '--active', 'false', '--json']));
    expect(list.items.map(({ id }) => id)).toEqual([person.id]);
  });

  it('does not lock everybody out', async () => {
    await app.sql(`UPDATE users SET roles = '{}' WHERE id <> $1`, [admin.id]);
    const refused = refusalOf(await run(['users', 'deactivate', admin.email, '--yes', '--json']));
    expect(refused).toMatchObject({ exitCode: 1, code: 'last_admin' });
  });
});

describe('what cannot be understood', () => {
  it('ends with 2 and says what is wanted', async () => {
    const nobodyNamed = await run(['two-factor', 'require']);
    expect([nobodyNamed.code, nobodyNamed.stderr]).toEqual([2, 'Say who: one of --user, --role and --everybody.\n']);
    for (const deadline of ['2027-03-31T22:00', '2027-02-30T22:00Z']) {
      const badTime = await run(['two-factor', 'require', '--everybody', '--deadline', deadline]);
      expect(badTime.code).toBe(2);
      expect(badTime.stderr).toMatch(/a time with its zone/);
    }
  });
});

describe('keys', () => {
  it('two processes that rotate at once make one key; a key that is retired is gone from the JWKS', async () => {
    // Whoever only looks rotates nothing, also with another setting than the service has.
    const { keys } = documentOf<{ keys: { kid: string; state: string }[] }>(
      await cli(['keys', 'list', '--json'], { env: { SIGNING_ALGORITHM: 'RS256' } }),
    );
    expect(keys.map(({ state }) => state)).toEqual(['current']);

    const rotated = await Promise.all([cli(['keys', 'rotate', '--json']), cli(['keys', 'rotate', '--json'])]);
    const rotations = rotated.map((ran) => documentOf<{ made: boolean; kid: string }>(ran));
    expect(rotations.map(({ made }) => made).toSorted()).toEqual([false, true]);
    expect(rotations[0]?.kid).toBe(rotations[1]?.kid);

    const current = keys[0]?.kid ?? '';
    documentOf(await run(['keys', 'retire', current, '--yes', '--json']));
    const live = await app.sql('SELECT kid FROM signing_keys WHERE coalesce(expires_at > now(), true)');
    expect(live).toEqual([{ kid: rotations[0]?.kid }]);
  });

  it('takes a kid that begins with a dash for a kid', async () => {
    const { code, stderr } = await run(['keys', 'retire', '-uvRDxk0', '--yes']);
    expect([code, stderr]).toEqual([1, expect.stringContaining('No key with the kid "-uvRDxk0"')]);
  });
});

describe('audit', () => {
  it('exports every event, and verify finds a row that was changed', async () => {
    const exported = await cli(['audit', 'export', '--type', 'user.created'], { env: { LOG_LEVEL: 'debug' } });
    // What is logged is not in the file.
    expect([exported.code, exported.stderr]).toEqual([0, expect.stringContaining('The audit chain ends')]);
    const lines = exported.stdout.trimEnd().split('\n');
    const [first, ...rest] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(first).toMatchObject({ type: 'user.created' });
    expect(rest.at(-1)).toMatchObject({ head: { seq: expect.any(Number) as unknown } });

    await tamper(`UPDATE audit_events SET user_id = NULL WHERE id = '${String(first?.['id'])}'`);
    const found = documentOf(await run(['audit', 'verify', '--json']), 1);
    expect(found).toMatchObject({ intact: false, faults: [{ eventId: first?.['id'], kind: 'changed' }] });
  });
});

const nobody = { username: null, phoneNumber: null };

async function verified(id: string): Promise<boolean> {
  const [row] = await app.sql<{ verified: boolean }>(
    'SELECT email_verified_at IS NOT NULL AS verified FROM users WHERE id = $1',
    [id],
  );
  return row?.verified === true;
}

async function rolesOf(id: string): Promise<string[]> {
  const [row] = await app.sql<{ roles: string[] }>('SELECT roles FROM users WHERE id = $1', [id]);
  return row?.roles ?? [];
}

/** The types of what was done to a user at the command line. */
async function byCli(id: string): Promise<string[]> {
  const rows = await app.sql<{ type: string }>(
    `SELECT type FROM audit_events WHERE user_id = $1 AND actor = 'cli' ORDER BY type`,
    [id],
  );
  return rows.map(({ type }) => type);
}

/** As somebody who owns the tables can. */
function tamper(statement: string): Promise<void> {
  return administer(app.database.url, `SET session_replication_role = replica; ${statement}`);
}

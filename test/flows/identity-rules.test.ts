import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { countersign, documentOf, refusalOf, runAlone } from '../support/command-line.js';
import type { Answer } from '../support/http.js';
import { firstFactor, PASSWORD, register, signInByMail } from '../support/people.js';

const FILE = `
# whom we do not want
deny email *@spam.example
deny email-domain disposable
deny phone +4917*             # the numbers of one company
deny phone-type voip
deny phone-country FR for codes
deny ip 198.51.100.0/24 for registration
deny ip 2001:db8:bad::/48
`;
const ENVIRONMENT =
  'allow email boss@spam.example; deny username *bot; deny username reserved; allow username ops-bot; ' +
  'deny email *@letters.example for codes; allow ip 203.0.113.0/28';

/** What a stranger may ask to be sent to somebody. */
const ASKED = ['/auth/otp', '/auth/magic-link', '/auth/password-reset'] as const;

interface Refusal {
  code: string;
  errors?: { field: string; messages: string[] }[];
}

interface Recorded {
  purpose: string;
  field: string;
  rule: string;
}

const unique = () => randomBytes(5).toString('hex');
const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });

let folder: string;
let rules: Record<string, string>;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-rules-'));
  writeFileSync(join(folder, 'rules'), FILE);
  rules = { IDENTITY_RULES_FILE: join(folder, 'rules'), IDENTITY_RULES: ENVIRONMENT };
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the operator’s list', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ ...rules, TRUSTED_PROXIES: '127.0.0.1', OTP_AUTO_CREATE_ACCOUNT: 'on' });
  });
  afterAll(() => app.close());

  const post = (body: Record<string, unknown>, address = '192.0.2.1') =>
    app.http.post<Refusal>('/users', { password: PASSWORD, ...body }, from(address));
  const usersWith = (canonical: string) =>
    app.sql('SELECT id FROM users WHERE $1 IN (email_canonical, phone_number, username_canonical)', [canonical]);
  const refusals = async () =>
    (
      await app.sql<{ details: Recorded }>(
        `SELECT details FROM audit_events WHERE type = 'identity.refused' ORDER BY at, id`,
      )
    ).map(({ details }) => details);

  async function newRefusals(during: () => Promise<unknown>): Promise<Recorded[]> {
    const before = (await refusals()).length;
    await during();
    return (await refusals()).slice(before);
  }

  async function jobsDone(): Promise<void> {
    await expect.poll(() => app.sql('SELECT 1 FROM graphile_worker.jobs'), { timeout: 8_000 }).toEqual([]);
  }

  it.each<[kind: string, field: string, value: string, rule: string]>([
    ['an address', 'email', 'Ada@SPAM.example', 'deny email *@spam.example'],
    ['a disposable mailbox', 'email', 'ada@mailinator.com', 'deny email-domain disposable'],
    ['one below a disposable domain', 'email', 'ada@x.mailinator.com', 'deny email-domain disposable'],
    ['a number', 'phoneNumber', '+49 171 2345678', 'deny phone +4917*'],
    ['a type of number', 'phoneNumber', '+44 56 1234 5678', 'deny phone-type voip'],
    ['a username', 'username', 'Spam_Bot', 'deny username *bot'],
    ['a reserved name', 'username', 'Admin', 'deny username reserved'],
    ['a name that looks like a reserved one', 'username', 'supp0rt', 'deny username reserved'],
  ])('refuses %s at registration, without telling why: %s %s', async (_kind, field, value, rule) => {
    const identity = { email: `ada-${unique()}@example.com`, [field]: value };
    const [before] = await app.sql('SELECT count(*) FROM users');
    const recorded = await newRefusals(async () => {
      const { status, body, text } = await post(identity);
      expect([status, body.code]).toEqual([400, 'identity_refused']);
      expect(body.errors).toEqual([{ field, messages: ['is not accepted here; use another'] }]);
      expect(text).not.toMatch(/[*]|disposable|reserved|voip/);
    });
    expect(recorded).toEqual([{ purpose: 'registration', field, rule }]);
    expect(await app.sql('SELECT count(*) FROM users')).toEqual([before]);
    expect(app.mailbox.all(value)).toEqual([]);
  });

  it.each([
    ['somebody of a refused domain who is welcome', { email: 'boss@spam.example' }],
    ['a name that an entry allows', { username: 'ops-bot' }],
    ['a domain that only ends like a refused one', { email: 'ada@notspam.example' }],
    ['whom nothing but codes are refused to', { email: 'ada@letters.example' }],
    ['a number that only gets no codes', { phoneNumber: '+33612345678' }],
  ])('lets in %s', async (_who, identity) => {
    expect((await post(identity)).status).toBe(201);
  });

  it.each([
    ['198.51.100.7', 403],
    ['::ffff:198.51.100.7', 403],
    ['2001:db8:bad:7::1', 403],
    ['198.51.101.7', 201],
    ['2001:db8:bae::1', 201],
  ])('answers a registration from %s with %i', async (address, expected) => {
    const email = `ada-${unique()}@example.com`;
    const { status, body } = await post({ email }, address);
    expect(status).toBe(expected);
    if (expected === 403) expect([body.code, body.errors]).toEqual(['address_refused', undefined]);
    expect(await usersWith(email)).toHaveLength(expected === 201 ? 1 : 0);
  });

  it.each(ASKED)('%s answers a refused address like an unknown one, and sends nothing', async (route) => {
    const { email } = await registered({ email: `ada-${unique()}@letters.example` });
    const visible = ({ status, headers: { 'x-request-id': _id, date: _date, ...headers }, text }: Answer) => ({
      status,
      headers,
      text,
    });
    const ask = (identifier: string) => app.http.post(route, { identifier });
    const recorded = await newRefusals(async () => {
      const unknown = visible(await ask(`nobody-${unique()}@letters.example`));
      expect([unknown.status, unknown.text]).toEqual([202, '{"resendIn":60}']);
      expect(visible(await ask(email))).toEqual(unknown);
      await jobsDone();
    });
    expect(app.mailbox.all(email)).toEqual([]);
    const refused = { purpose: 'codes', field: 'email', rule: 'deny email *@letters.example for codes' };
    // A code may make the account of somebody unknown, so his address is judged too.
    expect(recorded).toEqual(route === '/auth/otp' ? [refused, refused] : [refused]);
  });

  it.each(ASKED)('%s refuses an IP address at once, whoever is asked for, and others not', async (route) => {
    const { email } = await registered({});
    for (const identifier of [email, `nobody-${unique()}@example.com`]) {
      const refused = await app.http.post<Refusal>(route, { identifier }, from('2001:db8:bad::1'));
      expect([refused.status, refused.body.code]).toEqual([403, 'address_refused']);
    }
    expect(app.mailbox.all(email)).toEqual([]);
    // 198.51.100.0/24 is refused for registration only.
    expect((await app.http.post(route, { identifier: email }, from('198.51.100.7'))).status).toBe(202);
    await app.mailbox.next(email);
  });

  it('sends no text message to a country that gets none, though it may register there', async () => {
    const number = '+33612345679';
    await registered({ email: undefined, phoneNumber: number });
    const recorded = await newRefusals(async () => {
      expect((await app.http.post('/auth/otp', { identifier: number })).status).toBe(202);
      await jobsDone();
    });
    expect(recorded).toEqual([{ purpose: 'codes', field: 'phoneNumber', rule: 'deny phone-country FR for codes' }]);
    expect(app.mailbox.all(number)).toEqual([]);
  });

  it('a code makes no account for whom registration is closed: neither by address nor by IP address', async () => {
    const identifiers = [`ada-${unique()}@spam.example`, `ada-${unique()}@example.com`, `ada-${unique()}@example.com`];
    const addresses = ['192.0.2.1', '198.51.100.7', '192.0.2.1'];
    for (const [index, identifier] of identifiers.entries()) {
      const { status } = await app.http.post('/auth/otp', { identifier }, from(addresses[index] ?? ''));
      expect(status).toBe(202);
    }
    await jobsDone();
    const made = await Promise.all(identifiers.map(usersWith));
    expect(made.map((rows) => rows.length)).toEqual([0, 0, 1]);
  });

  it('a signed-in user is told that his new device is not accepted, and no code goes out', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    const create = (device: Record<string, unknown>, address = '192.0.2.1') =>
      app.http.post<Refusal>('/otp-devices', device, { token, ...from(address) });
    const refused = await create({ type: 'email', email: 'ada@letters.example' });
    expect([refused.status, refused.body.code, refused.body.errors?.[0]?.field]).toEqual([
      400,
      'identity_refused',
      'email',
    ]);
    const abroad = await create({ type: 'sms', phoneNumber: '+33612345677' });
    expect([abroad.status, abroad.body.errors?.[0]?.field]).toEqual([400, 'phoneNumber']);
    const address = await create({ type: 'email', email: 'ada@example.org' }, '2001:db8:bad::1');
    expect([address.status, address.body.code]).toEqual([403, 'address_refused']);
    const pending = 'SELECT 1 FROM otp_devices WHERE user_id = $1 AND confirmed_at IS NULL';
    expect(await app.sql(pending, [person.id])).toEqual([]);
    for (const to of ['ada@letters.example', '+33612345677', 'ada@example.org'])
      expect(app.mailbox.all(to)).toEqual([]);
    // To an app nothing is sent.
    expect((await create({ type: 'totp' }, '2001:db8:bad::1')).status).toBe(201);
  });

  it('a name that nobody may register is not one to change to', async () => {
    const { accessToken: token } = await signInByMail(app, await register(app));
    const { status, body } = await app.http.patch<Refusal>('/users/me', { username: 'admin' }, { token });
    expect([status, body.code, body.errors?.[0]?.field]).toEqual([400, 'identity_refused', 'username']);
  });

  it('nor for one that he began to add before the entry was there', async () => {
    const { accessToken: token } = await signInByMail(app, await register(app));
    const before = await startApp({}, { replicaOf: app });
    try {
      const device = { type: 'email', email: 'ada@letters.example' };
      const { status, body } = await before.http.post<{ id: string }>('/otp-devices', device, { token });
      expect(status).toBe(201);
      // Either of the two may have sent it.
      await jobsDone();
      const sent = app.mailbox.all(device.email).length;
      await app.clock.advance(61);
      const again = await app.http.post<Refusal>(`/otp-devices/${body.id}/challenge`, undefined, { token });
      expect([again.status, again.body.code]).toEqual([400, 'identity_refused']);
      expect(app.mailbox.all(device.email)).toHaveLength(sent);
    } finally {
      await before.close();
    }
  });

  it('a password gets no code sent to an address that is denied codes and was never proved', async () => {
    const { email } = await registered({ email: `ada-${unique()}@letters.example` });
    const recorded = await newRefusals(async () => {
      const { status, body } = await firstFactor(app, email);
      expect([status, body.codeSent]).toEqual([200, false]);
      const again = await app.http.post<Refusal>('/auth/otp', { codeToken: body.codeToken });
      expect([again.status, again.body.code]).toEqual([403, 'method_not_allowed']);
      await jobsDone();
    });
    expect(recorded).toEqual([{ purpose: 'codes', field: 'email', rule: 'deny email *@letters.example for codes' }]);
    expect(app.mailbox.all(email)).toEqual([]);
  });

  it('whoever has proved such an address before the entry came is not locked out', async () => {
    const person = await register(app);
    await signInByMail(app, person);
    const email = `ada-${unique()}@letters.example`;
    await app.sql('UPDATE users SET email = $2, email_canonical = $2 WHERE id = $1', [person.id, email]);
    await app.sql('UPDATE otp_devices SET address = $2 WHERE user_id = $1', [person.id, email]);
    expect((await firstFactor(app, email)).body.codeSent).toBe(true);
    await app.mailbox.code(email);
  });

  async function registered(identity: Record<string, unknown>): Promise<{ email: string }> {
    const email = `ada-${unique()}@example.com`;
    const { status, body } = await post({ email, ...identity });
    if (status !== 201) throw new Error(`Registering answered ${status}: ${JSON.stringify(body)}`);
    return { email, ...identity };
  }
});

describe('the honeypot', () => {
  let app: TestApp;
  let replica: TestApp;
  beforeAll(async () => {
    const settings = { ...rules, TRUSTED_PROXIES: '127.0.0.1' };
    app = await startApp(settings);
    replica = await startApp(settings, { replicaOf: app });
  });
  afterAll(async () => {
    await replica.close();
    await app.close();
  });

  const person = () => ({ email: `ada-${unique()}@example.com`, password: PASSWORD });
  const post = (address: string, extra: Record<string, unknown> = {}, at = app) =>
    at.http.post<Refusal & { id: string }>('/users', { ...person(), ...extra }, from(address));

  it('answers as ever, makes nothing, and every replica refuses the address for an hour', async () => {
    const address = '192.0.2.20';
    const usual = await post(address, { website: '' });
    const trapped = person();
    const answer = await post(address, { ...trapped, website: 'https://casino.example' });
    expect([answer.status, Object.keys(answer.body)]).toEqual([201, Object.keys(usual.body)]);
    expect(answer.body).toMatchObject({ email: trapped.email });
    expect(await app.sql('SELECT 1 FROM users WHERE email = $1', [trapped.email])).toEqual([]);

    expect([(await post(address)).body.code, (await post(address, {}, replica)).status]).toEqual([
      'address_refused',
      403,
    ]);
    for (const route of ASKED) {
      const { status } = await replica.http.post(route, { identifier: person().email }, from(address));
      expect([route, status]).toEqual([route, 403]);
    }
    expect((await post('192.0.2.21', {}, replica)).status).toBe(201);
    const events = await app.sql(
      `SELECT type, ip, details FROM audit_events WHERE type IN ('honeypot.touched', 'identity.refused') ORDER BY at LIMIT 2`,
    );
    expect(events).toEqual([
      { type: 'honeypot.touched', ip: address, details: {} },
      { type: 'identity.refused', ip: address, details: { purpose: 'registration', field: 'ip', rule: 'honeypot' } },
    ]);

    await app.clock.advance(3_590);
    expect((await post(address)).status).toBe(403);
    await app.clock.advance(20);
    expect((await post(address)).status).toBe(201);
  });

  it.each([
    ['::ffff:192.0.2.30', '192.0.2.30', 403],
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff::7', 403],
    ['2001:db8:1:4::1', '2001:db8:1:5::1', 201],
    ['203.0.113.5', '203.0.113.5', 201],
  ])('after %s has touched it, %s is answered %i', async (touched, then, status) => {
    expect((await post(touched, { website: 'x' })).status).toBe(201);
    expect((await post(then)).status).toBe(status);
  });

  it('keeps no address in clear text, and none longer than it is refused', async () => {
    await post('192.0.2.40', { website: 'x' });
    const rows = () => app.sql<{ key: Buffer }>('SELECT key FROM refused_addresses');
    expect((await rows()).every(({ key }) => key.length === 32)).toBe(true);
    await app.clock.advance(3_601);
    await app.sql(`SELECT 1 FROM graphile_worker.add_job('remove-expired-rows')`);
    await expect.poll(rows, { timeout: 8_000 }).toEqual([]);
  });
});

describe('the honeypot where addresses are proved first', () => {
  it('answers as if a code had been sent, and nothing completes it', async () => {
    const app = await startApp({ SIGNUP_VERIFIED_ONLY: 'on', TRUSTED_PROXIES: '127.0.0.1' });
    try {
      const post = (address: string, extra: Record<string, unknown>) =>
        app.http.post<{ codeToken: string }>(
          '/users',
          { email: `ada-${unique()}@example.com`, password: PASSWORD, ...extra },
          from(address),
        );
      const usual = await post('192.0.2.50', {});
      const [before] = await app.sql('SELECT count(*) FROM users');
      const trapped = await post('192.0.2.51', { email: 'trapped@example.com', website: 'x' });
      const shapeOf = ({ status, body }: Answer<object>) => [
        status,
        Object.entries(body).map(([key, value]) => [key, typeof value]),
      ];
      expect(shapeOf(trapped)).toEqual(shapeOf(usual));
      expect(await app.sql('SELECT count(*) FROM users')).toEqual([before]);
      const code = await app.http.post<Refusal>('/users/confirm', {
        codeToken: trapped.body.codeToken,
        code: '0000000',
      });
      expect([code.status, code.body.code]).toEqual([401, 'invalid_token']);
      expect(app.mailbox.all('trapped@example.com')).toEqual([]);
      expect((await post('192.0.2.51', {})).status).toBe(403);
    } finally {
      await app.close();
    }
  });
});

describe('countersign rules', () => {
  const test = (...args: string[]) => runAlone(['rules', 'test', ...args, '--json'], rules);

  it('tells without a database what would happen, by which entry, and in its exit code', async () => {
    const refused = await countersign(['rules', 'test', 'email', 'Ada@x.mailinator.com', '--json'], rules);
    const allowed = await test('email', 'boss@spam.example', '--for', 'registration');
    const premium = await test('phone', '+499001234567', '--for', 'codes');
    const denied = { allowed: false, entry: 'deny email-domain disposable', place: 'IDENTITY_RULES_FILE, line 4' };
    expect(documentOf(refused, 1)).toEqual({
      kind: 'email',
      value: 'Ada@x.mailinator.com',
      results: [
        { purpose: 'registration', ...denied },
        { purpose: 'codes', ...denied },
      ],
    });
    expect(documentOf(allowed)['results']).toEqual([
      {
        purpose: 'registration',
        allowed: true,
        entry: 'allow email boss@spam.example',
        place: 'IDENTITY_RULES, line 1, entry 1',
      },
    ]);
    expect(documentOf(premium, 1)['results']).toEqual([expect.objectContaining({ allowed: false, place: 'built in' })]);
  }, 60_000);

  it('lists the entries in their order, and says which line of a list is none', async () => {
    const broken = { IDENTITY_RULES: 'deny ip 10.0.0.0/8\ndeny email (a+)+$' };
    const listed = await runAlone(['rules', 'list', '--json'], rules);
    const refused = await runAlone(['rules', 'list', '--json'], broken);
    const nonsense = await test('ip', 'localhost');
    const { entries } = documentOf<{ entries: { place: string; entry: string }[] }>(listed);
    expect(entries.map(({ entry }) => entry)).toEqual([
      'deny email *@spam.example',
      'deny email-domain disposable',
      'deny phone +4917*',
      'deny phone-type voip',
      'deny phone-country FR for codes',
      'deny ip 198.51.100.0/24 for registration',
      'deny ip 2001:db8:bad::/48',
      ...ENVIRONMENT.split('; '),
    ]);
    expect(refusalOf(refused)).toMatchObject({
      exitCode: 1,
      code: 'configuration',
      message: expect.stringContaining('IDENTITY_RULES: line 2: the pattern must be') as unknown,
    });
    expect(refusalOf(nonsense)).toMatchObject({ exitCode: 2, code: 'usage' });
  }, 60_000);
});

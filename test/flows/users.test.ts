import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_HASHES, startApp, type TestApp } from '../support/app.js';
import { firstFactor, PASSWORD, register, signInByMail } from '../support/people.js';

interface UserBody {
  id: string;
  email: string | null;
  username: string | null;
}

interface Refusal {
  code: string;
  errors?: { field: string; messages: string[] }[];
}

const unique = () => randomBytes(5).toString('hex');

describe('registration', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp(DEFAULT_HASHES);
  });
  afterAll(() => app.close());

  const post = <Body = UserBody>(body: Record<string, unknown>) =>
    app.http.post<Body>('/users', { password: PASSWORD, ...body });

  it('answers the new user, with nothing secret about him', async () => {
    const email = `Ada-${unique()}@Example.com`;
    const { status, headers, body } = await post({ email, firstName: ' Ada ', lastName: 'Lovelace' });
    expect(status).toBe(201);
    expect(headers['cache-control']).toBe('no-store');
    expect(body).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/) as string,
      email,
      emailVerified: false,
      phoneNumber: null,
      phoneVerified: false,
      username: null,
      firstName: 'Ada',
      lastName: 'Lovelace',
      locale: null,
      profile: {},
      roles: [],
      createdAt: expect.any(String) as string,
      updatedAt: expect.any(String) as string,
    });
    const [row] = await app.sql<{ hash: string }>('SELECT password_hash AS hash FROM users WHERE id = $1', [body.id]);
    expect(row?.hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    const events = await app.sql('SELECT type FROM audit_events WHERE user_id = $1', [body.id]);
    expect(events).toEqual([{ type: 'user.created' }]);
  });

  it('E05: a taken address looks the same, makes no second user, and its owner is told', async () => {
    const email = `owner-${unique()}@example.com`;
    const first = await post({ email });
    const second = await post({ email: email.toUpperCase(), password: 'another quiet phrase', firstName: 'Eve' });

    expect(second.status).toBe(201);
    expect(Object.keys(second.body)).toEqual(Object.keys(first.body));
    expect(second.body).toMatchObject({ email: email.toUpperCase(), emailVerified: false, firstName: 'Eve' });
    expect(second.body.id).not.toBe(first.body.id);
    expect(Object.keys(second.headers).toSorted()).toEqual(Object.keys(first.headers).toSorted());

    const rows = await app.sql('SELECT id, first_name FROM users WHERE email_canonical = $1', [email]);
    expect(rows).toEqual([{ id: first.body.id, first_name: '' }]);
    const notice = await app.mailbox.next(email, /already have an account/);
    expect(notice.text).not.toContain('Eve');
    expect((await firstFactor(app, email)).body.status).toBe('second_factor_required');
    expect((await firstFactor(app, email, 'another quiet phrase')).status).toBe(401);
  });

  it('the owner of a taken address is told once a minute, however often somebody registers', async () => {
    const email = `owner-${unique()}@example.com`;
    const { body: owner } = await post({ email });
    const answers = [await post({ email }), await post({ email }), await post({ email })];
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);

    await app.clock.advance(61);
    await post({ email });
    await app.mailbox.next(email, /already have an account/);
    await app.mailbox.next(email, /already have an account/);
    expect(app.mailbox.all(email)).toHaveLength(2);
    const collisions = () =>
      app.sql(`SELECT 1 FROM audit_events WHERE user_id = $1 AND type LIKE '%collided'`, [owner.id]);
    await expect.poll(collisions).toHaveLength(4);
  });

  it('variants of one address are one account', async () => {
    const tag = unique();
    const nfc = `ren\u00e9-${tag}@b\u00fccher.example`;
    const { body: user } = await post({ email: nfc });
    const variants = [
      nfc.normalize('NFD'),
      nfc.toUpperCase(),
      ` ${nfc} `,
      `ren\u00e9-${tag}@xn--bcher-kva.example`,
      `REN\u0045\u0301-${tag}@B\u0055\u0308CHER.EXAMPLE`,
    ];
    for (const email of variants) expect((await post({ email })).status).toBe(201);

    expect(await app.sql('SELECT id FROM users WHERE email_canonical LIKE $1', [`%${tag}%`])).toEqual([
      { id: user.id },
    ]);
    for (const email of variants) {
      const { body } = await firstFactor<{ code?: string }>(app, email, 'not the password');
      expect(body.code).toBe('invalid_credentials');
    }
    const failures = await app.sql(
      `SELECT 1 FROM audit_events WHERE user_id = $1 AND details->>'reason' = 'wrong_password'`,
      [user.id],
    );
    expect(failures).toHaveLength(variants.length);
  });

  it('a tag or a dot in the local part is another address', async () => {
    const tag = unique();
    for (const email of [`a.${tag}@example.com`, `a${tag}@example.com`, `a${tag}+news@example.com`]) {
      await post({ email });
    }
    expect(await app.sql('SELECT 1 FROM users WHERE email_canonical LIKE $1', [`%${tag}%`])).toHaveLength(3);
  });

  it('a username is an identity too, and its variants are one account', async () => {
    const username = `Ada-${unique()}`;
    const { status, body } = await post({ username });
    expect([status, body.username, body.email]).toEqual([201, username, null]);
    const fullWidth = username.replace('Ada', '\uff21\uff24\uff21');
    for (const variant of [username.toLowerCase(), ` ${username}`, fullWidth]) {
      expect((await post({ username: variant })).status).toBe(201);
    }
    const rows = await app.sql('SELECT id FROM users WHERE username_canonical = $1', [username.toLowerCase()]);
    expect(rows).toEqual([{ id: body.id }]);
  });

  it('a user with both signs in with either; a taken username tells its owner at his address', async () => {
    const email = `ada-${unique()}@example.com`;
    const username = `ada-${unique()}`;
    await post({ email, username });
    expect((await firstFactor(app, username)).status).toBe(200);
    await app.mailbox.code(email);
    await app.clock.advance(61);
    await post({ username: username.toUpperCase(), email: `eve-${unique()}@example.com` });
    await app.mailbox.next(email, /already have an account/);
    expect(await app.sql('SELECT 1 FROM users WHERE username_canonical = $1', [username])).toHaveLength(1);
  });

  it('R22: parallel registrations of one address make one user', async () => {
    const url = await app.listen();
    const email = `race-${unique()}@example.com`;
    const answers = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const response = await fetch(`${url}/api/v1/users`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ email: index % 2 === 0 ? email : email.toUpperCase(), password: PASSWORD }),
        });
        return { status: response.status, user: (await response.json()) as UserBody };
      }),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    expect(new Set(answers.map(({ user }) => user.id)).size).toBe(12);
    const users = await app.sql<{ id: string }>('SELECT id FROM users WHERE email_canonical = $1', [email]);
    expect(users).toHaveLength(1);
    const told = () =>
      app.sql(
        `SELECT type, count(*)::int FROM audit_events
         WHERE user_id = $1 AND type <> 'message.delivery' GROUP BY type ORDER BY type`,
        [users[0]?.id],
      );
    await expect.poll(told).toEqual([
      { type: 'user.created', count: 1 },
      { type: 'user.registration-collided', count: 11 },
    ]);
  });

  it.each<[why: string, body: Record<string, unknown>, field: string, message: string]>([
    ['no identity', {}, 'email', 'is required, unless phoneNumber or username is given'],
    ['no address', { email: 'ada' }, 'email', 'must be an e-mail address'],
    ['two addresses', { email: 'a@example.com,b@example.com' }, 'email', 'must be an e-mail address'],
    ['a header in it', { email: 'a@example.com\r\nBcc: b@example.com' }, 'email', 'must be an e-mail address'],
    ['null', { email: null }, 'email', 'email must be a string'],
    ['a list', { email: ['a@example.com'] }, 'email', 'email must be a string'],
    ['no username', { username: 'a b' }, 'username', 'must be 1 to 64 letters, digits, dots, dashes or underscores'],
    [
      'an address as a username',
      { username: 'a@example.com' },
      'username',
      'must be 1 to 64 letters, digits, dots, dashes or underscores',
    ],
    [
      'a short password',
      { email: 'a@example.com', password: 'qzv7-tl' },
      'password',
      'must have at least 8 characters',
    ],
    [
      'a long password',
      { email: 'a@example.com', password: 'zq'.repeat(65) },
      'password',
      'must have at most 128 characters',
    ],
    [
      'a common password',
      { email: 'a@example.com', password: 'Password' },
      'password',
      'is one of the most common passwords; choose another',
    ],
    [
      'one character',
      { email: 'a@example.com', password: 'zzzzzzzzzz' },
      'password',
      'is one character repeated; choose another',
    ],
    [
      'the own address',
      { email: 'ada.lovelace@example.com', password: 'Ada.Lovelace' },
      'password',
      'is your own address or name; choose another',
    ],
    [
      'the own username',
      { username: 'ada_1815', password: 'ADA_1815' },
      'password',
      'is your own address or name; choose another',
    ],
    ['M01: a role', { email: 'a@example.com', roles: ['admin'] }, 'roles', 'property roles should not exist'],
    [
      'M01: a verified address',
      { email: 'a@example.com', emailVerified: true },
      'emailVerified',
      'property emailVerified should not exist',
    ],
  ])('refuses %s', async (_why, body, field, message) => {
    const before = await app.sql('SELECT count(*) FROM users');
    const refused = await post<Refusal>(body);
    expect([refused.status, refused.body.code]).toEqual([400, 'validation_failed']);
    expect(refused.body.errors?.map((error) => error.field)).toEqual([field]);
    expect(refused.body.errors?.[0]?.messages).toContain(message);
    expect(refused.text).not.toContain('zzzz');
    expect(await app.sql('SELECT count(*) FROM users')).toEqual(before);
  });

  it('I08: a password of 128 code points, composed or not, is one password', async () => {
    const email = `ada-${unique()}@example.com`;
    const password = ' ' + 'e\u0301'.repeat(64) + '\u{1f9ed}'.repeat(63);
    expect((await post({ email, password })).status).toBe(201);
    expect((await firstFactor(app, email, password.normalize('NFC'))).status).toBe(200);
    expect((await firstFactor(app, email, password.trim())).status).toBe(401);
    const changedAtTheEnd = password.slice(0, -2) + '\u{1f418}';
    expect((await firstFactor(app, email, changedAtTheEnd)).status).toBe(401);
  });
});

describe('the profile', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  it('is shown and changed by its user, names only', async () => {
    const person = await register(app, { firstName: 'Ada' });
    const { accessToken: token } = await signInByMail(app, person);
    const changed = await app.http.patch('/users/me', { firstName: ' Augusta ', lastName: 'King' }, { token });
    expect(changed.body).toMatchObject({ id: person.id, firstName: 'Augusta', lastName: 'King' });
    const { body: emptied } = await app.http.patch('/users/me', { lastName: '' }, { token });
    expect(emptied).toMatchObject({ firstName: 'Augusta', lastName: '' });
    const me = await app.http.get('/users/me', { token });
    expect(me.body).toEqual(emptied);
    const events = await app.sql(
      `SELECT details FROM audit_events WHERE user_id = $1 AND type = 'user.updated' ORDER BY id`,
      [person.id],
    );
    expect(events).toEqual([{ details: { fields: ['firstName', 'lastName'] } }, { details: { fields: ['lastName'] } }]);
  });

  it('an empty change changes nothing', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    const { body: before } = await app.http.get('/users/me', { token });
    const { status, body } = await app.http.patch('/users/me', {}, { token });
    expect([status, body]).toEqual([200, before]);
  });

  it('M01: nothing about identity, roles or security can be set there', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    const row = () => app.sql('SELECT * FROM users WHERE id = $1', [person.id]);
    const before = await row();
    const properties = {
      id: person.id,
      emailVerified: true,
      roles: ['admin'],
      isAdmin: true,
      active: false,
      password: 'another quiet phrase',
      passwordHash: 'x',
      twoFactorRequired: false,
      preferredMethod: 'none',
      epoch: 0,
      createdAt: '2000-01-01T00:00:00Z',
    };
    for (const [field, value] of Object.entries(properties)) {
      const { status, body } = await app.http.patch<Refusal>('/users/me', { [field]: value }, { token });
      expect([field, status, body.errors?.[0]?.field]).toEqual([field, 400, field]);
    }
    expect(await row()).toEqual(before);
  });

  it('T10: is closed at once to a user who was deactivated', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    await app.sql('UPDATE users SET active = false WHERE id = $1', [person.id]);
    const answers = [
      await app.http.get('/users/me', { token }),
      await app.http.patch('/users/me', { firstName: 'x' }, { token }),
      await app.http.get('/users/me/two-factor', { token }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401]);
    const signIn = await firstFactor<{ code: string }>(app, person.email);
    expect([signIn.status, signIn.body.code]).toEqual([401, 'invalid_credentials']);
  });
});

describe('what the deployment chose', () => {
  it('REVEAL_EXISTING_ACCOUNTS=on answers 409 for a taken address or name', async () => {
    const app = await startApp({ REVEAL_EXISTING_ACCOUNTS: 'on' });
    try {
      const email = `ada-${unique()}@example.com`;
      const username = `ada-${unique()}`;
      await app.http.post('/users', { email, username, password: PASSWORD });
      for (const taken of [{ email: email.toUpperCase() }, { username: username.toUpperCase() }]) {
        const { status, body } = await app.http.post('/users', { ...taken, password: PASSWORD });
        expect([status, body['code']]).toEqual([409, 'identity_taken']);
      }
      const notice = await app.mailbox.next(email, /already have an account/);
      expect(notice.text).not.toContain('was not told');
      expect(await app.sql('SELECT 1 FROM users')).toHaveLength(1);
    } finally {
      await app.close();
    }
  });

  it('SIGNUP_ALLOWED=off refuses everybody alike', async () => {
    const app = await startApp({ SIGNUP_ALLOWED: 'off' });
    try {
      const { status, body } = await app.http.post('/users', { email: 'ada@example.com', password: PASSWORD });
      expect([status, body['code']]).toEqual([403, 'registration_closed']);
      expect(await app.sql('SELECT 1 FROM users')).toHaveLength(0);
    } finally {
      await app.close();
    }
  });

  it('PASSWORD_MIN_LENGTH is what the message says', async () => {
    const app = await startApp({ PASSWORD_MIN_LENGTH: '15' });
    try {
      const { body } = await app.http.post<Refusal>('/users', { email: 'ada@example.com', password: 'fourteen chars' });
      expect(body.errors).toEqual([{ field: 'password', messages: ['must have at least 15 characters'] }]);
    } finally {
      await app.close();
    }
  });
});

import { AsyncLocalStorage } from 'node:async_hooks';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AdminUsers } from '../../src/admin/admin-users.service.js';
import { VerifiedRegistration } from '../../src/registration/verified-registration.service.js';
import { countSituations } from '../../src/two-factor/situations.queries.js';
import { startApp, type TestApp } from '../support/app.js';
import type { Answer } from '../support/http.js';
import { firstFactor, PASSWORD, secondFactor, type SignedIn } from '../support/people.js';

const OPTIONAL_SECOND_FACTOR = { TWO_FACTOR_TRUSTED_METHODS: 'none,email,sms,totp' };
const PHONE = '+4915112345636';
/** A session without a second factor, for who has only a username. */
const withPassword = (app: TestApp, identifier: string) => firstFactor<SignedIn>(app, identifier);

interface Started {
  codeToken: string;
  expiresIn: number;
  codeSent: boolean;
  resendIn: number;
  device: { id: string; type: string; name: string; label: string };
}

interface Device {
  id: string;
  type: string;
  label: string;
  confirmed: boolean;
}

/** Everything of an answer that may not tell one case from another. */
function visible({ status, headers, body }: Answer<object>) {
  const { 'x-request-id': _id, date: _date, 'content-length': _length, ...comparable } = headers;
  return { status, headers: comparable, properties: Object.keys(body) };
}

describe('S4.24: a registration sends the code at once', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ ...OPTIONAL_SECOND_FACTOR, AUTO_SEND_IDENTITY_VERIFICATION_OTP: 'on' });
  });
  afterAll(() => app.close());

  it('which proves the address and signs in', async () => {
    const email = 'ada@example.com';
    const registered = await app.http.post('/users', { email, password: PASSWORD });
    expect([registered.status, registered.body['emailVerified']]).toEqual([201, false]);
    const code = await app.mailbox.code(email);
    const { status, body } = await app.http.post<SignedIn>('/auth/token', { identifier: email, code });
    expect([status, body.status, body.user.emailVerified]).toEqual([200, 'authenticated', true]);
  });

  it('to a phone just so', async () => {
    await app.http.post('/users', { phoneNumber: PHONE });
    const { body } = await app.http.post<SignedIn>('/auth/token', {
      identifier: PHONE,
      code: await app.mailbox.smsCode(PHONE),
    });
    expect(body).toMatchObject({ status: 'authenticated', user: { phoneVerified: true } });
  });

  it('E05: the owner of a taken address gets a notice instead, and the answer is the same', async () => {
    const email = 'taken@example.com';
    const first = await app.http.post('/users', { email, password: PASSWORD });
    await app.mailbox.code(email);
    await app.clock.advance(61);
    const second = await app.http.post('/users', { email: 'TAKEN@Example.com', password: 'another quiet phrase' });
    expect(visible(second)).toEqual(visible(first));
    await app.mailbox.next(email, /already have an account/);
    expect(app.mailbox.all(email)).toHaveLength(2);
    expect(await app.sql('SELECT 1 FROM users WHERE email_canonical = $1', [email])).toHaveLength(1);
  });
});

describe('S4.22: only who proves his address gets an account', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ ...OPTIONAL_SECOND_FACTOR, SIGNUP_VERIFIED_ONLY: 'on' });
  });
  afterAll(() => app.close());

  const start = (body: Record<string, unknown>) => app.http.post<Started>('/users', { password: PASSWORD, ...body });
  const confirm = <Body = SignedIn>(codeToken: string, code: string) =>
    app.http.post<Body>('/users/confirm', { codeToken, code });
  const accountsOf = (email: string) => app.sql('SELECT id FROM users WHERE email_canonical = $1', [email]);
  const waiting = () => app.sql('SELECT id FROM users WHERE registering_until IS NOT NULL');

  async function account(email: string): Promise<void> {
    const { body } = await start({ email });
    expect((await confirm(body.codeToken, await app.mailbox.code(email))).status).toBe(200);
    await app.clock.advance(61);
  }

  it('the code makes the account and signs in; before there is nothing to sign in to', async () => {
    const email = 'Ada@example.com';
    const { status, body } = await start({ email, username: 'ada', firstName: 'Ada' });
    expect([status, body]).toEqual([
      202,
      {
        codeToken: expect.any(String) as string,
        expiresIn: 300,
        codeSent: true,
        resendIn: 60,
        device: { id: expect.any(String) as string, type: 'email', name: '', label: 'a•••@example.com' },
      },
    ]);
    for (const identifier of [email, 'ada']) expect((await firstFactor(app, identifier)).status).toBe(401);
    expect(await app.sql(`SELECT 1 FROM audit_events WHERE type = 'user.created'`)).toEqual([]);

    const confirmed = await confirm(body.codeToken, await app.mailbox.code('ada@example.com'));
    expect(confirmed.status).toBe(200);
    expect(confirmed.body).toMatchObject({
      status: 'authenticated',
      user: { email: 'ada@example.com', emailVerified: true, username: 'ada', firstName: 'Ada' },
    });
    expect((await app.http.get('/users/me', { token: confirmed.body.accessToken })).status).toBe(200);
    const created = await app.sql(`SELECT user_id FROM audit_events WHERE type = 'user.created'`);
    expect(created).toEqual([{ user_id: confirmed.body.user.id }]);
    // The code was the first factor of this sign-in; the mailbox is asked for as the second one from now on.
    expect((await withPassword(app, 'ada')).body.status).toBe('second_factor_required');
    expect((await confirm<{ code: string }>(body.codeToken, '1234567')).body.code).toBe('token_already_used');
  });

  it('a phone is proved in the same way', async () => {
    const { body } = await start({ phoneNumber: PHONE });
    expect(body.device.type).toBe('sms');
    const confirmed = await confirm(body.codeToken, await app.mailbox.smsCode(PHONE));
    expect(confirmed.body).toMatchObject({ status: 'authenticated', user: { phoneVerified: true } });
  });

  it('a code proves one address: two are refused, and none', async () => {
    const fields = async (body: Record<string, unknown>) => {
      const { status, body: problem } = await app.http.post<{ errors: { field: string }[] }>('/users', body);
      return [status, problem.errors.map(({ field }) => field)];
    };
    expect(await fields({ email: 'two@example.com', phoneNumber: PHONE })).toEqual([400, ['phoneNumber']]);
    expect(await fields({ username: 'lonely' })).toEqual([400, ['email']]);
  });

  it('E05: a taken address, in any spelling, looks the same at every step, and its owner is told', async () => {
    const email = 'rené@example.com';
    await account(email);
    const free = await start({ email: 'free@example.com' });
    await app.mailbox.code('free@example.com');
    const taken = await start({ email: 'REN\u0045\u0301@Example.com', password: 'another quiet phrase' });
    expect(visible(taken)).toEqual(visible(free));
    expect({ ...taken.body, codeToken: '', device: '' }).toEqual({ ...free.body, codeToken: '', device: '' });
    await app.mailbox.next(email, /already have an account/);

    // Asked again, it is told again; a code never goes out.
    await app.clock.advance(61);
    const again = await Promise.all(
      [free, taken].map(({ body }) => app.http.post('/auth/otp', { codeToken: body.codeToken })),
    );
    expect(visible(again[1] as Answer)).toEqual(visible(again[0] as Answer));
    await app.mailbox.next(email, /already have an account/);
    expect(app.mailbox.all(email).filter(({ subject }) => /code/.test(subject))).toHaveLength(1);

    for (let guess = 0; guess < 5; guess += 1) {
      for (const { body } of [free, taken]) {
        const { status, body: refusal } = await confirm<{ code: string }>(body.codeToken, 'AAAAAAA');
        expect([status, refusal.code]).toEqual([401, 'invalid_code']);
      }
      await app.clock.advance(3);
    }
    const last = await Promise.all(
      [free, taken].map(({ body }) => confirm<{ code: string }>(body.codeToken, 'AAAAAAA')),
    );
    expect(last.map(({ body }) => body.code)).toEqual(['too_many_attempts', 'too_many_attempts']);
    expect(await accountsOf(email)).toHaveLength(1);
    expect(app.mailbox.all(email).filter(({ subject }) => /Wrong/.test(subject))).toEqual([]);
  });

  it('E05: and costs the same statements', async () => {
    await account('costly@example.com');
    const followed = new AsyncLocalStorage<string[]>();
    const log = vi.spyOn(app.app.get(DataSource).logger, 'logQuery');
    log.mockImplementation((statement) => void followed.getStore()?.push(statement));
    const costOf = async (email: string) => {
      const statements: string[] = [];
      await followed.run(statements, () => start({ email }));
      return statements;
    };
    const free = await costOf('costless@example.com');
    const taken = await costOf('costly@example.com');
    log.mockRestore();
    expect(free.length).toBeGreaterThan(5);
    expect(taken.toSorted()).toEqual(free.toSorted());
  });

  it('several may register with an address that nobody has; who proves it first has it, the others are gone', async () => {
    const email = 'wanted@example.com';
    const people: { codeToken: string; code: string }[] = [];
    for (const password of ['first quiet phrase', 'second quiet phrase', 'third quiet phrase']) {
      const { body } = await start({ email, password });
      people.push({ codeToken: body.codeToken, code: await app.mailbox.code(email) });
      await app.clock.advance(61);
    }
    const before = await waiting();
    const answers = await Promise.all(people.map(({ codeToken, code }) => confirm<{ code?: string }>(codeToken, code)));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409]);
    expect(answers.find(({ status }) => status === 409)?.body.code).toBe('identity_taken');
    expect(await accountsOf(email)).toHaveLength(1);
    expect((await waiting()).length).toBe(before.length - 3);
  });

  it('a username that somebody took meanwhile is told to who has proved the address', async () => {
    const { body } = await start({ email: 'late@example.com', username: 'ada' });
    const { status, body: refusal } = await confirm<{ code: string }>(
      body.codeToken,
      await app.mailbox.code('late@example.com'),
    );
    expect([status, refusal.code]).toEqual([409, 'identity_taken']);
    expect(await accountsOf('late@example.com')).toEqual([]);
  });

  it('its code completes no sign-in', async () => {
    const { body } = await start({ email: 'crossed@example.com' });
    const code = await app.mailbox.code('crossed@example.com');
    const crossed = await secondFactor<{ code: string }>(app, body.codeToken, code);
    expect([crossed.status, crossed.body.code]).toEqual([401, 'invalid_token']);
    expect((await confirm(body.codeToken, code)).status).toBe(200);
  });

  it('what waits for its proof is in no list and no preview, and is removed a day later', async () => {
    await start({ email: 'idle@example.com' });
    const users = app.app.get(AdminUsers);
    const query = { limit: 200, sort: '-createdAt' } as const;
    const accounts = await users.list(query);
    const registering = await users.list({ ...query, registering: true });
    expect(registering.items.map(({ id }) => id).toSorted()).toEqual((await waiting()).map(({ id }) => id).toSorted());
    expect(accounts.items.filter(({ id }) => registering.items.some((other) => other.id === id))).toEqual([]);
    const situations = await countSituations(app.app.get(DataSource).manager, { level: 'global' });
    expect(situations.reduce((sum, { users: number }) => sum + number, 0)).toBe(accounts.items.length);

    await app.app.get(VerifiedRegistration).removeOverdue();
    expect((await waiting()).length).toBe(registering.items.length);
    await app.clock.advance(86_400);
    await app.app.get(VerifiedRegistration).removeOverdue();
    expect(await waiting()).toEqual([]);
    expect((await users.list(query)).items).toHaveLength(accounts.items.length);
  });

  it('a crowd of them, too many for one job, is left to the next one', async () => {
    await start({ email: 'idle@example.com' });
    await app.sql(
      `INSERT INTO users SELECT (jsonb_populate_record(u, jsonb_build_object('id', gen_random_uuid()))).*
       FROM users u, generate_series(1, 1500) WHERE registering_until IS NOT NULL`,
    );
    await app.clock.advance(86_400);
    await app.app.get(VerifiedRegistration).removeOverdue(0);
    await expect.poll(waiting, { timeout: 10_000 }).toEqual([]);
  });
});

it('REVEAL_EXISTING_ACCOUNTS=on tells about a taken address before any code is sent', async () => {
  const app = await startApp({ SIGNUP_VERIFIED_ONLY: 'on', REVEAL_EXISTING_ACCOUNTS: 'on' });
  try {
    const email = 'ada@example.com';
    const { body } = await app.http.post<Started>('/users', { email, password: PASSWORD });
    await app.http.post('/users/confirm', { codeToken: body.codeToken, code: await app.mailbox.code(email) });
    const refused = await app.http.post('/users', { email: 'ADA@example.com', password: PASSWORD });
    expect([refused.status, refused.body['code']]).toEqual([409, 'identity_taken']);
  } finally {
    await app.close();
  }
});

describe('P09: where a second factor is demanded', () => {
  it('a proved address opens its enrollment, and nothing else', async () => {
    const app = await startApp({ SIGNUP_VERIFIED_ONLY: 'on' });
    try {
      const email = 'ada@example.com';
      const { body } = await app.http.post<Started>('/users', { email, password: PASSWORD });
      const code = await app.mailbox.code(email);
      const confirmed = await app.http.post('/users/confirm', { codeToken: body.codeToken, code });
      expect([confirmed.body['status'], confirmed.body['accessToken']]).toEqual(['enrollment_required', undefined]);
    } finally {
      await app.close();
    }
  });
});

describe('S4.23: an address stays off its user until a device with it is confirmed', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({
      ...OPTIONAL_SECOND_FACTOR,
      DEFER_IDENTITY_UPDATE: 'on',
      REQUIRED_FIELDS: 'username',
      CODE_RESEND_COOLDOWN: 'off',
      SEND_PER_DESTINATION: 'off',
    });
  });
  afterAll(() => app.close());

  const registerAs = (username: string, body: Record<string, unknown>) =>
    app.http.post('/users', { username, password: PASSWORD, ...body });
  const devicesOf = async (token: string) =>
    (await app.http.get<{ items: Device[] }>('/otp-devices', { token })).body.items;
  const confirm = (token: string, id: string, code: string) =>
    app.http.post<{ code?: string }>(`/otp-devices/${id}/confirm`, { code }, { token });

  it('the user signs in by his name, finds the device, and gets his address by its code', async () => {
    const email = 'ada@example.com';
    const registered = await registerAs('ada', { email, phoneNumber: PHONE });
    expect(registered.body).toMatchObject({ username: 'ada', email: null, phoneNumber: null });
    expect((await firstFactor(app, email)).status).toBe(401);

    // Longer than any other pending device would wait.
    await app.clock.advance(7_200);
    const { body: session } = await withPassword(app, 'ada');
    const token = session.accessToken;
    const devices = await devicesOf(token);
    expect(devices.map(({ type, confirmed }) => ({ type, confirmed }))).toEqual([
      { type: 'email', confirmed: false },
      { type: 'sms', confirmed: false },
    ]);
    const same = await app.http.post<Device>('/otp-devices', { type: 'email', email }, { token });
    expect([same.status, same.body.id]).toEqual([201, devices[0]?.id]);
    expect((await confirm(token, same.body.id, await app.mailbox.code(email))).status).toBe(200);

    const { body: me } = await app.http.get('/users/me', { token });
    expect(me).toMatchObject({ email, emailVerified: true, phoneNumber: null });
    expect((await firstFactor(app, email)).status).toBe(200);
    await app.mailbox.code(email);
    await app.http.post(`/otp-devices/${devices[1]?.id ?? ''}/challenge`, undefined, { token });
    await confirm(token, devices[1]?.id ?? '', await app.mailbox.smsCode(PHONE));
    expect((await app.http.get('/users/me', { token })).body).toMatchObject({
      phoneNumber: PHONE,
      phoneVerified: true,
    });
  });

  it('asking for the same device again does not shorten its day', async () => {
    const email = 'patient@example.com';
    await registerAs('patient', { email });
    const { body: first } = await withPassword(app, 'patient');
    await app.http.post('/otp-devices', { type: 'email', email }, { token: first.accessToken });
    await app.clock.advance(3_600);
    const { body: session } = await withPassword(app, 'patient');
    const [device] = await devicesOf(session.accessToken);
    const asked = await app.http.post(`/otp-devices/${device?.id ?? ''}/challenge`, undefined, {
      token: session.accessToken,
    });
    expect(asked.status).toBe(202);
  });

  it('the device that waits for it is gone a day later', async () => {
    await registerAs('slow', { email: 'slow@example.com' });
    await app.clock.advance(86_401);
    const { body } = await withPassword(app, 'slow');
    expect(await devicesOf(body.accessToken)).toEqual([]);
  });

  it('R22: of five who confirm one address at once exactly one gets it; the others are told, and their devices are void', async () => {
    const email = 'wanted@example.com';
    const people: { token: string; id: string; code: string }[] = [];
    for (const username of ['wants-a', 'wants-b', 'wants-c', 'wants-d', 'wants-e']) {
      await registerAs(username, { email });
      const { body: session } = await withPassword(app, username);
      const token = session.accessToken;
      const { body: device } = await app.http.post<Device>('/otp-devices', { type: 'email', email }, { token });
      people.push({ token, id: device.id, code: await app.mailbox.code(email) });
    }
    const answers = await Promise.all(people.map(({ token, id, code }) => confirm(token, id, code)));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409, 409]);
    const losers = answers.filter(({ status }) => status === 409);
    expect(losers.map(({ body }) => body.code)).toEqual(losers.map(() => 'identity_taken'));
    const owners = await app.sql('SELECT id FROM users WHERE email_canonical = $1', [email]);
    expect(owners).toHaveLength(1);
    const left = await app.sql(`SELECT user_id AS id FROM otp_devices WHERE address = $1`, [email]);
    expect(left).toEqual(owners);
  });

  it('the owner of an address is not bothered by a claim, and keeps it', async () => {
    await registerAs('claims', { email: 'ada@example.com' });
    const { body: session } = await withPassword(app, 'claims');
    const token = session.accessToken;
    const { body: device } = await app.http.post<Device>(
      '/otp-devices',
      { type: 'email', email: 'ada@example.com' },
      { token },
    );
    const refused = await confirm(token, device.id, await app.mailbox.code('ada@example.com'));
    expect([refused.status, refused.body.code]).toEqual([409, 'identity_taken']);
    expect(app.mailbox.all('ada@example.com').filter(({ subject }) => /already have/.test(subject))).toEqual([]);
  });

  it('E05: a taken username looks the same, and its owner is told', async () => {
    const first = await registerAs('unique-name', { email: 'unique@example.com' });
    const second = await registerAs('ADA', { email: 'unique@example.com' });
    expect(visible(second)).toEqual(visible(first));
    const { text } = await app.mailbox.next('ada@example.com', /already have an account/);
    expect(text).not.toContain('with this e-mail address');
    expect(text).toContain('a username that is yours');
    expect(await app.sql(`SELECT 1 FROM users WHERE username_canonical = 'ada'`)).toHaveLength(1);
  });
});

it('S4.23 with S4.24: the code goes out with the registration', async () => {
  const app = await startApp({
    ...OPTIONAL_SECOND_FACTOR,
    DEFER_IDENTITY_UPDATE: 'on',
    AUTO_SEND_IDENTITY_VERIFICATION_OTP: 'on',
    REQUIRED_FIELDS: 'username',
  });
  try {
    await app.http.post('/users', { username: 'ada', email: 'ada@example.com', password: PASSWORD });
    const code = await app.mailbox.code('ada@example.com');
    const { body: session } = await withPassword(app, 'ada');
    const token = session.accessToken;
    const { body } = await app.http.get<{ items: Device[] }>('/otp-devices', { token });
    const confirmed = await app.http.post(`/otp-devices/${body.items[0]?.id ?? ''}/confirm`, { code }, { token });
    expect(confirmed.status).toBe(200);
    expect((await app.http.get('/users/me', { token })).body).toMatchObject({ email: 'ada@example.com' });
  } finally {
    await app.close();
  }
});

describe('OTP_SEND_UNAUTHORIZED_USER=off: codes and links are sent to who is signed in', () => {
  let app: TestApp;
  let token: string;
  beforeAll(async () => {
    app = await startApp({ ...OPTIONAL_SECOND_FACTOR, OTP_SEND_UNAUTHORIZED_USER: 'off' });
    await app.http.post('/users', { email: 'ada@example.com', username: 'ada', password: PASSWORD });
    await app.http.post('/users', { email: 'eve@example.com', password: PASSWORD });
    const { body } = await firstFactor(app, 'ada');
    token = (await secondFactor(app, body.codeToken, await app.mailbox.code('ada@example.com'))).body.accessToken;
    await app.clock.advance(61);
  });
  afterAll(() => app.close());

  it.each(['/auth/otp', '/auth/magic-link'])('%s', async (path) => {
    const ask = async (identifier: string, bearer?: string) => {
      const { status, body } = await app.http.post(path, { identifier }, { token: bearer });
      return [status, body['code']];
    };
    expect(await ask('ada@example.com')).toEqual([401, 'authentication_required']);
    expect(await ask('nobody@example.com')).toEqual([401, 'authentication_required']);
    expect(await ask('eve@example.com', token)).toEqual([401, 'authentication_required']);
    expect(await ask('nobody@example.com', token)).toEqual([401, 'authentication_required']);
    expect(await ask('ada@example.com', token)).toEqual([202, undefined]);
    await app.clock.advance(61);
  });

  it('a sign-in that has begun may still ask again', async () => {
    const { body } = await firstFactor(app, 'eve@example.com');
    await app.clock.advance(61);
    expect((await app.http.post('/auth/otp', { codeToken: body.codeToken })).status).toBe(202);
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { magicLink, tokenOf } from '../support/links.js';
import { firstFactor, PASSWORD, personWithTotp, register, signInByMail } from '../support/people.js';
import type { SignedIn } from '../support/people.js';

interface Refusal {
  code: string;
}

interface Me {
  email: string | null;
  emailVerified: boolean;
  phoneNumber: string | null;
  phoneVerified: boolean;
  username: string | null;
}

const PHONE = '+4915112345636';

/** Adds the address as a device and confirms it. */
async function confirmDevice(app: TestApp, token: string, address: string): Promise<string> {
  const isPhone = address.startsWith('+');
  const wanted = isPhone ? { type: 'sms', phoneNumber: address } : { type: 'email', email: address };
  const { body } = await app.http.post<{ id: string }>('/otp-devices', wanted, { token });
  const code = isPhone ? await app.mailbox.smsCode(address) : await app.mailbox.code(address.toLowerCase());
  const confirmed = await app.http.post(`/otp-devices/${body.id}/confirm`, { code }, { token });
  expect(confirmed.status).toBe(200);
  return body.id;
}

const change = (app: TestApp, token: string, body: object) =>
  app.http.patch<Me & Refusal>('/users/me', body, { token });

describe('S4.7: an address changes to one that was confirmed as a device', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  it('and to no other; the old one is told, and what was open for it is void', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    const wanted = `New-${person.email}`;
    const refused = await change(app, token, { email: wanted });
    expect([refused.status, refused.body.code]).toEqual([409, 'address_not_confirmed']);

    await confirmDevice(app, token, wanted);
    await app.clock.advance(61);
    const link = await magicLink(app, person.email);
    const changed = await change(app, token, { email: wanted });
    expect([changed.status, changed.body]).toMatchObject([200, { email: wanted, emailVerified: true }]);

    const { text } = await app.mailbox.next(person.email, /An address of your account was changed/);
    expect(text).toContain('The e-mail address of your account was changed.');
    expect(text).not.toContain(wanted);
    const redeemed = await app.http.post<Refusal>('/auth/magic-link/redeem', { token: tokenOf(link) });
    expect([redeemed.status, redeemed.body.code]).toEqual([400, 'invalid_link']);
    const events = await app.sql(
      `SELECT details FROM audit_events WHERE user_id = $1 AND type = 'user.address-changed'`,
      [person.id],
    );
    expect(events).toEqual([{ details: { field: 'email', removed: false } }]);
    expect((await firstFactor(app, person.email)).status).toBe(401);
    expect((await firstFactor(app, wanted)).status).toBe(200);
  });

  it('somebody else’s device proves nothing', async () => {
    const [one, other] = [await register(app), await register(app)];
    const { accessToken: token } = await signInByMail(app, other);
    await confirmDevice(app, token, `device-${other.email}`);
    const { accessToken: thief } = await signInByMail(app, one);
    expect((await change(app, thief, { email: `device-${other.email}` })).body.code).toBe('address_not_confirmed');
  });

  it('nor does a device that waits for its code', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    const email = `pending-${person.email}`;
    await app.http.post('/otp-devices', { type: 'email', email }, { token });
    expect((await change(app, token, { email })).body.code).toBe('address_not_confirmed');
  });

  it('an address that is somebody’s stays his', async () => {
    const [owner, person] = [await register(app), await register(app)];
    const { accessToken: token } = await signInByMail(app, person);
    // He reads that mailbox too, so he may use it as a second factor; the account is another's.
    await confirmDevice(app, token, owner.email);
    const refused = await change(app, token, { firstName: 'Eve', email: owner.email.toUpperCase() });
    expect([refused.status, refused.body.code]).toEqual([409, 'identity_taken']);
    expect(await app.sql('SELECT email, first_name FROM users WHERE id = $1', [person.id])).toEqual([
      { email: person.email, first_name: '' },
    ]);
  });

  it('needs a recent proof, which names do not', async () => {
    const person = await personWithTotp(app);
    const token = person.session.accessToken;
    await app.clock.advance(241);
    expect((await change(app, token, { firstName: 'Ada' })).status).toBe(200);
    for (const body of [{ email: 'x@example.com' }, { phoneNumber: PHONE }, { username: 'x' }, { email: null }]) {
      const refused = await change(app, token, body);
      expect([refused.status, refused.body.code]).toEqual([401, 'insufficient_user_authentication']);
    }
  });

  it('a confirmed phone fills the number that was empty, and only an empty one', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    await confirmDevice(app, token, PHONE);
    const { body: me } = await app.http.get<Me>('/users/me', { token });
    expect(me).toMatchObject({ phoneNumber: PHONE, phoneVerified: true, email: person.email });
    await confirmDevice(app, token, '+4915112345637');
    expect((await app.http.get<Me>('/users/me', { token })).body.phoneNumber).toBe(PHONE);
    expect((await change(app, token, { phoneNumber: '+49 151 12345637' })).body.phoneNumber).toBe('+4915112345637');
    const { text } = await app.mailbox.next(person.email, /An address of your account/);
    expect(text).toContain('The phone number of your account was changed.');
  });

  it('the last identity stays, and the address that the second factor is asked at', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    expect((await change(app, token, { email: null })).body.code).toBe('identity_needed');

    const username = `ada-${person.id.slice(-8)}`;
    await app.http.patch('/users/me', { username }, { token });
    // The confirmed mailbox is a device of its own now, so the address may go; the device stays.
    const removed = await change(app, token, { email: null });
    expect([removed.status, removed.body]).toMatchObject([200, { email: null, emailVerified: false, username }]);
    await app.mailbox.next(person.email, /An address of your account/);
    expect((await firstFactor(app, person.email)).status).toBe(401);
    expect((await firstFactor(app, username)).status).toBe(200);
  });

  it('a username changes too, to one that nobody has and that looks like nobody’s', async () => {
    const [owner, person] = [await register(app, { username: 'marvin' }), await register(app, { username: 'before' })];
    const { accessToken: token } = await signInByMail(app, person);
    for (const taken of ['Marvin', 'rnarvin', 'm\u0430rvin']) {
      const refused = await change(app, token, { username: taken });
      expect([taken, refused.status]).toEqual([taken, taken === 'm\u0430rvin' ? 400 : 409]);
    }
    expect((await change(app, token, { username: 'Zaphod' })).body.username).toBe('Zaphod');
    expect((await firstFactor(app, 'zaphod')).status).toBe(200);
    expect((await firstFactor(app, 'before')).status).toBe(401);
    expect((await firstFactor(app, owner.email)).status).toBe(200);
  });
});

describe('where a second factor can be asked at the address alone', () => {
  it('it stays as long as one is demanded', async () => {
    const app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp' });
    try {
      const person = await register(app, { username: 'ada' });
      const { accessToken: token } = await signInByMail(app, person);
      const { body } = await app.http.get<{ items: { id: string }[] }>('/otp-devices', { token });
      for (const { id } of body.items)
        expect((await app.http.delete(`/otp-devices/${id}`, { token })).status).toBe(204);
      const require = (required: boolean) => app.http.patch('/users/me/two-factor', { required }, { token });
      expect((await require(true)).status).toBe(200);
      const refused = await change(app, token, { email: null, firstName: 'Eve' });
      expect([refused.status, refused.body.code]).toEqual([409, 'identity_needed']);
      expect((await app.http.get('/users/me', { token })).body).toMatchObject({ email: person.email, firstName: '' });
      expect((await require(false)).status).toBe(200);
      expect((await change(app, token, { email: null })).body.email).toBeNull();
    } finally {
      await app.close();
    }
  });
});

describe('OTP_IDENTITY_UPDATE_FIELD=off', () => {
  it('a confirmed device changes nothing about its user, and neither does he', async () => {
    const app = await startApp({ OTP_IDENTITY_UPDATE_FIELD: 'off', TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp' });
    try {
      await app.http.post('/users', { username: 'ada', password: PASSWORD });
      const { accessToken: token } = (await firstFactor<SignedIn>(app, 'ada')).body;
      await confirmDevice(app, token, 'ada@example.com');
      expect((await app.http.get<Me>('/users/me', { token })).body.email).toBeNull();
      for (const body of [{ email: 'ada@example.com' }, { phoneNumber: null }]) {
        const refused = await change(app, token, body);
        expect([refused.status, refused.body.code]).toEqual([403, 'address_change_off']);
      }
      expect((await change(app, token, { username: 'lovelace' })).status).toBe(200);
    } finally {
      await app.close();
    }
  });
});

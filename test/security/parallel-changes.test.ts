import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import {
  firstFactor,
  PASSWORD,
  personWithTotp,
  register,
  secondFactor,
  signInByMail,
  type Asked,
  type SignedIn,
} from '../support/people.js';
import { countOf, fireAtOnce, type Hit, type Shot } from './burst.js';
import { sessionsOf } from './traces.js';

const NO_LIMITS = {
  CODE_RESEND_COOLDOWN: 'off',
  SEND_PER_DESTINATION: 'off',
  CODE_TOKEN_MAX_ACTIVE: 'off',
  CODE_TOKEN_RETRY_WAIT: '0s',
  PASSWORD_FREE_FAILURES: 'off',
  DATABASE_POOL_SIZE: '12',
};

/** Every statement that locks something of a person, in many orders at once; a deadlock would be answered with 503. */
describe('what one person does in many places in the same moment', () => {
  let app: TestApp;
  let origin: string;
  beforeAll(async () => {
    app = await startApp(NO_LIMITS);
    origin = await app.listen();
  });
  afterAll(() => app.close());

  const signIn = (identifier: string, password = PASSWORD): Shot => ({
    path: '/auth/token',
    body: { identifier, password },
  });
  const answer = ({ codeToken }: Asked, code: string): Shot => ({
    path: '/auth/token/second-factor',
    body: { codeToken, code },
  });
  const askAgain = ({ codeToken }: Asked, deviceId?: string): Shot => ({
    path: '/auth/otp',
    body: { codeToken, ...(deviceId === undefined ? {} : { deviceId }) },
  });
  const sessionsBegunBy = (hits: readonly Hit[]) =>
    hits.filter(({ body }) => body['status'] === 'authenticated').length;

  it('never blocks itself while it signs in with a mailed code, asks again and begins anew', async () => {
    for (let round = 0; round < 6; round += 1) {
      const person = await register(app);
      const { body: asked } = await firstFactor(app, person.email);
      const code = await app.mailbox.code(person.email);
      const hits = await fireAtOnce(
        [origin],
        [
          ...Array.from({ length: 4 }, () => answer(asked, code)),
          ...Array.from({ length: 4 }, () => signIn(person.email)),
          ...Array.from({ length: 4 }, () => askAgain(asked)),
        ],
      );
      expect(countOf(hits.slice(4, 8), 200)).toBe(4);
      expect(sessionsBegunBy(hits)).toBeLessThanOrEqual(1);
      expect(await sessionsOf(app, person.id)).toBe(sessionsBegunBy(hits));
    }
  });

  it('never blocks itself while it signs in, steps up, enrolls, confirms, removes, and changes what is asked first', async () => {
    const person = await personWithTotp(app);
    let [session, sessions] = [person.session, await sessionsOf(app, person.id)];
    for (let round = 0; round < 5; round += 1) {
      await app.clock.advance(60);
      const token = session.accessToken;
      const { body: asked } = await firstFactor(app, person.email);
      const { body: other } = await firstFactor(app, person.email);
      const mailbox = `other-${randomBytes(5).toString('hex')}@example.com`;
      const { body: removable } = await app.http.post('/otp-devices', { type: 'email', email: mailbox }, { token });
      const removableCode = await app.mailbox.code(mailbox);
      const confirmed = await app.http.post(
        `/otp-devices/${String(removable['id'])}/confirm`,
        { code: removableCode },
        { token },
      );
      expect(confirmed.status).toBe(200);
      const { body: reAsked } = await firstFactor(app, person.email);
      const address = `new-${randomBytes(5).toString('hex')}@example.com`;
      const { body: pending } = await app.http.post('/otp-devices', { type: 'email', email: address }, { token });
      const pendingCode = await app.mailbox.code(address);
      const ownMailbox = reAsked.devices.find(({ type }) => type === 'email')?.id;

      const hits = await fireAtOnce(
        [origin],
        [
          answer(reAsked, totpCode(person.secret, app.clock)),
          answer(asked, totpCode(person.secret, app.clock, 1)),
          signIn(person.email),
          { path: `/otp-devices/${String(pending['id'])}/confirm`, body: { code: pendingCode }, token },
          signIn(person.email),
          { method: 'DELETE', path: `/otp-devices/${String(removable['id'])}`, token },
          askAgain(reAsked, ownMailbox),
          { method: 'PATCH', path: '/users/me/two-factor', body: { preferredMethod: 'totp' }, token },
          {
            path: '/auth/step-up',
            body: { deviceId: person.deviceId, code: totpCode(person.secret, app.clock) },
            token,
          },
          { method: 'PATCH', path: '/users/me/two-factor', body: { preferredMethod: 'email' }, token },
          signIn(person.email),
          askAgain(other, person.deviceId),
          { path: '/otp-devices', body: { type: 'totp' }, token },
          { path: `/otp-devices/${String(pending['id'])}/challenge`, token },
          answer(reAsked, totpCode(person.secret, app.clock)),
        ],
      );
      sessions += sessionsBegunBy(hits);
      expect(await sessionsOf(app, person.id)).toBe(sessions);
      expect(hits[5]?.status).toBe(204);
      session = await signInAgain(person.email, person.secret);
      sessions += 1;
      const { items } = await devicesOf(session);
      expect(items.filter(({ confirmed: is, type }) => is && type === 'totp')).toHaveLength(1);
      for (const { id } of items.filter(({ label, confirmed: is }) => is && label.startsWith('n'))) {
        expect((await app.http.delete(`/otp-devices/${id}`, { token: session.accessToken })).status).toBe(204);
      }
    }
  });

  it('leaves nobody signed in who finished a sign-in while the password was being changed', async () => {
    for (let round = 0; round < 4; round += 1) {
      const person = await register(app);
      const { accessToken } = await signInByMail(app, person);
      const answers: Shot[] = [];
      for (let index = 0; index < 6; index += 1) {
        const { body: asked } = await firstFactor(app, person.email);
        answers.push({ ...answer(asked, await app.mailbox.code(person.email)), afterMs: 30 + 4 * index });
      }
      const [changed, ...hits] = await fireAtOnce([origin], [changePassword(accessToken), ...answers]);

      expect(changed?.status).toBe(204);
      expect(await sessionsOf(app, person.id)).toBe(1);
      for (const { body } of hits.filter(({ status }) => status === 200)) {
        const { body: verified } = await app.http.post('/auth/token/verify', { token: body['accessToken'] });
        expect(verified).toEqual({ active: false });
      }
    }
  });

  it('leaves no code token to whoever proved the old password while it was being changed', async () => {
    for (let round = 0; round < 5; round += 1) {
      const person = await register(app);
      const { accessToken } = await signInByMail(app, person);
      const attempts = Array.from({ length: 8 }, (_, index) => ({ ...signIn(person.email), afterMs: 4 * index }));
      const [changed, ...hits] = await fireAtOnce([origin], [changePassword(accessToken), ...attempts]);

      expect(changed?.status).toBe(204);
      for (const { body } of hits.filter(({ status }) => status === 200)) {
        const again = await app.http.post('/auth/otp', { codeToken: body['codeToken'] });
        expect([again.status, again.body]).toMatchObject([401, { code: 'token_expired' }]);
      }
    }
  });

  const changePassword = (token: string): Shot => ({
    path: '/users/me/password',
    body: { currentPassword: PASSWORD, newPassword: `${PASSWORD}, and a fourth` },
    token,
  });

  async function signInAgain(email: string, secret: string): Promise<SignedIn> {
    await app.clock.advance(120);
    const { body } = await firstFactor(app, email);
    const switched =
      body.device.type === 'totp' ? {} : { deviceId: body.devices.find(({ type }) => type === 'totp')?.id };
    const { status, body: result } = await secondFactor(app, body.codeToken, totpCode(secret, app.clock), switched);
    expect(status).toBe(200);
    return result;
  }

  async function devicesOf({ accessToken }: SignedIn) {
    const { body } = await app.http.get<{ items: { id: string; type: string; label: string; confirmed: boolean }[] }>(
      '/otp-devices',
      { token: accessToken },
    );
    return body;
  }
});

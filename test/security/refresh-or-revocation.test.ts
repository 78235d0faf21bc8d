import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import {
  enrollTotp,
  firstFactor,
  PASSWORD,
  register,
  signInByTotp,
  type Person,
  type SignedIn,
} from '../support/people.js';

type Pair = Pick<SignedIn, 'accessToken' | 'refreshToken'>;

/** R21: whatever a refresh was given while its session was being ended, nothing of it works afterwards, at any replica. */
const ROUNDS = 8;
const NEW_PASSWORD = 'four more uncommon words';

let here: TestApp;
let there: TestApp;
let admin: Person;
beforeAll(async () => {
  const variables = { TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp', TWO_FACTOR_FALLBACK_METHOD: 'none' };
  here = await startApp(variables);
  there = await startApp(variables, { replicaOf: here });
  admin = await register(here);
  await here.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [admin.id]);
});
afterAll(async () => {
  await there.close();
  await here.close();
});

async function signIn({ email }: Person): Promise<SignedIn> {
  const { body } = await firstFactor<SignedIn>(here, email);
  expect(body.status).toBe('authenticated');
  return body;
}

/** Signed in this moment: time goes on in here. */
const adminToken = async () => (await signIn(admin)).accessToken;

const refresh = (app: TestApp, refreshToken: string) => app.http.post<Pair>('/auth/token/refresh', { refreshToken });

async function expectWorthless({ accessToken, refreshToken }: Pair): Promise<void> {
  for (const app of [here, there]) {
    expect((await app.http.get('/users/me', { token: accessToken })).status).toBe(401);
    expect((await app.http.get('/auth/forward', { token: accessToken })).status).toBe(401);
    expect((await app.http.post('/auth/token/verify', { token: accessToken })).body).toEqual({ active: false });
    expect((await refresh(app, refreshToken)).status).toBe(401);
  }
}

type Race = [what: string, end: (person: Person, session: SignedIn) => Promise<{ status: number }>];

describe('R21: a refresh at one replica while the session ends at the other', () => {
  it.each<Race>([
    ['by signing out', (_, { refreshToken }) => here.http.post('/auth/token/revoke', { refreshToken })],
    [
      'by deactivating the account',
      async ({ id }) => {
        const token = await adminToken();
        return here.http.patch(`/admin/users/${id}`, { active: false }, { token });
      },
    ],
    [
      'by an administrator',
      async ({ id }) => here.http.delete(`/admin/users/${id}/sessions`, { token: await adminToken() }),
    ],
  ])('%s', async (_, end) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const person = await register(here);
      const session = await signIn(person);
      const refreshes = [refresh(there, session.refreshToken), refresh(here, session.refreshToken)];
      const [ended, ...answers] = await Promise.all([end(person, session), ...refreshes]);
      expect(ended.status).toBeLessThan(300);
      await expectWorthless(session);
      for (const { status, body } of answers) if (status === 200) await expectWorthless(body);
    }
  });

  it('by a new password, chosen in another session that goes on', async () => {
    for (let round = 0; round < ROUNDS / 2; round += 1) {
      const person = await register(here);
      const [session, other] = [await signIn(person), await signIn(person)];
      const body = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };
      const [changed, answer] = await Promise.all([
        here.http.post('/users/me/password', body, { token: other.accessToken }),
        refresh(there, session.refreshToken),
      ]);
      expect(changed.status).toBe(204);
      await expectWorthless(session);
      if (answer.status === 200) await expectWorthless(answer.body);
      expect((await there.http.get('/users/me', { token: other.accessToken })).status).toBe(200);
    }
  });

  it('by a rule that the session does not meet', async () => {
    for (let round = 0; round < ROUNDS / 2; round += 1) {
      const person = await register(here);
      const session = await signIn(person);
      const authenticator = await enrollTotp(here, session.accessToken);
      const strong = await signInByTotp(here, { ...person, ...authenticator });
      const rule = { required: true, methods: ['totp'] };
      const token = await adminToken();
      const [put, answer] = await Promise.all([
        here.http.patch(`/admin/users/${person.id}/two-factor`, rule, { token }),
        refresh(there, session.refreshToken),
      ]);
      expect(put.status).toBe(200);
      await expectWorthless(session);
      if (answer.status === 200) await expectWorthless(answer.body);
      expect((await there.http.get('/users/me', { token: strong.accessToken })).status).toBe(200);
    }
  });
});

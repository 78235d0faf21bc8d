import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { firstFactor, PASSWORD, register, type Person, type SignedIn } from '../support/people.js';

/**
 * Replicas remember which sessions live, so that an authenticated request need not ask. What ends a session must be known
 * everywhere before the call that ended it has answered.
 */
const ROUNDS = 8;

let here: TestApp;
let there: TestApp;
beforeAll(async () => {
  const variables = {
    TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp',
    TWO_FACTOR_FALLBACK_METHOD: 'none',
    SESSIONS_PER_USER: '100',
  };
  here = await startApp(variables);
  there = await startApp(variables, { replicaOf: here });
});
afterAll(async () => {
  await there.close();
  await here.close();
});

async function signIn({ email }: Person, password = PASSWORD): Promise<SignedIn> {
  const { body } = await firstFactor<SignedIn>(here, email, password);
  expect(body.status).toBe('authenticated');
  return body;
}

const me = (app: TestApp, { accessToken: token }: Pick<SignedIn, 'accessToken'>) =>
  app.http.get('/users/me', { token });

/** Uses a session at both replicas until both know it by heart. */
async function learn(session: SignedIn): Promise<void> {
  for (const app of [here, there, here, there]) expect((await me(app, session)).status).toBe(200);
}

async function isRefusedThere(session: SignedIn): Promise<boolean> {
  return (await me(there, session)).status === 401;
}

/** How often the replica asked the database about a session while something was done. */
async function asked(action: () => Promise<unknown>): Promise<number> {
  const query = vi.spyOn(pg.Client.prototype, 'query');
  try {
    await action();
    return query.mock.calls.filter(([config]) => {
      const text = typeof config === 'string' ? config : (config as unknown as { text?: string }).text;
      return text?.includes('FROM sessions JOIN users') ?? false;
    }).length;
  } finally {
    query.mockRestore();
  }
}

/** Closes the connections that replicas listen on. */
async function cutChannel(app: TestApp): Promise<void> {
  await app.sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = 'countersign-sessions' AND datname = current_database()`,
  );
}

describe('a session that is known', () => {
  it('is not asked for again', async () => {
    const session = await signIn(await register(here));
    expect(await asked(() => me(there, session))).toBe(1);
    expect(
      await asked(async () => {
        for (let request = 0; request < 20; request += 1) await me(there, session);
      }),
    ).toBe(0);
  });

  it('is asked for again after a minute, and when it should have run out', async () => {
    const session = await signIn(await register(here));
    await learn(session);
    await here.clock.advance(61);
    expect(await asked(() => me(there, session))).toBe(1);
  });

  type Ending = [how: string, end: (person: Person, session: SignedIn) => Promise<unknown>];
  it.each<Ending>([
    ['signed out', (_, { refreshToken }) => here.http.post('/auth/token/revoke', { refreshToken })],
    ['ended by its user', (_, { accessToken: token }) => here.http.delete('/users/me/sessions', { token })],
    [
      'ended by a new password',
      async ({ email }) => {
        const other = await signIn({ id: '', email });
        const body = { currentPassword: PASSWORD, newPassword: 'four more uncommon words' };
        const changed = await here.http.post('/users/me/password', body, { token: other.accessToken });
        expect(changed.status).toBe(204);
      },
    ],
    [
      'ended by a reused refresh token',
      async (_, { refreshToken }) => {
        await here.http.post('/auth/token/refresh', { refreshToken });
        await here.clock.advance(11);
        const reused = await here.http.post('/auth/token/refresh', { refreshToken });
        expect(reused.body['code']).toBe('refresh_token_reused');
      },
    ],
  ])('%s is refused by the other replica with the very next request', async (_, end) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const person = await register(here);
      const session = await signIn(person);
      await learn(session);
      await end(person, session);
      expect(await isRefusedThere(session)).toBe(true);
    }
  });

  it('T10: of a user who was deactivated, or lost a role, is refused at the other replica with the very next request', async () => {
    const boss = await register(here);
    await here.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [boss.id]);
    const { accessToken: token } = await signIn(boss);
    for (let round = 0; round < ROUNDS; round += 1) {
      const person = await register(here);
      await here.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [person.id]);
      const session = await signIn(person);
      const list = () => there.http.get('/admin/users', { token: session.accessToken });
      expect([(await list()).status, (await list()).status]).toEqual([200, 200]);
      const change = (body: object) => here.http.patch(`/admin/users/${person.id}`, body, { token });

      expect((await change({ roles: [] })).status).toBe(200);
      const demoted = await list();
      expect([demoted.status, demoted.body['code']]).toEqual([403, 'admin_required']);
      expect((await change({ active: false })).status).toBe(200);
      expect(await isRefusedThere(session)).toBe(true);
    }
  });

  it('T10: is not remembered from before a change that came in between', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const session = await signIn(await register(here));
      // The answers of many requests are under way while the session ends.
      const requests = Array.from({ length: 10 }, () => me(there, session));
      await here.http.post('/auth/token/revoke', { refreshToken: session.refreshToken });
      await Promise.all(requests);
      expect(await isRefusedThere(session)).toBe(true);
    }
  });
});

describe('a replica that cannot listen', () => {
  it('asks, and is right all the same', async () => {
    const session = await signIn(await register(here));
    await learn(session);
    await cutChannel(here);
    // The first request after the loss was noticed asks; a second later the replica listens again.
    await vi.waitFor(async () => expect(await asked(() => me(there, session))).toBe(1), { interval: 5 });
    expect((await me(there, session)).status).toBe(200);
    await here.http.post('/auth/token/revoke', { refreshToken: session.refreshToken });
    expect(await isRefusedThere(session)).toBe(true);
  });

  it('listens again by itself, and remembers again', async () => {
    await cutChannel(here);
    const session = await signIn(await register(here));
    await vi.waitFor(
      async () => {
        await me(there, session);
        expect(await asked(() => me(there, session))).toBe(0);
      },
      { timeout: 10_000, interval: 100 },
    );
    await vi.waitFor(
      async () => {
        await me(here, session);
        expect(await asked(() => me(here, session))).toBe(0);
      },
      { timeout: 10_000, interval: 100 },
    );
    await here.http.post('/auth/token/revoke', { refreshToken: session.refreshToken });
    // Both say hello once a second: until then the one does not know that the other is there to be waited for.
    await vi.waitFor(async () => expect(await isRefusedThere(session)).toBe(true), { timeout: 1_000, interval: 10 });
  });
});

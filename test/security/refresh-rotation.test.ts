import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { register, signInByMail, type Person, type SignedIn } from '../support/people.js';
import { countOf, fireAtOnce, type Shot } from './burst.js';
import { sessionsOf } from './traces.js';

describe('a refresh token', () => {
  let app: TestApp;
  let replica: TestApp;
  let origins: string[];
  const people: (Person & { session: SignedIn })[] = [];

  beforeAll(async () => {
    app = await startApp({ DATABASE_POOL_SIZE: '10' });
    for (let index = 0; index < 5; index += 1) {
      const person = await register(app);
      people.push({ ...person, session: await signInByMail(app, person) });
    }
    replica = await startApp({ DATABASE_POOL_SIZE: '10' }, { replicaOf: app });
    origins = [await app.listen(), await replica.listen()];
  });
  afterAll(async () => {
    await replica.close();
    await app.close();
  });

  const rotate = (refreshToken: string) =>
    app.http.post<{ refreshToken: string; accessToken: string; code?: string }>('/auth/token/refresh', {
      refreshToken,
    });
  const isActive = async (token: string) =>
    (await app.http.post('/auth/token/verify', { token })).body['active'] as boolean;

  it.each([0, 1])('used twenty times at once has one successor (round %i)', async (round) => {
    const { id, session } = people[round] as Person & { session: SignedIn };
    const shot: Shot = { path: '/auth/token/refresh', body: { refreshToken: session.refreshToken } };

    const hits = await fireAtOnce(
      origins,
      Array.from({ length: 20 }, () => shot),
    );

    expect(countOf(hits, 200)).toBe(20);
    const successors = [...new Set(hits.map(({ body }) => body['refreshToken'] as string))];
    expect(successors).toHaveLength(1);
    expect(await app.sql('SELECT refresh_counter FROM sessions WHERE user_id = $1', [id])).toEqual([
      { refresh_counter: 1 },
    ]);
    expect((await rotate(successors[0] as string)).status).toBe(200);
    expect(await sessionsOf(app, id)).toBe(1);
  });

  it('that comes back after the grace ends the session, and the access tokens with it', async () => {
    const { id, session } = people[2] as Person & { session: SignedIn };
    const { body: successor } = await rotate(session.refreshToken);
    await app.clock.advance(11);

    const replayed = await rotate(session.refreshToken);

    expect([replayed.status, replayed.body]).toMatchObject([401, { code: 'refresh_token_reused' }]);
    expect((await rotate(successor.refreshToken)).status).toBe(401);
    expect(await isActive(successor.accessToken)).toBe(false);
    expect((await app.http.get('/users/me', { token: successor.accessToken })).status).toBe(401);
    expect(await sessionsOf(app, id)).toBe(0);
  });

  it('that comes back within the grace, but after its successor was used, ends the session too', async () => {
    const { id, session } = people[3] as Person & { session: SignedIn };
    const { body: successor } = await rotate(session.refreshToken);
    const { body: newest } = await rotate(successor.refreshToken);

    const replayed = await rotate(session.refreshToken);

    expect([replayed.status, replayed.body]).toMatchObject([401, { code: 'refresh_token_reused' }]);
    expect((await rotate(newest.refreshToken)).status).toBe(401);
    expect(await isActive(newest.accessToken)).toBe(false);
    expect(await sessionsOf(app, id)).toBe(0);
  });

  it('that comes back is told to the user, once, however often it comes', async () => {
    const { id, email, session } = people[4] as Person & { session: SignedIn };
    await rotate(session.refreshToken);
    await app.clock.advance(11);
    const shot: Shot = { path: '/auth/token/refresh', body: { refreshToken: session.refreshToken } };

    const hits = await fireAtOnce(origins, [shot, shot, shot, shot]);

    expect(countOf(hits, 401)).toBe(4);
    const enqueued = await app.sql(`SELECT 1 FROM audit_events WHERE user_id = $1 AND type = 'session.revoked'`, [id]);
    expect(enqueued).toHaveLength(1);
    const mails = () => [app, replica].flatMap(({ mailbox }) => mailbox.all(email));
    const notices = () => mails().filter(({ subject }) => subject === 'One of your sessions was ended');
    await expect.poll(notices).toHaveLength(1);
    expect(notices()[0]?.text).not.toContain(session.refreshToken);
  });
});

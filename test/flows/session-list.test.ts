import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { PASSWORD, register, type Person, type SignedIn } from '../support/people.js';

interface Listed {
  id: string;
  current: boolean;
  name: string | null;
  userAgent: string | null;
  ip: string | null;
  amr: string[];
  createdAt: string;
  authenticatedAt: string;
  lastUsedAt: string;
  expiresAt: string;
}

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0';
const SAFARI =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp', TWO_FACTOR_FALLBACK_METHOD: 'none' });
});
afterAll(() => app.close());

async function signIn({ email }: Person, userAgent: string): Promise<SignedIn> {
  const { body } = await app.http.send<SignedIn>(
    'POST',
    '/auth/token',
    { identifier: email, password: PASSWORD },
    { headers: { 'user-agent': userAgent } },
  );
  return body;
}

const listOf = async ({ accessToken: token }: SignedIn) =>
  (await app.http.get<{ items: Listed[] }>('/users/me/sessions', { token })).body.items;

const end = ({ accessToken: token }: SignedIn, id: string) => app.http.delete(`/users/me/sessions/${id}`, { token });

const isAlive = async ({ accessToken: token }: SignedIn) => (await app.http.get('/users/me', { token })).status === 200;

describe('the sessions of a user', () => {
  it('are named, the last used first, and the present one is marked', async () => {
    const person = await register(app);
    const desktop = await signIn(person, FIREFOX);
    await app.clock.advance(60);
    const phone = await signIn(person, SAFARI);
    await app.clock.advance(60);
    await app.http.post('/auth/token/refresh', { refreshToken: desktop.refreshToken });

    const items = await listOf(phone);
    expect(items.map(({ name, current, userAgent, ip }) => ({ name, current, userAgent, ip }))).toEqual([
      { name: 'Firefox 145 on Linux', current: false, userAgent: FIREFOX, ip: '127.0.0.1' },
      { name: 'Safari 26 on iOS', current: true, userAgent: SAFARI, ip: '127.0.0.1' },
    ]);
    const [used, fresh] = items;
    expect(Date.parse(used?.lastUsedAt ?? '') - Date.parse(used?.createdAt ?? '')).toBeGreaterThanOrEqual(119_000);
    expect(fresh?.lastUsedAt).toBe(fresh?.createdAt);
    expect(items.every(({ amr }) => amr.join() === 'pwd')).toBe(true);
  });

  it('are no longer listed when they have ended, run out or belong to somebody else', async () => {
    const person = await register(app);
    const signedOut = await signIn(person, FIREFOX);
    await app.http.post('/auth/token/revoke', { refreshToken: signedOut.refreshToken });
    const stranger = await register(app);
    await signIn(stranger, FIREFOX);
    await signIn(person, FIREFOX);
    await app.clock.advance(8 * 86_400);
    const present = await signIn(person, SAFARI);
    expect((await listOf(present)).map(({ name }) => name)).toEqual(['Safari 26 on iOS']);
  });

  it('end one by one, at once, tokens and all', async () => {
    const person = await register(app);
    const [lost, kept] = [await signIn(person, SAFARI), await signIn(person, FIREFOX)];
    const [target] = (await listOf(kept)).filter(({ current }) => !current);
    expect((await end(kept, target?.id ?? '')).status).toBe(204);
    expect([await isAlive(lost), await isAlive(kept)]).toEqual([false, true]);
    const refused = await app.http.post('/auth/token/refresh', { refreshToken: lost.refreshToken });
    expect([refused.status, refused.body['code']]).toEqual([401, 'invalid_refresh_token']);
    const events = await app.sql(
      `SELECT session_id, actor, details FROM audit_events WHERE user_id = $1 AND type = 'session.revoked'`,
      [person.id],
    );
    expect(events).toEqual([{ session_id: target?.id, actor: 'user', details: { reason: 'ended_by_user' } }]);
    expect((await end(kept, target?.id ?? '')).status).toBe(404);
  });

  it('end all together, the present one too', async () => {
    const person = await register(app);
    const sessions = [await signIn(person, SAFARI), await signIn(person, FIREFOX), await signIn(person, 'curl/8.14.1')];
    const [, , present] = sessions;
    if (!present) throw new Error('Nobody is signed in');
    const answer = await app.http.delete('/users/me/sessions', { token: present.accessToken });
    expect(answer.status).toBe(204);
    for (const session of sessions) expect(await isAlive(session)).toBe(false);
    const events = await app.sql(`SELECT 1 FROM audit_events WHERE user_id = $1 AND type = 'session.revoked'`, [
      person.id,
    ]);
    expect(events).toHaveLength(3);
  });

  it('of somebody else cannot be ended, whoever knows their ids', async () => {
    const owner = await register(app);
    const session = await signIn(owner, FIREFOX);
    const [target] = await listOf(session);
    const thief = await signIn(await register(app), FIREFOX);
    const answer = await end(thief, target?.id ?? '');
    const unknown = await end(thief, '00000000-0000-7000-8000-000000000000');
    expect([answer.status, answer.body['code']]).toEqual([404, 'not_found']);
    expect({ ...answer.body, requestId: null }).toEqual({ ...unknown.body, requestId: null });
    expect(await isAlive(session)).toBe(true);
  });
});

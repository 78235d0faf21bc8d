import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { administrator, register, signInByTotp } from '../support/people.js';
import { fireAtOnce, outcomes, type Shot } from './burst.js';

type Admin = Awaited<ReturnType<typeof administrator>>;

const refused = [409, 'last_admin'];

describe('an administrator who can sign in is always left', () => {
  let app: TestApp;
  let origin: string;
  let admin: Admin;
  beforeAll(async () => {
    app = await startApp({ CODE_RESEND_COOLDOWN: 'off', SEND_PER_DESTINATION: 'off', CODE_TOKEN_MAX_ACTIVE: 'off' });
    origin = await app.listen();
    admin = await administrator(app);
  });
  afterAll(() => app.close());

  const row = async (id: string) => (await app.sql('SELECT * FROM users WHERE id = $1', [id]))[0];

  const changes: Record<string, (id: string, token: string) => Promise<{ status: number; body: { code?: string } }>> = {
    'take the role from': (id, token) => app.http.patch(`/admin/users/${id}`, { roles: ['support'] }, { token }),
    deactivate: (id, token) => app.http.patch(`/admin/users/${id}`, { active: false }, { token }),
    'take the role from, name and deactivate': (id, token) =>
      app.http.patch(`/admin/users/${id}`, { firstName: 'Eve', roles: [], active: false }, { token }),
    delete: (id, token) => app.http.delete(`/admin/users/${id}`, { token }),
  };

  it.each([
    ...Object.entries(changes),
    ['delete the own account of', (_id: string, token: string) => app.http.delete('/users/me', { token })] as const,
  ])('nobody can %s the last one: nothing changes, and nothing is recorded', async (_what, change) => {
    const state = async () => ({
      user: await row(admin.id),
      sessions: await app.sql('SELECT id, ended_at FROM sessions WHERE user_id = $1 ORDER BY id', [admin.id]),
      events: await app.sql(`SELECT count(*) FROM audit_events WHERE type NOT LIKE 'message.%'`),
    });
    const before = await state();
    const { status, body } = await change(admin.id, admin.token);
    expect([status, body.code]).toEqual(refused);
    expect(await state()).toEqual(before);
    expect((await app.http.get('/admin/users', { token: admin.token })).status).toBe(200);
  });

  it.each([
    ['is inactive', `UPDATE users SET active = false WHERE id = $1`],
    ['has no way in', `UPDATE users SET password_hash = NULL, email = NULL, email_canonical = NULL WHERE id = $1`],
  ])('another one who %s does not count', async (_why, statement) => {
    const other = await register(app);
    await app.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [other.id]);
    await app.sql(statement, [other.id]);
    const { status, body } = await app.http.patch(`/admin/users/${admin.id}`, { roles: [] }, { token: admin.token });
    expect([status, body['code']]).toEqual(refused);
    // He himself may go.
    expect((await app.http.delete(`/admin/users/${other.id}`, { token: admin.token })).status).toBe(204);
  });

  it('one of two may change himself, and is refused from then on', async () => {
    const other = await administrator(app);
    const path = `/admin/users/${other.id}`;
    expect((await app.http.patch(path, { roles: [] }, { token: other.token })).status).toBe(200);
    const { status, body } = await app.http.patch(path, { roles: ['admin'] }, { token: other.token });
    expect([status, body['code']]).toEqual([403, 'admin_required']);
    admin = { ...admin, token: (await signInByTotp(app, admin)).accessToken };
  });

  it('does not keep anybody else from leaving', async () => {
    const { id, token } = await administrator(app);
    await app.sql(`UPDATE users SET roles = '{}' WHERE id = ANY ($1::uuid[])`, [[id, admin.id]]);
    expect((await app.http.delete('/users/me', { token })).status).toBe(204);
    await app.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [admin.id]);
  });

  it.each(['take the role from', 'deactivate', 'delete'] as const)(
    'of two last ones who %s each other in the same moment exactly one succeeds, 20 times',
    { timeout: 60_000 },
    async (what) => {
      let [one, two] = [admin, await administrator(app)];
      for (let round = 0; round < 20; round += 1) {
        const hits = await fireAtOnce([origin], [shotAt(what, two, one.token), shotAt(what, one, two.token)]);
        // Who was refused either came too late for the check of the last one, or was no administrator any more.
        const [winner] = hits.filter(({ status }) => status < 300);
        expect(outcomes(hits), `round ${round}`).toSatisfy(
          (seen: Record<string, number>) => Object.entries(seen).filter(([code]) => code.startsWith('20')).length === 1,
        );
        expect(hits.filter(({ status }) => status < 300)).toHaveLength(1);
        expect([401, 403, 409]).toContain(hits.find((hit) => hit !== winner)?.status);
        const left = await app.sql<{ id: string }>(`SELECT id FROM users WHERE active AND 'admin' = ANY (roles)`);
        expect(left).toHaveLength(1);
        const loser = left[0]?.id === one.id ? two : one;
        one = left[0]?.id === one.id ? one : two;
        if (what === 'delete') two = await administrator(app);
        else {
          await app.sql(`UPDATE users SET active = true, roles = '{admin}' WHERE id = $1`, [loser.id]);
          two = { ...loser, token: (await signInByTotp(app, loser)).accessToken };
        }
        one = { ...one, token: (await signInByTotp(app, one)).accessToken };
      }
      await app.sql('DELETE FROM users WHERE id = $1', [two.id]);
      admin = one;
    },
  );
});

function shotAt(what: 'take the role from' | 'deactivate' | 'delete', { id }: Admin, token: string): Shot {
  const path = `/admin/users/${id}`;
  if (what === 'delete') return { method: 'DELETE', path, token };
  return { method: 'PATCH', path, token, body: what === 'deactivate' ? { active: false } : { roles: [] } };
}

describe('where an app is required and nothing else could ask', () => {
  it('the second factor of the last administrator cannot be reset', async () => {
    const app = await startApp();
    try {
      const admin = await administrator(app);
      await app.sql(`UPDATE users SET email = NULL, email_canonical = NULL WHERE id = $1`, [admin.id]);
      const before = await app.sql('SELECT * FROM otp_devices WHERE user_id = $1 ORDER BY id', [admin.id]);
      const path = `/admin/users/${admin.id}/two-factor/reset`;
      const { status, body } = await app.http.post(path, undefined, { token: admin.token });
      expect([status, body['code']]).toEqual(refused);
      expect(await app.sql('SELECT * FROM otp_devices WHERE user_id = $1 ORDER BY id', [admin.id])).toEqual(before);
      expect((await app.http.get('/admin/users', { token: admin.token })).status).toBe(200);
    } finally {
      await app.close();
    }
  });
});

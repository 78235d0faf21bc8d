import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cleanup } from '../../src/cleanup/cleanup.service.js';
import { startApp, type TestApp } from '../support/app.js';
import { enrollTotp, firstFactor, personWithTotp, register, signInByMail, signInByTotp } from '../support/people.js';

const DAY = 86_400;
const TABLES = ['challenges', 'enrollments', 'links', 'trusted_browsers', 'sessions', 'failure_counters'];

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ TRUSTED_BROWSER_TTL: '30d' });
});
afterAll(() => app.close());

const run = () => app.app.get(Cleanup, { strict: false }).run();

async function counts(): Promise<Record<string, number>> {
  const each = TABLES.map((table) => `SELECT '${table}' AS name, count(*)::int AS rows FROM ${table}`);
  const rows = await app.sql<{ name: string; rows: number }>(each.join(' UNION ALL '));
  return Object.fromEntries(rows.map(({ name, rows: count }) => [name, count]));
}

describe('rows that have expired', () => {
  it('stay for a day, in which they still explain a refusal, and are gone after it', async () => {
    const person = await personWithTotp(app);
    await firstFactor(app, person.email, 'wrong');
    await app.http.post('/auth/magic-link', { identifier: person.email });
    await app.mailbox.next(person.email, /sign-in link/);
    const { accessToken: token } = await signInByTotp(app, person);
    await app.http.post('/otp-devices', { type: 'totp', name: 'never confirmed' }, { token });
    const before = await counts();
    expect(before).toMatchObject({ links: 1, sessions: 2, failure_counters: 0 });
    expect(before['challenges']).toBeGreaterThan(2);

    await app.clock.advance(3_600);
    await run();
    expect(await counts()).toEqual(before);

    await app.clock.advance(31 * DAY);
    await run();
    expect(await counts()).toEqual({ ...before, challenges: 0, links: 0, sessions: 0 });
    const devices = await app.sql('SELECT type FROM otp_devices WHERE confirmed_at IS NULL');
    expect(devices).toEqual([]);
    expect((await signInByTotp(app, person)).status).toBe('authenticated');
  });

  it('go page by page, and everything else stays: sessions, devices, pauses', async () => {
    const person = await register(app);
    const session = await signInByMail(app, person);
    await enrollTotp(app, session.accessToken);
    for (let count = 0; count < 11; count += 1) await firstFactor(app, 'nobody@example.com', 'wrong');
    await app.sql(
      `INSERT INTO sessions (id, user_id, proved, amr, authenticated_at, refresh_salt, refreshed_at, created_at,
                             idle_expires_at, expires_at, ended_at, end_reason)
       SELECT gen_random_uuid(), $1, '{password}', '{pwd}', now(), '\\x00', now(), now() - interval '40 days',
              now() - interval '33 days', now() - interval '10 days', NULL, NULL FROM generate_series(1, 12000)`,
      [person.id],
    );
    await run();
    expect((await counts())['sessions']).toBe(2);
    expect((await app.http.get('/users/me', { token: session.accessToken })).status).toBe(200);
    expect((await firstFactor(app, 'nobody@example.com', 'wrong')).body).toMatchObject({ code: 'too_many_failures' });
    expect((await firstFactor(app, person.email)).body.device.type).toBe('totp');
  });

  it('are no business of those who sign in meanwhile', async () => {
    const people = [await personWithTotp(app), await personWithTotp(app), await personWithTotp(app)];
    const [, ...signIns] = await Promise.all([run(), ...people.map((person) => firstFactor(app, person.email))]);
    expect(signIns.map(({ status }) => status)).toEqual([200, 200, 200]);
  });
});

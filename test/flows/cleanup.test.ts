import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { enrollTotp, firstFactor, personWithTotp, register, signInByMail, signInByTotp } from '../support/people.js';

const DAY = 86_400;
const TABLES = ['challenges', 'enrollments', 'links', 'trusted_browsers', 'sessions', 'failure_counters'];

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ TRUSTED_BROWSER_TTL: '30d' });
});
afterAll(() => app.close());

/** Lets the queue do what it does every hour, and waits for its end. */
async function run(task = 'remove-expired-rows', payload: object = {}): Promise<void> {
  await app.sql('SELECT graphile_worker.add_job($1, $2::json)', [task, JSON.stringify(payload)]);
  const left = `SELECT id FROM graphile_worker.jobs WHERE task_identifier LIKE 'remove-expired-rows%'`;
  await expect.poll(() => app.sql(left), { timeout: 15_000, interval: 20 }).toEqual([]);
}

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

  it.each([
    ['challenges', `SELECT id::text AS key FROM challenges ORDER BY id`],
    ['failure_counters', `SELECT key::text AS key FROM failure_counters ORDER BY failure_counters.key`],
  ])('of %s go from where the job before has ended', async (table, keysOf) => {
    const person = await register(app);
    for (let count = 0; count < 3; count += 1) {
      await firstFactor(app, person.email);
      await firstFactor(app, `nobody-${count}@example.com`, 'wrong');
      await app.clock.advance(61);
    }
    const keys = (await app.sql<{ key: string }>(keysOf)).map(({ key }) => key);
    expect(keys.length).toBeGreaterThanOrEqual(3);
    await app.clock.advance(3 * DAY);
    await run('remove-expired-rows-of', { table, after: keys[1] });
    expect((await app.sql<{ key: string }>(keysOf)).map(({ key }) => key)).toEqual(keys.slice(0, 2));
    await run();
    expect(await app.sql(keysOf)).toEqual([]);
  });

  it('of addresses go with the end of their window', async () => {
    await app.sql(`INSERT INTO address_windows (key, hits, ends_at)
      VALUES ('ended', 3, now() - interval '1 second'), ('still counted', 3, now() + interval '1 minute')`);
    await run();
    const left = await app.sql<{ key: string }>(
      `SELECT convert_from(key, 'UTF8') AS key FROM address_windows WHERE hits = 3`,
    );
    expect(left).toEqual([{ key: 'still counted' }]);
    await app.sql('DELETE FROM address_windows WHERE hits = 3');
  });

  it('of sends go once no limit looks at them, and those of addresses that are refused with the end of that', async () => {
    await app.sql(`INSERT INTO destination_sends (key, last_sent_at, sent_at)
      VALUES ('old', now() - interval '25 hours', '{}'), ('counted', now() - interval '23 hours', '{}')`);
    await app.sql(`INSERT INTO sent_text_codes (country, key, sent_at)
      VALUES ('DE', 'old', now() - interval '61 minutes'), ('DE', 'counted', now() - interval '59 minutes')`);
    await app.sql(`INSERT INTO refused_addresses (key, until)
      VALUES ('old', now() - interval '1 second'), ('counted', now() + interval '1 minute')`);
    await run();
    for (const table of ['destination_sends', 'sent_text_codes', 'refused_addresses']) {
      const left = await app.sql<{ key: string }>(`SELECT encode(key, 'escape') AS key FROM ${table}
        WHERE key IN ('old', 'counted')`);
      expect(left, table).toEqual([{ key: 'counted' }]);
    }
  });

  it.each([
    [
      'destination_sends',
      `INSERT INTO destination_sends
       SELECT sha256(n::text::bytea), now() - interval '2 days', '{}' FROM generate_series(1, 12000) n`,
    ],
    [
      'sent_text_codes',
      `INSERT INTO sent_text_codes (country, key, sent_at)
       SELECT 'DE', sha256(n::text::bytea), now() - interval '2 days' FROM generate_series(1, 12000) n`,
    ],
    [
      'refused_addresses',
      `INSERT INTO refused_addresses
       SELECT sha256(n::text::bytea), now() - interval '2 days' FROM generate_series(1, 12000) n`,
    ],
  ])('of %s go page by page, without waiting for one that somebody holds', async (table, insert) => {
    await app.sql(insert);
    const holder = new pg.Client({ connectionString: app.database.url });
    await holder.connect();
    try {
      await holder.query('BEGIN');
      await holder.query(`SELECT 1 FROM ${table} WHERE key = sha256('7') FOR UPDATE`);
      await run();
      expect(
        await app.sql(`SELECT key FROM ${table} WHERE key = ANY (
        SELECT sha256(n::text::bytea) FROM generate_series(1, 12000) n)`),
      ).toHaveLength(1);
    } finally {
      await holder.end();
    }
    await run();
  });

  it('are left where somebody holds them, and nobody waits', async () => {
    const person = await register(app);
    await firstFactor(app, person.email);
    await app.clock.advance(3 * DAY);
    const holder = new pg.Client({ connectionString: app.database.url });
    await holder.connect();
    try {
      await holder.query('BEGIN');
      await holder.query('SELECT 1 FROM challenges FOR UPDATE');
      await run();
      expect((await counts())['challenges']).toBe(1);
    } finally {
      await holder.end();
    }
    await run();
    expect((await counts())['challenges']).toBe(0);
  });

  it('are no business of those who sign in meanwhile', async () => {
    const people = [await personWithTotp(app), await personWithTotp(app), await personWithTotp(app)];
    const [, ...signIns] = await Promise.all([run(), ...people.map((person) => firstFactor(app, person.email))]);
    expect(signIns.map(({ status }) => status)).toEqual([200, 200, 200]);
  });
});

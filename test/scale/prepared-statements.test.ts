import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { magicLink } from '../support/links.js';
import { firstFactor, register, type Person, type SignedIn } from '../support/people.js';

/** Few connections, so that a request meets what those before have left there. */
const FEW = { DATABASE_POOL_SIZE: '2', TWO_FACTOR_TRUSTED_METHODS: 'none,email', TWO_FACTOR_FALLBACK_METHOD: 'none' };

/** What the connections keep; both are asked, as each is busy when the other is. */
async function preparedIn({ app }: TestApp): Promise<string[]> {
  const ask = () =>
    app
      .get(DataSource)
      .query<{ statement: string }[]>(
        'SELECT statement, pg_sleep(0.05) FROM pg_prepared_statements WHERE NOT from_sql',
      );
  return (await Promise.all([ask(), ask()])).flat().map(({ statement }) => statement);
}

async function signInOften(app: TestApp, { email }: Person): Promise<number[]> {
  const answers = [];
  for (let time = 0; time < 6; time += 1) {
    answers.push(await firstFactor(app, email));
  }
  return answers.map(({ status }) => status);
}

describe('a statement that is sent often', () => {
  it('is planned by PostgreSQL once, and the others are not kept', async () => {
    const app = await startApp(FEW);
    try {
      const person = await register(app);
      expect(await preparedIn(app)).toEqual([]);
      expect(await signInOften(app, person)).toEqual([200, 200, 200, 200, 200, 200]);
      const statements = await preparedIn(app);
      for (const table of ['failure_counters', 'users', 'requirement_rules', 'sessions', 'audit_events']) {
        expect(
          statements.some((text) => text.includes(table)),
          table,
        ).toBe(true);
      }
      expect(statements.filter((text) => text.includes('INSERT INTO users'))).toEqual([]);
    } finally {
      await app.close();
    }
  });

  it('answers on when a migration beside it changes what it answers, in a transaction and outside of one', async () => {
    const app = await startApp(FEW);
    try {
      const person = await register(app);
      const { body } = await firstFactor<SignedIn>(app, person.email);
      const token = body.accessToken;
      const me = async () => (await app.http.get('/users/me', { token })).status;
      for (let time = 0; time < 6; time += 1) expect(await me()).toBe(200);
      expect(await signInOften(app, person)).toEqual([200, 200, 200, 200, 200, 200]);

      await app.sql('ALTER TABLE users ALTER COLUMN locale TYPE varchar(99)');

      expect(await me()).toBe(200);
      expect(await signInOften(app, person)).toEqual([200, 200, 200, 200, 200, 200]);
    } finally {
      await app.close();
    }
  });

  it('of the queue does so too: what was asked for is still mailed', async () => {
    const app = await startApp();
    try {
      const mailed = async () => magicLink(app, (await register(app)).email);
      for (let time = 0; time < 3; time += 1) await mailed();

      await app.sql('ALTER TABLE graphile_worker._private_jobs ADD COLUMN of_a_later_version integer');

      for (let time = 0; time < 3; time += 1) await mailed();
    } finally {
      await app.close();
    }
  });
});

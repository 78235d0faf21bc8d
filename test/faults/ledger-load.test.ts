import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TEST_SECRET } from '../support/app.js';
import { startOwnPostgres, type OwnPostgres } from '../support/own-postgres.js';
import { PASSWORD } from '../support/people.js';
import type { ServerProcess } from '../support/server-process.js';
import { isClean, Ledger, ROUNDS, type Entry } from './ledger.js';

// Real: two replicas of the built service on a PostgreSQL of their own, all of which die at once under load.

let postgres: OwnPostgres;
const ledger = new Ledger();
/** What each person asked for, to be compared with what is there. */
const people: { email: string; registered: Entry; signedIn: Entry | null }[] = [];

beforeAll(async () => {
  postgres = await startOwnPostgres();
});
afterAll(() => postgres.remove());

function startReplica(): Promise<ServerProcess> {
  return postgres.startService({
    NODE_ENV: 'test',
    SECRET_KEY: TEST_SECRET,
    PUBLIC_URL: 'https://id.example.test',
  });
}

/** Registers people and signs each in once, until nobody answers any more. */
async function useUntilItDies(url: string): Promise<void> {
  for (;;) {
    const email = `person-${randomBytes(6).toString('hex')}@example.com`;
    const registered = await ledger.post(url, '/users', { email, password: PASSWORD });
    const person = { email, registered, signedIn: null as Entry | null };
    people.push(person);
    if (registered.status === null) return;
    if (registered.status !== 201) continue;
    person.signedIn = await ledger.post(url, '/auth/token', { identifier: email, password: PASSWORD });
    if (person.signedIn.status === null) return;
  }
}

it.runIf(ROUNDS > 0)(
  `${ROUNDS} times kill -9 of both replicas and of the database under load: it starts, and nothing is lost or done twice`,
  async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const replicas = await Promise.all([startReplica(), startReplica()]);
      const clients = replicas.flatMap(({ url }) => [useUntilItDies(url), useUntilItDies(url)]);
      await sleep(1_000 + Math.random() * 1_000);
      await Promise.all([...replicas.map((each) => each.end('SIGKILL')), postgres.kill()]);
      await Promise.all(clients);
      await postgres.restart();
      await expectClean();
    }
    const acknowledged = people.filter(({ signedIn }) => signedIn?.status === 200).length;
    expect(acknowledged).toBeGreaterThan(ROUNDS * 5);
  },
  60_000 + ROUNDS * 30_000,
);

async function expectClean(): Promise<void> {
  const rows = await postgres.sql<{ email: string; created: number; sessions: number }>(
    `SELECT email,
       (SELECT count(*)::integer FROM audit_events WHERE user_id = users.id AND type = 'user.created') AS created,
       (SELECT count(*)::integer FROM sessions WHERE user_id = users.id) AS sessions
     FROM users`,
  );
  const found = new Map(rows.map((row) => [row.email, row]));
  const wrong = people.filter(({ email, registered, signedIn }) => {
    const { created, sessions } = found.get(email) ?? { created: 0, sessions: 0 };
    return !isClean(registered, created) || (signedIn ? !isClean(signedIn, sessions) : sessions !== 0);
  });
  expect(wrong).toEqual([]);
}

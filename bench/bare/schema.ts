import { hash } from '@node-rs/argon2';
import pg from 'pg';
import { ARGON2, PASSWORD, peopleOf, WITH_APP, WITHOUT_APP } from '../people.js';
import { seal } from './secrets.js';

/** What the operations cannot do without: no profile, no audit log, no policy, no counters of failures. */
const TABLES = `
  CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    roles text[] NOT NULL DEFAULT '{}',
    sealed_secret bytea,
    last_step bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
  );
  CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users,
    refresh_hash bytea NOT NULL,
    authenticated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
  );
  CREATE INDEX ON sessions (user_id);
  CREATE TABLE challenges (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users,
    code_hash bytea,
    attempts integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    consumed_at timestamptz
  );
  CREATE INDEX ON challenges (user_id, created_at);`;

/** `people` are those without an app, `appUsers` those with one. */
export async function prepareBare(
  databaseUrl: string,
  people = peopleOf(WITHOUT_APP),
  appUsers = peopleOf(WITH_APP),
): Promise<void> {
  const passwordHash = await hash(PASSWORD, ARGON2);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(TABLES);
    await client.query(`INSERT INTO users (email, password_hash) SELECT email, $2 FROM unnest($1::text[]) email`, [
      people.map(({ email }) => email),
      passwordHash,
    ]);
    await client.query(
      `INSERT INTO users (email, password_hash, sealed_secret)
       SELECT email, $3, secret FROM unnest($1::text[], $2::bytea[]) AS u (email, secret)`,
      [appUsers.map(({ email }) => email), appUsers.map(({ secret }) => seal(secret)), passwordHash],
    );
    await client.query('ANALYZE');
  } finally {
    await client.end();
  }
}

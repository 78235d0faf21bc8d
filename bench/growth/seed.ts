import { hash } from '@node-rs/argon2';
import { generateSecret } from 'otplib';
import pg from 'pg';
import type { Config } from '../../src/config/config.js';
import { Keys } from '../../src/crypto/keys.js';
import { SecretBox } from '../../src/crypto/secret-box.js';
import { migrate } from '../../src/database/migrate.js';
import { DEVICE_SECRET } from '../../src/otp-devices/device-secret.js';

export const PASSWORD = 'three uncommon words';

/** Somebody whose password, authenticator and session the measurement has. */
export interface SeededUser {
  id: string;
  email: string;
  secret: string;
  sessionId: string;
  refreshSalt: Buffer;
}

/** How many users the measurement acts for where nothing else is said. The first of them is an administrator. */
const MEASURED = 1_000;

/** Ids as the service makes them (UUID version 7), so that rows lie in the order in which they came, over two years. */
const functions = (now: string) => `
  CREATE FUNCTION seeded_id(kind int, at timestamptz, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(kind), 3, '0')
            || '8' || lpad(to_hex(n), 15, '0'))::uuid $$;
  CREATE FUNCTION registered_at(n bigint, users bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT timestamptz '${now}' - interval '730 days' * (1 - n::float8 / users) $$;
  CREATE FUNCTION user_id(n bigint, users bigint) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT seeded_id(1, registered_at(n, users), n) $$;
  -- Which user the i-th session or event is of: not in the order of the users.
  CREATE FUNCTION user_of(i bigint, users bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT (i * 611953) % users $$;`;

/** `$1` users, `$2` the one hash of all passwords. */
const USERS = `
  INSERT INTO users (id, email, email_canonical, email_verified_at, username, username_canonical, username_skeleton,
                     phone_number, first_name, last_name, roles, active, password_hash, two_factor_required,
                     created_at, updated_at)
  SELECT user_id(n, $1::bigint), email, email, at, username, username, username,
         CASE WHEN n % 10 = 0 THEN '+4915' || lpad(n::text, 8, '0') END,
         (ARRAY['Ada', 'Grace', 'Alan', 'Edsger', 'Barbara', 'Donald', 'Leslie', 'Radia'])[n % 8 + 1],
         initcap(substr(md5(n::text), 1, 8)), CASE WHEN n % 20 = 7 THEN ARRAY['support'] ELSE '{}' END, n % 50 <> 49, $2,
         false, at, at
  FROM (SELECT n, registered_at(n, $1::bigint) AS at, 'user' || n || '@example.com' AS email,
               CASE WHEN n % 2 = 0 THEN 'user' || n END AS username FROM generate_series(0, $1::bigint - 1) n) u`;

/** Of ten users three have an app, seven a confirmed mailbox, one a sheet of recovery codes. `$2`: the key that seals. */
const DEVICES = `
  INSERT INTO otp_devices (id, user_id, type, name, address, sealed_secret, created_at, confirmed_at, last_used_at)
  SELECT seeded_id(kind, at, n), user_id(n, $1::bigint), type, '', CASE WHEN kind = 3 THEN 'user' || n || '@example.com' END,
         CASE WHEN kind = 2 THEN 'v1.' || $2 || '.' || repeat(md5(n::text), 3) END, at, at, at
  FROM (SELECT n, registered_at(n, $1::bigint) AS at FROM generate_series(0, $1::bigint - 1) n) u
  JOIN (VALUES (2, 'totp', 0, 2), (3, 'email', 2, 8), (4, 'recovery_codes', 0, 0)) AS k (kind, type, first, last)
    ON n % 10 BETWEEN first AND last`;

const RECOVERY_CODES = `
  INSERT INTO recovery_codes (device_id, hash)
  SELECT d.id, sha256((d.id::text || code)::bytea)
  FROM otp_devices d, generate_series(1, 10) code WHERE d.type = 'recovery_codes'`;

/** Three for two users, over the last 30 days; those of more than a week ago were idle for too long. */
const SESSIONS = `
  INSERT INTO sessions (id, user_id, proved, amr, authenticated_at, refresh_salt, refresh_counter, refreshed_at, ip,
                        user_agent, created_at, idle_expires_at, expires_at, ended_at, end_reason)
  SELECT seeded_id(5, at, i), user_id(user_of(i, $1::bigint), $1::bigint), '{password,totp}', '{pwd,otp,mfa}', at,
         decode(md5(i::text), 'hex'), i % 40, at, '198.51.100.7', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0',
         at, at + interval '7 days', at + interval '30 days',
         CASE WHEN i % 5 = 0 THEN at + interval '1 hour' END, CASE WHEN i % 5 = 0 THEN 'signed_out' END
  FROM (SELECT i, now() - interval '30 days' * (1 - i / ($1::bigint * 1.5)) AS at
        FROM generate_series(0, ($1::bigint * 1.5)::bigint - 1) i) s`;

/** One for five users; the day for which they are kept is not over. */
const CHALLENGES = `
  INSERT INTO challenges (id, user_id, device_id, purpose, first_factor, code_hash, attempts, created_at, expires_at,
                          consumed_at, epoch)
  SELECT seeded_id(6, at, d.i), d.user_id, d.id, 'sign_in', '{password}', sha256(d.id::text::bytea), 1, at,
         at + interval '5 minutes', at + interval '20 seconds', 0
  FROM (SELECT row_number() OVER () AS i, id, user_id FROM otp_devices WHERE type = 'email'
        LIMIT ($1::bigint / 5)::bigint) d,
       LATERAL (SELECT now() - interval '1 day' * (1 - d.i * 5.0 / $1::bigint) AS at) t`;

/** Three a user over a year, each with its link: of the right size, but the chain is not one that could be checked. */
const EVENTS = `
  INSERT INTO audit_events (id, type, at, user_id, actor, session_id, request_id, ip, user_agent, details)
  SELECT seeded_id(7, at, i), (ARRAY['sign-in.started', 'sign-in.succeeded', 'session.revoked'])[i % 3 + 1], at,
         user_id(user_of(i, $1::bigint), $1::bigint), 'user', seeded_id(5, at, i), md5(i::text)::uuid::text, '198.51.100.7',
         'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0', '{"factor": "password"}'
  FROM (SELECT i, now() - interval '365 days' * (1 - i / ($1::bigint * 3.0)) AS at
        FROM generate_series(0, $1::bigint * 3 - 1) i) e`;
const CHAIN = `
  INSERT INTO audit_chain (seq, event_id, event_mac, hash)
  SELECT row_number() OVER (ORDER BY id), id, sha256(id::text::bytea), sha256(id::text::bytea) FROM audit_events`;

const RULES = `
  INSERT INTO requirement_rules (id, level, user_id, required, applied, updated_at)
  SELECT seeded_id(8, now(), n), 'user', user_id(n, $1::bigint), true, true, now()
  FROM generate_series(0, $1::bigint - 1, 1000) n`;
const COUNTERS = `
  INSERT INTO failure_counters (key, failures, last_failure_at)
  SELECT sha256(n::text::bytea), 1, now() - interval '1 hour' FROM generate_series(1, $1::bigint / 100) n`;

/** A session of each measured user that still lives: the newest. */
const MEASURED_USERS = `
  SELECT u.id, u.email, s.id AS "sessionId", s.refresh_salt AS "refreshSalt", d.id AS "deviceId"
  FROM generate_series(0, $2::bigint - 1) j, LATERAL (SELECT j * step + j % least(10, step) AS n
    FROM (SELECT greatest(1, $1::bigint / $2) AS step) s) spread
  JOIN users u ON u.email_canonical = 'user' || n || '@example.com'
  CROSS JOIN LATERAL (SELECT id, refresh_salt FROM sessions WHERE user_id = u.id AND ended_at IS NULL
                      ORDER BY created_at DESC LIMIT 1) s
  LEFT JOIN otp_devices d ON d.user_id = u.id AND d.type = 'totp' ORDER BY n`;

/** Fills an empty database by statements of its own: nothing crosses the wire, and a million users take minutes. */
export async function seed(
  databaseUrl: string,
  users: number,
  config: Config,
  wanted = MEASURED,
): Promise<SeededUser[]> {
  await migrate(databaseUrl);
  const box = new SecretBox(config, new Keys(config));
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(functions(new Date().toISOString()));
    // What refers to what is right by construction; to check it takes as long as all the rest.
    await client.query('SET session_replication_role = replica; SET synchronous_commit = off');
    await client.query(USERS, [users, await passwordHash(config)]);
    await client.query(DEVICES, [users, box.sealingKeyId]);
    for (const statement of [SESSIONS, CHALLENGES, EVENTS, RULES, COUNTERS]) {
      await client.query(statement, [users]);
    }
    for (const statement of [RECOVERY_CODES, CHAIN]) await client.query(statement);
    await client.query('VACUUM ANALYZE');
    return await enrollMeasured(client, users, wanted, box);
  } finally {
    await client.end();
  }
}

function passwordHash({ accounts }: Config): Promise<string> {
  const { memoryKib, iterations, parallelism } = accounts.argon2;
  return hash(PASSWORD, { memoryCost: memoryKib, timeCost: iterations, parallelism });
}

/** Gives each of them an app whose secret we know, and a session that lives. */
async function enrollMeasured(client: pg.Client, users: number, wanted: number, box: SecretBox): Promise<SeededUser[]> {
  const { rows } = await client.query<Omit<SeededUser, 'secret'> & { deviceId: string | null }>(MEASURED_USERS, [
    users,
    wanted,
  ]);
  const measured: SeededUser[] = [];
  for (const { deviceId, ...user } of rows) {
    const secret = generateSecret({ length: 20 });
    const id = deviceId ?? crypto.randomUUID();
    await client.query(
      `INSERT INTO otp_devices (id, user_id, type, name, sealed_secret, created_at, confirmed_at)
       VALUES ($1, $2, 'totp', '', $3, now(), now())
       ON CONFLICT (id) DO UPDATE SET sealed_secret = excluded.sealed_secret`,
      [id, user.id, box.seal(secret, DEVICE_SECRET, id)],
    );
    measured.push({ ...user, secret });
  }
  const sessions = measured.map(({ sessionId }) => sessionId);
  await client.query(
    `UPDATE sessions SET refresh_counter = 0, refreshed_at = now(), idle_expires_at = now() + interval '7 days',
            expires_at = now() + interval '7 days' WHERE id = ANY ($1)`,
    [sessions],
  );
  await client.query('UPDATE users SET active = true WHERE id = ANY ($1)', [measured.map(({ id }) => id)]);
  await client.query(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [measured[0]?.id]);
  return measured;
}

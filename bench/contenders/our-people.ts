import { hash } from '@node-rs/argon2';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import type { Config } from '../../src/config/config.js';
import { Keys } from '../../src/crypto/keys.js';
import { SecretBox } from '../../src/crypto/secret-box.js';
import { migrate } from '../../src/database/migrate.js';
import { DEVICE_SECRET } from '../../src/otp-devices/device-secret.js';
import { ARGON2, PASSWORD, peopleOf, WITH_APP, WITHOUT_APP } from '../people.js';

const USERS = `
  INSERT INTO users (id, email, email_canonical, email_verified_at, first_name, last_name, roles, active, password_hash,
                     preferred_method, two_factor_required, created_at, updated_at)
  SELECT id, email, email, now(), 'Ada', 'Lovelace', '{}', true, $3, $4::text, $4::text IS NOT NULL, now(), now()
  FROM unnest($1::uuid[], $2::text[]) AS u (id, email)`;

const APPS = `
  INSERT INTO otp_devices (id, user_id, type, name, sealed_secret, created_at, confirmed_at, last_used_at)
  SELECT id, user_id, 'totp', 'App', sealed_secret, now(), now(), now()
  FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS d (id, user_id, sealed_secret)`;

/** Writes the people into our tables. They would otherwise have to be registered and enrolled one by one, for minutes. */
export async function prepareOurs(
  databaseUrl: string,
  config: Config,
  people = peopleOf(WITHOUT_APP),
  appUsers = peopleOf(WITH_APP),
): Promise<void> {
  await migrate(databaseUrl);
  const box = new SecretBox(config, new Keys(config));
  const passwordHash = await hash(PASSWORD, ARGON2);
  const apps = appUsers.map(({ email, secret }) => {
    const id = uuidv7();
    return { id, userId: uuidv7(), email, sealed: box.seal(secret, DEVICE_SECRET, id) };
  });
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(USERS, [people.map(() => uuidv7()), people.map(({ email }) => email), passwordHash, null]);
    await client.query(USERS, [apps.map(({ userId }) => userId), apps.map(({ email }) => email), passwordHash, 'totp']);
    const devices = [apps.map(({ id }) => id), apps.map(({ userId }) => userId), apps.map(({ sealed }) => sealed)];
    await client.query(APPS, devices);
    await client.query('ANALYZE');
  } finally {
    await client.end();
  }
}

// Makes its tables, and the people that come as JSON on stdin: { passwordHash, people, appUsers }.
import { symmetricEncrypt } from 'better-auth/crypto';
import { getMigrations } from 'better-auth/db/migration';
import { randomUUID } from 'node:crypto';
import { json } from 'node:stream/consumers';
import { auth, options, pool } from './auth.mjs';

const { passwordHash, people, appUsers } = await json(process.stdin);
const { secretConfig: key } = await auth.$context;

await (await getMigrations(options)).runMigrations();
await insertUsers(people, false);
const ids = await insertUsers(appUsers, true);
const secrets = await Promise.all(appUsers.map(({ secret }) => symmetricEncrypt({ key, data: `base32:${secret}` })));
await pool.query(
  `INSERT INTO "twoFactor" (id, "userId", secret, "backupCodes", verified)
   SELECT gen_random_uuid(), id, secret, '', true FROM unnest($1::text[], $2::text[]) AS t (id, secret)`,
  [ids, secrets],
);
await pool.query('ANALYZE');
await pool.end();

async function insertUsers(users, twoFactorEnabled) {
  const ids = users.map(() => randomUUID());
  const emails = users.map(({ email }) => email);
  await pool.query(
    `INSERT INTO "user" (id, name, email, "emailVerified", "createdAt", "updatedAt", "twoFactorEnabled")
     SELECT id, 'Ada', email, true, now(), now(), $3 FROM unnest($1::text[], $2::text[]) AS u (id, email)`,
    [ids, emails, twoFactorEnabled],
  );
  await pool.query(
    `INSERT INTO account (id, "accountId", "providerId", "userId", password, "createdAt", "updatedAt")
     SELECT gen_random_uuid(), id, 'credential', id, $2, now(), now() FROM unnest($1::text[]) AS id`,
    [ids, passwordHash],
  );
  return ids;
}

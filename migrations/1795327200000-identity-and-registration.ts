import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which addresses identify a user, usernames that look alike, fields of the operator's, and registrations under way. */
export class IdentityAndRegistration1795327200000 implements MigrationInterface {
  name = 'IdentityAndRegistration1795327200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE users
        ADD COLUMN email_identifies boolean NOT NULL DEFAULT true,
        ADD COLUMN phone_identifies boolean NOT NULL DEFAULT true,
        ADD COLUMN username_skeleton text,
        ADD COLUMN profile jsonb NOT NULL DEFAULT '{}',
        ADD COLUMN registering_until timestamptz,
        DROP CONSTRAINT users_email_key,
        DROP CONSTRAINT users_phone_number_key;
      COMMENT ON COLUMN users.email_identifies IS 'false: contact data, which others may have too';
      COMMENT ON COLUMN users.username_skeleton IS 'the same for two names that look alike';
      COMMENT ON COLUMN users.registering_until IS 'no account yet: its address has to be proved before';

      CREATE UNIQUE INDEX users_email_key ON users (email_canonical) WHERE email_identifies;
      CREATE UNIQUE INDEX users_phone_number_key ON users (phone_number) WHERE phone_identifies;
      CREATE INDEX users_registering_until_idx ON users (registering_until) WHERE registering_until IS NOT NULL;

      -- Of names that look alike already the oldest keeps others away; nobody loses his name. PostgreSQL folds the case
      -- of other alphabets as its locale knows it, so those names are read as they were folded before.
      WITH looks AS (
        SELECT id, created_at,
          replace(replace(lower(translate(
            normalize(CASE WHEN username ~ '^[ -~]*$' THEN username ELSE username_canonical END, NFD),
            'АВЕЅІЈКМНОРСТУХԚԜӀЬавеѕіјкмнорстухԁԛԝӏһьгпΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβγεηικνορστυχωՕՍՏԼօսհոցզյıɑɡɩI01',
            'ABESlJKMHOPCTYXQWlbabesijkmhopctyxdqwlhbrnABEZHlKMNOPTYXabyenikvopotuxwOUSLouhngqjiagilol')),
            'rn', 'm'), 'vv', 'w') AS skeleton
        FROM users WHERE username_canonical IS NOT NULL)
      UPDATE users SET username_skeleton = oldest.skeleton
      FROM (SELECT DISTINCT ON (skeleton) id, skeleton FROM looks ORDER BY skeleton, created_at, id) oldest
      WHERE users.id = oldest.id;
      ALTER TABLE users ADD CONSTRAINT users_username_skeleton_key UNIQUE (username_skeleton);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX users_email_key, users_phone_number_key;
      ALTER TABLE users
        DROP COLUMN email_identifies, DROP COLUMN phone_identifies, DROP COLUMN username_skeleton,
        DROP COLUMN profile, DROP COLUMN registering_until,
        ADD CONSTRAINT users_email_key UNIQUE (email_canonical),
        ADD CONSTRAINT users_phone_number_key UNIQUE (phone_number);
    `);
  }
}

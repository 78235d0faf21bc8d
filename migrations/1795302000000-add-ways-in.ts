import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Phone numbers, recovery codes, links that are sent, trusted browsers and the language of a user's messages. */
export class AddWaysIn1795302000000 implements MigrationInterface {
  name = 'AddWaysIn1795302000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE users
        ADD COLUMN phone_number text,
        ADD COLUMN phone_verified_at timestamptz,
        ADD COLUMN locale text,
        ADD CONSTRAINT users_phone_number_key UNIQUE (phone_number);

      ALTER TABLE challenges ADD COLUMN provider_id text;
      COMMENT ON COLUMN challenges.provider_id IS 'where a provider made the code and checks it';

      CREATE TABLE recovery_codes (
        device_id uuid NOT NULL REFERENCES otp_devices ON DELETE CASCADE,
        hash bytea NOT NULL,
        used_at timestamptz,
        PRIMARY KEY (device_id, hash)
      );

      CREATE TABLE links (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        purpose text NOT NULL,
        token_hash bytea NOT NULL,
        redirect_to text,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        consumed_at timestamptz,
        epoch integer NOT NULL,
        CONSTRAINT links_token_hash_key UNIQUE (token_hash)
      );
      CREATE INDEX links_user_id_idx ON links (user_id);
      CREATE INDEX links_expires_at_idx ON links (expires_at);

      -- A provider's report finds the message that it is about.
      CREATE INDEX audit_events_provider_id_idx ON audit_events ((details ->> 'providerId'))
        WHERE type = 'message.delivery';

      CREATE TABLE trusted_browsers (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        token_hash bytea NOT NULL,
        user_agent text,
        ip text,
        created_at timestamptz NOT NULL,
        last_used_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        epoch integer NOT NULL,
        CONSTRAINT trusted_browsers_token_hash_key UNIQUE (token_hash)
      );
      CREATE INDEX trusted_browsers_user_id_idx ON trusted_browsers (user_id);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX audit_events_provider_id_idx;
      DROP TABLE trusted_browsers, links, recovery_codes;
      ALTER TABLE challenges DROP COLUMN provider_id;
      ALTER TABLE users DROP COLUMN locale, DROP COLUMN phone_verified_at, DROP COLUMN phone_number;
    `);
  }
}

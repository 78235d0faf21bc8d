import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who somebody is at a provider of identities, and what has proved it once. */
export class SocialIdentities1795338000000 implements MigrationInterface {
  name = 'SocialIdentities1795338000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE social_identities (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        provider text NOT NULL,
        issuer text NOT NULL,
        subject text NOT NULL,
        email text,
        created_at timestamptz NOT NULL,
        last_used_at timestamptz NOT NULL,
        CONSTRAINT social_identities_issuer_subject_key UNIQUE (issuer, subject),
        CONSTRAINT social_identities_user_id_provider_key UNIQUE (user_id, provider)
      );
      COMMENT ON COLUMN social_identities.email IS 'as the provider said at the last use; proves nothing';

      CREATE TABLE social_proofs (
        hash bytea PRIMARY KEY,
        provider text NOT NULL,
        expires_at timestamptz NOT NULL,
        consumed_at timestamptz
      );
      COMMENT ON TABLE social_proofs IS 'nonces that were given out, and access tokens of providers that came: each is good once';
      CREATE INDEX social_proofs_expires_at_idx ON social_proofs (expires_at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE social_proofs, social_identities');
  }
}

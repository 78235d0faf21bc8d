import type { MigrationInterface, QueryRunner } from 'typeorm';

/** When each signing key signs and verifies, told by times, so that every replica agrees by the database's clock. */
export class AddKeyLife1795316400000 implements MigrationInterface {
  name = 'AddKeyLife1795316400000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE signing_keys
        ADD COLUMN activates_at timestamptz NOT NULL DEFAULT now(),
        ADD COLUMN retires_at timestamptz,
        ADD COLUMN expires_at timestamptz,
        ALTER COLUMN public_jwk DROP NOT NULL;

      COMMENT ON COLUMN signing_keys.activates_at IS 'from then on it signs; it is published before';
      COMMENT ON COLUMN signing_keys.retires_at IS 'from then on its successor signs';
      COMMENT ON COLUMN signing_keys.expires_at IS 'from then on it verifies nothing';
      COMMENT ON COLUMN signing_keys.public_jwk IS 'null where the key is a secret that both signs and verifies';

      -- the key of before goes on signing
      UPDATE signing_keys SET activates_at = created_at;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    // The version before signs with the newest key and knows ES256 only; without any it makes one.
    await runner.query(`
      DELETE FROM signing_keys WHERE expires_at <= now() OR algorithm <> 'ES256';
      ALTER TABLE signing_keys
        ALTER COLUMN public_jwk SET NOT NULL,
        DROP COLUMN expires_at,
        DROP COLUMN retires_at,
        DROP COLUMN activates_at;
    `);
  }
}

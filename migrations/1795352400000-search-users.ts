import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Administrators find one of a million users in milliseconds, and each sign-in keeps two indexes fewer up to date: what
 * has expired is found by walking the primary keys.
 */
export class SearchUsers1795352400000 implements MigrationInterface {
  name = 'SearchUsers1795352400000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX challenges_expires_at_idx, enrollments_expires_at_idx, sessions_expires_at_idx, links_expires_at_idx;

      -- PostgreSQL comes with the extension, but somebody else may have to install it: without it a search reads the table.
      DO $$ BEGIN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
        CREATE INDEX users_search_idx ON users USING gin ((
          lower(coalesce(email, '') || ' ' || coalesce(username, '') || ' ' || coalesce(phone_number, '')
          || ' ' || first_name || ' ' || last_name)) gin_trgm_ops);
      EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_file OR undefined_object THEN
        RAISE NOTICE 'pg_trgm cannot be installed: searches of users read the whole table';
      END $$;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX IF EXISTS users_search_idx;
      CREATE INDEX challenges_expires_at_idx ON challenges (expires_at);
      CREATE INDEX enrollments_expires_at_idx ON enrollments (expires_at);
      CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);
      CREATE INDEX links_expires_at_idx ON links (expires_at);
    `);
  }
}

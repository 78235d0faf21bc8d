import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which keys of PASSWORD_PEPPER have hashed passwords, so that a start without one of them can be refused. */
export class KnowPasswordPeppers1795341600000 implements MigrationInterface {
  name = 'KnowPasswordPeppers1795341600000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE password_peppers (
        id text PRIMARY KEY,
        check_value bytea NOT NULL,
        created_at timestamptz NOT NULL
      );
      COMMENT ON COLUMN password_peppers.check_value IS 'a keyed hash: tells another key of the same id, and not the key';
      COMMENT ON COLUMN users.password_hash IS 'PHC string, behind the id of its pepper where there is one';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE password_peppers;
      COMMENT ON COLUMN users.password_hash IS NULL;
    `);
  }
}

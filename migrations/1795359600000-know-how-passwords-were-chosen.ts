import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A password that a text message let somebody choose proves no more than the message. Passwords of before are not known. */
export class KnowHowPasswordsWereChosen1795359600000 implements MigrationInterface {
  name = 'KnowHowPasswordsWereChosen1795359600000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE users ADD COLUMN password_by text CHECK (password_by IN ('email', 'sms'));
      COMMENT ON COLUMN users.password_by IS 'the channel of the message by which the password was chosen; null where none was needed'
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE users DROP COLUMN password_by');
  }
}

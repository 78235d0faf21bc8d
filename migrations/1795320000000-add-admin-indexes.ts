import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The orders in which administrators read the users, and the users of a role. */
export class AddAdminIndexes1795320000000 implements MigrationInterface {
  name = 'AddAdminIndexes1795320000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE INDEX users_created_at_idx ON users (created_at, id);
      CREATE INDEX users_email_order_idx ON users ((coalesce(email_canonical, '')), id);
      CREATE INDEX users_roles_idx ON users USING gin (roles);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX users_created_at_idx, users_email_order_idx, users_roles_idx');
  }
}

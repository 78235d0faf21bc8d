import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How often an address came in the present window, for all replicas together. */
export class ShareAddressWindows1795345200000 implements MigrationInterface {
  name = 'ShareAddressWindows1795345200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE address_windows (
        key bytea PRIMARY KEY,
        hits integer NOT NULL,
        ends_at timestamptz NOT NULL
      ) WITH (fillfactor = 50);
      COMMENT ON TABLE address_windows IS 'requests of one address, by keyed hash of the scope and the address';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE address_windows');
  }
}

import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Addresses that touched the honeypot, as keyed hashes. */
export class IdentityRules1795330800000 implements MigrationInterface {
  name = 'IdentityRules1795330800000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE refused_addresses (key bytea PRIMARY KEY, until timestamptz NOT NULL)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE refused_addresses');
  }
}

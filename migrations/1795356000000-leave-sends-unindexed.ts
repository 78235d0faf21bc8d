import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Old sends are removed page by page by the key of their table, so an index of their time only slows each new one. */
export class LeaveSendsUnindexed1795356000000 implements MigrationInterface {
  name = 'LeaveSendsUnindexed1795356000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX destination_sends_last_sent_at_idx');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE INDEX destination_sends_last_sent_at_idx ON destination_sends (last_sent_at)');
  }
}

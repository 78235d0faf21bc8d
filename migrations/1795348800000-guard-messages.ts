import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What text messages have cost today, which countries they pause for, and the new destinations of an account. */
export class GuardMessages1795348800000 implements MigrationInterface {
  name = 'GuardMessages1795348800000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE text_message_days (
        day date PRIMARY KEY,
        sent integer NOT NULL,
        forgiven integer NOT NULL DEFAULT 0
      );
      COMMENT ON TABLE text_message_days IS 'text messages of a day (UTC); those forgiven are not held against the budget';

      CREATE TABLE text_message_countries (
        country text PRIMARY KEY,
        paused_until timestamptz
      );

      CREATE TABLE sent_text_codes (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        country text NOT NULL,
        key bytea NOT NULL,
        sent_at timestamptz NOT NULL,
        answered boolean NOT NULL DEFAULT false
      );
      COMMENT ON TABLE sent_text_codes IS 'codes of the last hour by keyed hash of the number, and whether they came back';
      CREATE INDEX ON sent_text_codes (country, sent_at);
      CREATE INDEX ON sent_text_codes (key) WHERE NOT answered;

      CREATE TABLE account_destinations (
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        key bytea NOT NULL,
        first_sent_at timestamptz NOT NULL,
        PRIMARY KEY (user_id, key)
      );
      COMMENT ON TABLE account_destinations IS 'new destinations that an account had messages sent to, by keyed hash';
      CREATE INDEX ON account_destinations (first_sent_at);

      CREATE INDEX ON destination_sends (last_sent_at);
      COMMENT ON TABLE destination_sends IS 'unanswered messages by keyed hash of the destination, and of the prefix of a number';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE text_message_days, text_message_countries, sent_text_codes, account_destinations;
      DROP INDEX destination_sends_last_sent_at_idx;
      COMMENT ON TABLE destination_sends IS 'unanswered messages by keyed hash of the destination';
    `);
  }
}

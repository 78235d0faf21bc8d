import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Addresses of other services that are told what happened, and what became of each message. */
export class AddWebhooks1795312800000 implements MigrationInterface {
  name = 'AddWebhooks1795312800000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE webhooks (
        id uuid PRIMARY KEY,
        url text NOT NULL,
        description text NOT NULL,
        events text[] NOT NULL,
        active boolean NOT NULL,
        disabled_reason text,
        failures integer NOT NULL,
        failing_since timestamptz,
        sealed_secret text NOT NULL,
        sealed_previous_secret text,
        previous_secret_until timestamptz,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL
      );
      COMMENT ON COLUMN webhooks.events IS 'empty: all';
      COMMENT ON COLUMN webhooks.disabled_reason IS 'null: it is active, or an administrator switched it off';
      COMMENT ON COLUMN webhooks.failures IS 'in a row';

      CREATE TABLE webhook_deliveries (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        place bigint GENERATED ALWAYS AS IDENTITY,
        webhook_id uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
        event_id uuid NOT NULL,
        type text NOT NULL,
        body text NOT NULL,
        state text NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
        ticket uuid NOT NULL,
        attempts integer NOT NULL,
        last_status integer,
        last_error text,
        next_attempt_at timestamptz,
        created_at timestamptz NOT NULL,
        delivered_at timestamptz,
        UNIQUE (webhook_id, event_id)
      );
      COMMENT ON COLUMN webhook_deliveries.body IS 'as it is signed and sent, the same at every attempt';
      COMMENT ON COLUMN webhook_deliveries.ticket IS 'of the next attempt: another one after each attempt and restart';
      COMMENT ON COLUMN webhook_deliveries.place IS 'the order of the audit log';
      CREATE INDEX webhook_deliveries_place_idx ON webhook_deliveries (webhook_id, place);
      CREATE INDEX webhook_deliveries_due_idx ON webhook_deliveries (webhook_id, next_attempt_at) WHERE state = 'pending';
      CREATE INDEX webhook_deliveries_created_at_idx ON webhook_deliveries (created_at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE webhook_deliveries, webhooks');
  }
}

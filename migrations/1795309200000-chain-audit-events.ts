import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The audit log can only grow, and a chain over it tells when somebody changed it all the same. */
export class ChainAuditEvents1795309200000 implements MigrationInterface {
  name = 'ChainAuditEvents1795309200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE audit_unsealed (
        event_id uuid PRIMARY KEY,
        mac bytea
      );
      COMMENT ON TABLE audit_unsealed IS 'events that wait for their place in the chain';
      COMMENT ON COLUMN audit_unsealed.mac IS
        'keyed hash of the event as it was recorded; null for those that are older than the chain';

      CREATE TABLE audit_chain (
        seq bigint PRIMARY KEY,
        event_id uuid NOT NULL UNIQUE,
        event_mac bytea NOT NULL,
        hash bytea NOT NULL
      );
      COMMENT ON TABLE audit_chain IS
        'no foreign key: it would lock every event once more, and a missing event is what the chain must be able to tell';
      COMMENT ON COLUMN audit_chain.hash IS 'keyed hash of the one before, seq and event_mac';

      CREATE TABLE audit_anchor (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        seq bigint NOT NULL,
        hash bytea NOT NULL,
        mac bytea NOT NULL
      );
      COMMENT ON TABLE audit_anchor IS 'where the chain begins since its oldest links were removed';

      INSERT INTO audit_unsealed (event_id) SELECT id FROM audit_events;

      CREATE INDEX audit_events_at_idx ON audit_events (at, id);
      CREATE INDEX audit_events_type_idx ON audit_events (type, at);
      CREATE INDEX audit_events_actor_id_idx ON audit_events (actor_id, at) WHERE actor_id IS NOT NULL;

      CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'DELETE' AND current_setting('countersign.removes_old_audit_events', true) = 'on' THEN
            RETURN NULL;
          END IF;
          RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END $$;
      CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
      CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_chain
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER append_only ON audit_events;
      DROP INDEX audit_events_at_idx, audit_events_type_idx, audit_events_actor_id_idx;
      DROP TABLE audit_anchor, audit_chain, audit_unsealed;
      DROP FUNCTION refuse_audit_change();
    `);
  }
}

import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who must prove a second factor, by which methods and from when on; and who acted, where it was not the user. */
export class AddRequirementRules1795305600000 implements MigrationInterface {
  name = 'AddRequirementRules1795305600000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE audit_events ADD COLUMN actor_id uuid;
      COMMENT ON COLUMN audit_events.actor_id IS 'the administrator who acted; no foreign key: the log outlives him';

      CREATE TABLE requirement_rules (
        id uuid PRIMARY KEY,
        level text NOT NULL,
        role text,
        user_id uuid REFERENCES users ON DELETE CASCADE,
        required boolean NOT NULL,
        methods text[],
        deadline timestamptz,
        updated_at timestamptz NOT NULL,
        applied boolean NOT NULL,
        CONSTRAINT requirement_rules_level_check CHECK (
          (level = 'global' AND role IS NULL AND user_id IS NULL) OR
          (level = 'role' AND role IS NOT NULL AND user_id IS NULL) OR
          (level = 'user' AND role IS NULL AND user_id IS NOT NULL))
      );
      COMMENT ON COLUMN requirement_rules.methods IS 'null: every method that the configuration trusts';
      COMMENT ON COLUMN requirement_rules.applied IS 'whether the sessions that do not meet it have been ended';
      CREATE UNIQUE INDEX requirement_rules_key ON requirement_rules (level, role, user_id) NULLS NOT DISTINCT;
      CREATE INDEX requirement_rules_user_id_idx ON requirement_rules (user_id) WHERE user_id IS NOT NULL;
      CREATE INDEX requirement_rules_due_idx ON requirement_rules (deadline) WHERE NOT applied;

      ALTER TABLE trusted_browsers ADD COLUMN method text;
      COMMENT ON COLUMN trusted_browsers.method IS 'what was proved when the browser was trusted';
      ALTER TABLE sessions ADD COLUMN trusted_method text;
      COMMENT ON COLUMN sessions.trusted_method IS 'what a trusted browser stood in for';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE sessions DROP COLUMN trusted_method;
      ALTER TABLE trusted_browsers DROP COLUMN method;
      DROP TABLE requirement_rules;
      ALTER TABLE audit_events DROP COLUMN actor_id;
    `);
  }
}

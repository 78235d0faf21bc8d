import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Invitations, which end with the right of whoever sent them. */
export class Invitations1795334400000 implements MigrationInterface {
  name = 'Invitations1795334400000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE invitations (
        id uuid PRIMARY KEY,
        inviter_id uuid REFERENCES users ON DELETE SET NULL,
        address text NOT NULL,
        email text,
        roles text[] NOT NULL,
        require_two_factor boolean NOT NULL,
        methods text[],
        message text NOT NULL,
        locale text,
        redirect_to text,
        token_hash bytea NOT NULL,
        lifetime_seconds integer NOT NULL,
        messages integer NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        revoked_at timestamptz,
        accepted_at timestamptz,
        accepted_by uuid REFERENCES users ON DELETE CASCADE,
        CONSTRAINT invitations_token_hash_key UNIQUE (token_hash)
      );
      COMMENT ON COLUMN invitations.address IS 'canonical e-mail address or E.164';
      COMMENT ON COLUMN invitations.email IS 'as it was typed; null: the address is a phone number';
      CREATE INDEX invitations_inviter_id_idx ON invitations (inviter_id, id);
      CREATE INDEX invitations_created_at_idx ON invitations (inviter_id, created_at);
      CREATE INDEX invitations_address_idx ON invitations (inviter_id, address);
      CREATE INDEX invitations_accepted_by_idx ON invitations (accepted_by) WHERE accepted_by IS NOT NULL;

      -- For good: what a stolen account has sent must not come back to life when its owner is let in again.
      CREATE FUNCTION revoke_invitations() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        UPDATE invitations SET revoked_at = now()
        WHERE inviter_id = NEW.id AND accepted_at IS NULL AND revoked_at IS NULL
          AND (NOT NEW.active OR roles <> '{}' OR methods IS NOT NULL);
        RETURN NULL;
      END $$;
      CREATE TRIGGER users_stop_inviting AFTER UPDATE ON users FOR EACH ROW
        WHEN ((OLD.active AND NOT NEW.active) OR ('admin' = ANY (OLD.roles) AND NOT 'admin' = ANY (NEW.roles)))
        EXECUTE FUNCTION revoke_invitations();
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER users_stop_inviting ON users;
      DROP FUNCTION revoke_invitations();
      DROP TABLE invitations;
    `);
  }
}

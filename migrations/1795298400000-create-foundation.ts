import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Users, devices, challenges, enrollments, sessions, signing keys, counters and the audit log. */
export class CreateFoundation1795298400000 implements MigrationInterface {
  name = 'CreateFoundation1795298400000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE users (
        id uuid PRIMARY KEY,
        email text,
        email_canonical text,
        email_verified_at timestamptz,
        username text,
        username_canonical text,
        first_name text NOT NULL,
        last_name text NOT NULL,
        roles text[] NOT NULL,
        active boolean NOT NULL,
        password_hash text,
        preferred_method text,
        two_factor_required boolean NOT NULL,
        epoch integer NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT users_email_key UNIQUE (email_canonical),
        CONSTRAINT users_username_key UNIQUE (username_canonical)
      );

      COMMENT ON COLUMN users.epoch IS
        'every change of the account''s security adds one: open challenges and enrollments of an older epoch are void';

      CREATE TABLE otp_devices (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        type text NOT NULL,
        name text NOT NULL,
        address text,
        sealed_secret text,
        last_step bigint,
        failures integer NOT NULL DEFAULT 0,
        blocked_until timestamptz,
        disabled_at timestamptz,
        created_at timestamptz NOT NULL,
        expires_at timestamptz,
        confirmed_at timestamptz,
        last_used_at timestamptz
      );
      COMMENT ON COLUMN otp_devices.expires_at IS 'while pending; a confirmed device does not expire';
      COMMENT ON COLUMN otp_devices.failures IS 'failed proofs in a row, over all challenges; a success resets it';
      CREATE INDEX otp_devices_user_id_idx ON otp_devices (user_id);
      CREATE UNIQUE INDEX otp_devices_address_key ON otp_devices (user_id, type, address) WHERE address IS NOT NULL;

      CREATE TABLE challenges (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        device_id uuid NOT NULL REFERENCES otp_devices ON DELETE CASCADE,
        purpose text NOT NULL,
        first_factor text[] NOT NULL,
        code_hash bytea,
        attempts integer NOT NULL DEFAULT 0,
        last_attempt_at timestamptz,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        consumed_at timestamptz,
        epoch integer NOT NULL
      );
      CREATE INDEX challenges_user_id_idx ON challenges (user_id);
      CREATE INDEX challenges_device_id_idx ON challenges (device_id);
      CREATE INDEX challenges_expires_at_idx ON challenges (expires_at);

      CREATE TABLE enrollments (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        proved text[] NOT NULL,
        methods text[] NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        consumed_at timestamptz,
        epoch integer NOT NULL
      );
      COMMENT ON TABLE enrollments IS 'one row an enrollment token';
      CREATE INDEX enrollments_user_id_idx ON enrollments (user_id);
      CREATE INDEX enrollments_expires_at_idx ON enrollments (expires_at);

      CREATE TABLE sessions (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        proved text[] NOT NULL,
        amr text[] NOT NULL,
        authenticated_at timestamptz NOT NULL,
        refresh_salt bytea NOT NULL,
        refresh_counter integer NOT NULL DEFAULT 0,
        refreshed_at timestamptz NOT NULL,
        ip text,
        user_agent text,
        created_at timestamptz NOT NULL,
        idle_expires_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        ended_at timestamptz,
        end_reason text
      );
      COMMENT ON COLUMN sessions.proved IS 'password or method types, in the order they were proved; acr is computed from it';
      CREATE INDEX sessions_user_id_idx ON sessions (user_id, created_at);
      CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);

      CREATE TABLE signing_keys (
        kid text PRIMARY KEY,
        algorithm text NOT NULL,
        public_jwk jsonb NOT NULL,
        sealed_private_key text NOT NULL,
        created_at timestamptz NOT NULL
      );

      CREATE TABLE failure_counters (
        key bytea PRIMARY KEY,
        failures integer NOT NULL,
        last_failure_at timestamptz NOT NULL,
        blocked_until timestamptz
      );
      COMMENT ON TABLE failure_counters IS 'wrong passwords by keyed hash of the identifier, known or not';

      CREATE TABLE destination_sends (
        key bytea PRIMARY KEY,
        last_sent_at timestamptz NOT NULL,
        sent_at timestamptz[] NOT NULL
      );
      COMMENT ON TABLE destination_sends IS 'unanswered messages by keyed hash of the destination';

      CREATE TABLE audit_events (
        id uuid PRIMARY KEY,
        type text NOT NULL,
        at timestamptz NOT NULL,
        user_id uuid,
        actor text NOT NULL,
        session_id uuid,
        request_id text,
        ip text,
        user_agent text,
        details jsonb NOT NULL
      );
      COMMENT ON COLUMN audit_events.user_id IS 'no foreign key: the log outlives the user';
      CREATE INDEX audit_events_user_id_idx ON audit_events (user_id, at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE audit_events, destination_sends, failure_counters, signing_keys,
        sessions, enrollments, challenges, otp_devices, users
    `);
  }
}

import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Tells every replica, at the commit, whose sessions or roles are no longer what it may remember. */
export class AnnounceEndedSessions1795323600000 implements MigrationInterface {
  name = 'AnnounceEndedSessions1795323600000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE FUNCTION announce_session_change() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM pg_notify('countersign_sessions', 'user ' || OLD.user_id);
        RETURN NULL;
      END $$;
      CREATE FUNCTION announce_user_change() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM pg_notify('countersign_sessions', 'user ' || OLD.id);
        RETURN NULL;
      END $$;

      CREATE TRIGGER sessions_changed AFTER UPDATE ON sessions FOR EACH ROW
        WHEN (OLD.ended_at IS DISTINCT FROM NEW.ended_at OR OLD.authenticated_at IS DISTINCT FROM NEW.authenticated_at)
        EXECUTE FUNCTION announce_session_change();
      CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions FOR EACH ROW
        EXECUTE FUNCTION announce_session_change();
      CREATE TRIGGER users_changed AFTER UPDATE ON users FOR EACH ROW
        WHEN (OLD.active IS DISTINCT FROM NEW.active OR OLD.roles IS DISTINCT FROM NEW.roles)
        EXECUTE FUNCTION announce_user_change();
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER users_changed ON users;
      DROP TRIGGER sessions_deleted ON sessions;
      DROP TRIGGER sessions_changed ON sessions;
      DROP FUNCTION announce_user_change();
      DROP FUNCTION announce_session_change();
    `);
  }
}

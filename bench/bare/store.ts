import pg from 'pg';

export interface User {
  id: string;
  passwordHash: string;
  roles: string[];
  sealedSecret: Buffer | null;
}

export interface Charged {
  id: string;
  userId: string;
  codeHash: Buffer | null;
  roles: string[];
  sealedSecret: Buffer | null;
}

export interface Profile {
  id: string;
  email: string;
  roles: string[];
  createdAt: Date;
}

const SESSION_LIFETIME = `now() + interval '7 days'`;
const CHALLENGE_LIFETIME = `now() + interval '5 minutes'`;
const OPEN = 'consumed_at IS NULL AND expires_at > now() AND attempts < 5';

/** The statements, one a function, each prepared once a connection; what must be atomic is one of them. */
export class Store {
  private readonly pool: pg.Pool;

  constructor(databaseUrl: string) {
    // as many as DATABASE_POOL_SIZE has by default
    this.pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });
  }

  end(): Promise<void> {
    return this.pool.end();
  }

  findUser(email: string): Promise<User | null> {
    return this.first<User>(
      'find-user',
      `SELECT id, password_hash AS "passwordHash", roles, sealed_secret AS "sealedSecret" FROM users WHERE email = $1`,
      [email],
    );
  }

  findProfile(id: string): Promise<Profile | null> {
    return this.first<Profile>(
      'find-profile',
      `SELECT id, email, roles, created_at AS "createdAt" FROM users WHERE id = $1`,
      [id],
    );
  }

  insertUser(email: string, passwordHash: string): Promise<Profile | null> {
    return this.first<Profile>(
      'insert-user',
      `INSERT INTO users (email, password_hash) VALUES ($1, $2) ON CONFLICT DO NOTHING
       RETURNING id, email, roles, created_at AS "createdAt"`,
      [email, passwordHash],
    );
  }

  insertSession(id: string, userId: string, refreshHash: Buffer): Promise<{ id: string } | null> {
    return this.first(
      'insert-session',
      `INSERT INTO sessions (id, user_id, refresh_hash, expires_at) VALUES ($1, $2, $3, ${SESSION_LIFETIME})
       RETURNING id`,
      [id, userId, refreshHash],
    );
  }

  /** Of the same refresh token, sent twice at once, one is exchanged. */
  rotate(id: string, old: Buffer, successor: Buffer): Promise<{ userId: string; roles: string[] } | null> {
    return this.first(
      'rotate',
      `UPDATE sessions SET refresh_hash = $3, expires_at = ${SESSION_LIFETIME} FROM users
       WHERE sessions.id = $1 AND refresh_hash = $2 AND expires_at > now() AND users.id = user_id
       RETURNING user_id AS "userId", roles`,
      [id, old, successor],
    );
  }

  insertChallenge(id: string, userId: string): Promise<{ id: string } | null> {
    return this.first(
      'insert-challenge',
      `INSERT INTO challenges (id, user_id, expires_at) VALUES ($1, $2, ${CHALLENGE_LIFETIME}) RETURNING id`,
      [id, userId],
    );
  }

  /** Null where nobody has the address. */
  insertCode(id: string, email: string, codeHash: Buffer): Promise<{ id: string } | null> {
    return this.first(
      'insert-code',
      `INSERT INTO challenges (id, user_id, code_hash, expires_at)
       SELECT $1, id, $3, ${CHALLENGE_LIFETIME} FROM users WHERE email = $2 RETURNING id`,
      [id, email, codeHash],
    );
  }

  /** Counts an attempt before the code is looked at, or parallel guesses would all be looked at. */
  charge(id: string): Promise<Charged | null> {
    return this.first<Charged>('charge', charge('$1'), [id]);
  }

  chargeLatest(email: string): Promise<Charged | null> {
    const latest = `(SELECT challenges.id FROM challenges JOIN users ON users.id = user_id
                     WHERE email = $1 ORDER BY challenges.created_at DESC LIMIT 1)`;
    return this.first<Charged>('charge-latest', charge(latest), [email]);
  }

  /** Consumes a challenge, and the app's time step with it, for a session. */
  consumeForStep(challengeId: string, step: number, sessionId: string, refreshHash: Buffer): Promise<object | null> {
    return this.first(
      'consume-for-step',
      `WITH consumed AS (UPDATE challenges SET consumed_at = now() WHERE id = $1 AND consumed_at IS NULL
                         RETURNING user_id),
            stepped AS (UPDATE users SET last_step = $2 FROM consumed WHERE id = user_id AND last_step < $2
                        RETURNING id)
       INSERT INTO sessions (id, user_id, refresh_hash, expires_at)
       SELECT $3, id, $4, ${SESSION_LIFETIME} FROM stepped RETURNING id`,
      [challengeId, step, sessionId, refreshHash],
    );
  }

  consumeCode(challengeId: string, sessionId: string, refreshHash: Buffer): Promise<object | null> {
    return this.first(
      'consume-code',
      `WITH consumed AS (UPDATE challenges SET consumed_at = now() WHERE id = $1 AND consumed_at IS NULL
                         RETURNING user_id)
       INSERT INTO sessions (id, user_id, refresh_hash, expires_at)
       SELECT $2, user_id, $3, ${SESSION_LIFETIME} FROM consumed RETURNING id`,
      [challengeId, sessionId, refreshHash],
    );
  }

  private async first<Row extends pg.QueryResultRow>(
    name: string,
    text: string,
    values: unknown[],
  ): Promise<Row | null> {
    const { rows } = await this.pool.query<Row>({ name, text, values });
    return rows[0] ?? null;
  }
}

function charge(id: string): string {
  return `UPDATE challenges SET attempts = attempts + 1 FROM users
          WHERE challenges.id = ${id} AND users.id = user_id AND ${OPEN}
          RETURNING challenges.id, user_id AS "userId", code_hash AS "codeHash", roles, sealed_secret AS "sealedSecret"`;
}

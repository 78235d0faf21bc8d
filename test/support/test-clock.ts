import pg from 'pg';
import { Clock } from '../../src/clock/clock.js';

const SCHEMA = 'test_clock';

/**
 * Puts a `now()` of ours before PostgreSQL's: same statements, same database, another time. It works through the
 * search path of the connection, so the service under test knows nothing of it.
 */
export async function installTestClock(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(
    `CREATE SCHEMA ${SCHEMA};
     CREATE TABLE ${SCHEMA}.shift (by interval NOT NULL);
     INSERT INTO ${SCHEMA}.shift VALUES ('0');
     CREATE FUNCTION ${SCHEMA}.now() RETURNS timestamptz LANGUAGE sql STABLE
       AS 'SELECT pg_catalog.now() + by FROM ${SCHEMA}.shift'`,
  );
  await client.end();
}

/** The URL through which a connection sees the shifted time. */
export function shiftedUrl(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.searchParams.set('options', `-c search_path=${SCHEMA},pg_catalog,public`);
  return url.href;
}

/** Moves the time of the process and of its database together. */
export class TestClock extends Clock {
  private shiftedBy = 0;
  private readonly connection: pg.Pool;

  constructor(databaseUrl: string) {
    super();
    // Kept open, because some tests move it a hundred times; it goes with the database, which is no error.
    this.connection = new pg.Pool({ connectionString: databaseUrl, max: 1 });
    this.connection.on('error', () => undefined);
  }

  now(): Date {
    return new Date(Date.now() + this.shiftedBy * 1000);
  }

  async advance(seconds: number): Promise<void> {
    this.shiftedBy += seconds;
    await this.connection.query(`UPDATE ${SCHEMA}.shift SET by = make_interval(secs => $1)`, [this.shiftedBy]);
  }
}

import pg from 'pg';
import { eventMac, nextLink, type ChainPlace } from '../../../src/audit/chain.js';
import { EVENT_COLUMNS, type StoredEvent } from '../../../src/audit/stored-event.js';
import type { Config } from '../../../src/config/config.js';
import { Keys } from '../../../src/crypto/keys.js';
import { migrate } from '../../../src/database/migrate.js';

const BATCH = 5_000;

/** Events of a year and more ago, in a chain that the service finds intact. */
export async function chainOldEvents(databaseUrl: string, events: number, config: Config): Promise<void> {
  await migrate(databaseUrl);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('SET synchronous_commit = off');
    await client.query(
      `INSERT INTO audit_events (id, type, at, user_id, actor, session_id, request_id, ip, user_agent, details)
       SELECT ('01700000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'sign-in.succeeded',
              now() - interval '800 days' + n * interval '1 second', gen_random_uuid(), 'user', gen_random_uuid(),
              gen_random_uuid()::text, '198.51.100.7', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0',
              '{"factor": "password"}'
       FROM generate_series(1, $1::bigint) n`,
      [events],
    );
    const key = new Keys(config).for('audit-chain');
    let before: ChainPlace | null = null;
    let after = '00000000-0000-0000-0000-000000000000';
    for (let done = 0; done < events; done += BATCH) {
      const { rows }: { rows: StoredEvent[] } = await client.query<StoredEvent>(
        `SELECT ${EVENT_COLUMNS} FROM audit_events AS e WHERE e.id > $1 ORDER BY e.id LIMIT ${BATCH}`,
        [after],
      );
      const links = rows.map((event) => {
        const mac = eventMac(key, event);
        const place: ChainPlace = nextLink(key, before, mac);
        before = place;
        return { ...place, id: event.id, mac };
      });
      await client.query(
        `INSERT INTO audit_chain (seq, event_id, event_mac, hash)
         SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[], $4::bytea[])`,
        [
          links.map(({ seq }) => seq),
          links.map(({ id }) => id),
          links.map(({ mac }) => mac),
          links.map(({ hash }) => hash),
        ],
      );
      after = rows.at(-1)?.id ?? after;
    }
    await client.query('VACUUM ANALYZE');
  } finally {
    await client.end();
  }
}

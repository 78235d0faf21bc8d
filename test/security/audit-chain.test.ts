import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { DataSource, type EntityManager } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AuditFeed, type SealedEvent } from '../../src/audit/audit-feed.js';
import { Audit } from '../../src/audit/audit.service.js';
import { ChainCheck } from '../../src/audit/chain-check.js';
import { Retention } from '../../src/audit/retention.js';
import { Sealer } from '../../src/audit/sealer.js';
import { startApp, type TestApp } from '../support/app.js';

const DAY = 86_400;
/** Who holds it is the only one to seal. */
const CHAIN_LOCK = 7_245_190_418;
const FORGED = '019aa000-0000-7000-8000-00000000000f';

let shared: TestApp;
let app: TestApp;
/** In the order in which they were recorded. */
let ids: string[];

beforeAll(async () => {
  shared = await startApp({ AUDIT_RETENTION: '30d' });
});
afterAll(() => shared.close());

beforeEach(async () => {
  app = shared;
  await begin();
});

describe('the audit log as it is', () => {
  it('is intact, with every event in the chain once', async () => {
    expect(await verify()).toMatchObject({ intact: true, events: 6, unsealed: 0, faults: [], head: { seq: 6 } });
    expect(await chained()).toEqual(ids);
  });

  it('is intact whatever an event says, and although PostgreSQL stores it in its own way', async () => {
    const details = { filter: { z: '\u2028 "ü" \\ 𝄞', a: '', 10: 'x', 9: 'y', ['__proto__']: 'z' } };
    const client = { ip: '2001:db8::1', userAgent: 'Ünïcode \u00a0𝄞', requestId: 'r', locale: null };
    const userId = '019AA000-0000-7000-8000-00000000000A';
    const actor = { kind: 'admin' as const, userId };
    await app.app
      .get(DataSource)
      .transaction((tx) =>
        app.app.get(Audit).record(tx, 'audit.exported', { userId, sessionId: userId, actor, client }, details),
      );
    await app.app.get(Sealer).sealNow();
    expect(await verify()).toMatchObject({ intact: true, events: 7, faults: [] });
  });

  it('is intact while events wait for their place, and says how many', async () => {
    const blocker = await holdLock();
    await record(app, 2);
    expect(await verify()).toMatchObject({ intact: true, events: 6, unsealed: 2 });
    await blocker.end();
  });

  it('refuses to be changed, emptied or shortened', async () => {
    for (const table of ['audit_events', 'audit_chain']) {
      for (const statement of [`DELETE FROM ${table}`, `TRUNCATE ${table}`]) {
        await expect(app.sql(statement)).rejects.toThrow(`${table} is append-only`);
      }
    }
    await expect(app.sql(`UPDATE audit_events SET ip = NULL`)).rejects.toThrow('append-only');
    await expect(app.sql(`UPDATE audit_chain SET hash = ''`)).rejects.toThrow('append-only');
    expect(await verify()).toMatchObject({ intact: true, events: 6 });
  });
});

describe('the check finds, where somebody writes to the database past the triggers,', () => {
  it.each([
    ['details', `details = '{"count": 7}'`],
    ['an address', `ip = '203.0.113.99'`],
    ['a type', `type = 'sign-in.succeeded'`],
    ['a time, be it by a microsecond', `at = at + interval '1 microsecond'`],
    ['whom it is about', `user_id = '${FORGED}'`],
    ['who acted', `actor = 'cli'`],
  ])('an event of which %s was changed', async (_, change) => {
    await tamper(`UPDATE audit_events SET ${change} WHERE id = '${ids[2]}'`);
    expect(await faults()).toEqual([{ seq: 3, eventId: ids[2], kind: 'changed' }]);
  });

  it('an event that was removed', async () => {
    await tamper(`DELETE FROM audit_events WHERE id = '${ids[3]}'`);
    expect(await faults()).toEqual([{ seq: 4, eventId: ids[3], kind: 'missing' }]);
  });

  it('an event that was removed together with its link', async () => {
    await tamper(
      `DELETE FROM audit_events WHERE id = '${ids[3]}'; DELETE FROM audit_chain WHERE event_id = '${ids[3]}'`,
    );
    expect(await faults()).toEqual([{ seq: 4, eventId: null, kind: 'missing' }]);
  });

  it('a link that was removed, and the event that is without one', async () => {
    await tamper(`DELETE FROM audit_chain WHERE seq = 2`);
    expect(await faults()).toEqual([
      { seq: 2, eventId: null, kind: 'missing' },
      { seq: null, eventId: ids[1], kind: 'unchained' },
    ]);
  });

  it('links that were closed up over one that was removed', async () => {
    await tamper(
      `DELETE FROM audit_events WHERE id = '${ids[3]}'; DELETE FROM audit_chain WHERE seq = 4;
       UPDATE audit_chain SET seq = 4 WHERE seq = 5; UPDATE audit_chain SET seq = 5 WHERE seq = 6`,
    );
    expect(await faults()).toEqual([
      { seq: 4, eventId: ids[4], kind: 'broken link' },
      { seq: 5, eventId: ids[5], kind: 'broken link' },
    ]);
  });

  it('events that changed their places', async () => {
    await tamper(
      `UPDATE audit_chain SET seq = -1 WHERE seq = 2; UPDATE audit_chain SET seq = 2 WHERE seq = 3;
       UPDATE audit_chain SET seq = 3 WHERE seq = -1`,
    );
    expect(await faults()).toEqual([
      { seq: 2, eventId: ids[2], kind: 'broken link' },
      { seq: 3, eventId: ids[1], kind: 'broken link' },
      { seq: 4, eventId: ids[3], kind: 'broken link' },
    ]);
  });

  it('events that changed their contents with each other', async () => {
    await tamper(`UPDATE audit_events SET id = '${FORGED}' WHERE id = '${ids[1]}';
                  UPDATE audit_events SET id = '${ids[1]}' WHERE id = '${ids[2]}';
                  UPDATE audit_events SET id = '${ids[2]}' WHERE id = '${FORGED}'`);
    expect(await faults()).toEqual([
      { seq: 2, eventId: ids[1], kind: 'changed' },
      { seq: 3, eventId: ids[2], kind: 'changed' },
    ]);
  });

  it('an event that was added', async () => {
    await app.sql(forgery());
    expect(await faults()).toEqual([{ seq: null, eventId: FORGED, kind: 'unchained' }]);
  });

  it('an event that was added with a link to it, as it cannot be computed without the key', async () => {
    await app.sql(forgery());
    await app.sql(
      `INSERT INTO audit_chain SELECT 7, '${FORGED}', event_mac, hash FROM audit_chain ORDER BY seq DESC LIMIT 1`,
    );
    expect(await faults()).toEqual([
      { seq: 7, eventId: FORGED, kind: 'broken link' },
      { seq: 7, eventId: FORGED, kind: 'changed' },
    ]);
  });

  it.each([
    ['without its keyed hash', 'NULL'],
    ['with one that is made up', `'\\x00'`],
    ['with that of another event', `(SELECT event_mac FROM audit_chain WHERE seq = 1)`],
  ])('an event that was handed to the service to seal %s', async (_, mac) => {
    await app.sql(forgery());
    await app.sql(`INSERT INTO audit_unsealed VALUES ('${FORGED}', ${mac})`);
    await app.app.get(Sealer).sealNow();
    expect(await faults()).toEqual([{ seq: null, eventId: FORGED, kind: 'unchained' }]);
    expect(await gaps()).toEqual([{ eventId: FORGED, found: 'changed' }]);
  });

  it('the end cut off, for whoever kept where the chain ended', async () => {
    const { head } = await verify();
    await tamper(
      `DELETE FROM audit_events WHERE id IN ('${ids[4]}', '${ids[5]}'); DELETE FROM audit_chain WHERE seq > 4`,
    );
    expect(await faults()).toEqual([]); // nothing in the database can tell
    expect(await app.app.get(ChainCheck).verify(head)).toMatchObject({
      intact: false,
      faults: [{ seq: 6, eventId: null, kind: 'missing' }],
    });
    // neither when it has grown again as long
    await record(app, 4);
    await app.app.get(Sealer).sealNow();
    expect(await app.app.get(ChainCheck).verify(head)).toMatchObject({ intact: false, events: 8, head: { seq: 8 } });
  });

  it('and an end that was kept is found again as long as nobody did', async () => {
    const { head } = await verify();
    await record(app, 3);
    await app.app.get(Sealer).sealNow();
    expect(await app.app.get(ChainCheck).verify(head)).toMatchObject({ intact: true, events: 9 });
  });
});

describe('an event that was changed or vanished before it was sealed', () => {
  it('stays outside the chain, is recorded as a gap, and nobody is told that it happened', async () => {
    const heard: SealedEvent[] = [];
    app.app.get(AuditFeed).subscribe((_, events) => Promise.resolve(void heard.push(...events)));
    const blocker = await holdLock();
    const [changed = '', vanished = '', untouched = ''] = await record(app, 3);
    await tamper(`UPDATE audit_events SET ip = '203.0.113.99' WHERE id = '${changed}';
                  DELETE FROM audit_events WHERE id = '${vanished}'`);
    await blocker.end();
    await app.app.get(Sealer).sealNow();
    expect(await gaps()).toEqual([
      { eventId: changed, found: 'changed' },
      { eventId: vanished, found: 'missing' },
    ]);
    expect(await faults()).toEqual([{ seq: null, eventId: changed, kind: 'unchained' }]);
    expect(heard.map(({ id, type }) => (type === 'audit.gap' ? type : id))).toEqual([
      untouched,
      'audit.gap',
      'audit.gap',
    ]);
  });
});

describe('events that are older than the chain', () => {
  it('are all taken into its first batch', async () => {
    await tamper(`DELETE FROM audit_chain; INSERT INTO audit_unsealed (event_id) SELECT id FROM audit_events`);
    await record(app, 1);
    await app.app.get(Sealer).sealNow();
    expect(await verify()).toMatchObject({ intact: true, events: 7 });
  });
});

describe('two replicas', () => {
  it('seal in parallel, and it is one unbroken chain', async () => {
    const replica = await startApp({ AUDIT_RETENTION: '30d' }, { replicaOf: app });
    try {
      const seal = async (of: TestApp) => {
        const own: string[] = [];
        for (let round = 0; round < 10; round++) {
          own.push(...(await record(of, 7)));
          await of.app.get(Sealer).sealNow();
        }
        return own;
      };
      const recorded = (await Promise.all([seal(app), seal(replica), seal(app), seal(replica)])).flat();
      expect(await verify()).toMatchObject({ intact: true, events: 6 + 280, unsealed: 0, head: { seq: 286 } });
      expect((await chained()).toSorted()).toEqual([...ids, ...recorded].toSorted());
    } finally {
      await replica.close();
    }
  });

  it('seal by themselves within seconds', async () => {
    await record(app, 3);
    await expect.poll(() => verify(), { timeout: 5_000 }).toMatchObject({ intact: true, events: 9, unsealed: 0 });
  });
});

describe('who is told what was sealed', () => {
  // a listener stays
  beforeEach(async () => {
    app = await startApp();
    await begin();
  });
  afterEach(() => app.close());

  it('hears every event once and in order, also in batches', async () => {
    const heard: string[] = [];
    app.app.get(AuditFeed).subscribe((_, events) => Promise.resolve(void heard.push(...events.map(({ id }) => id))));
    const recorded = await record(app, 1_234);
    await app.app.get(Sealer).sealNow();
    expect(heard).toEqual(recorded);
    expect(await chained()).toEqual([...ids, ...recorded]);
  });

  it('is told again what he could not take, and loses nothing', async () => {
    const heard: string[] = [];
    let failures = 2;
    app.app.get(AuditFeed).subscribe((_, events) => {
      if (failures-- > 0) throw new Error('the database is busy');
      heard.push(...events.map(({ id }) => id));
      return Promise.resolve();
    });
    const recorded = await record(app, 3);
    await expect.poll(() => verify(), { timeout: 5_000 }).toMatchObject({ unsealed: 0 });
    expect(heard).toEqual(recorded);
    expect(await verify()).toMatchObject({ intact: true, events: 9, unsealed: 0 });
  });

  it('cannot hold the chain back for ever, and leaves nothing of what he began', async () => {
    await app.sql('CREATE TABLE public.begun (id uuid)');
    app.app.get(AuditFeed).subscribe(async (tx: EntityManager, [event]) => {
      await tx.query('INSERT INTO public.begun VALUES ($1)', [event?.id]);
      await tx.query('SELECT 1 / 0');
    });
    await record(app, 3);
    await expect(app.app.get(Sealer).sealNow()).rejects.toThrow('division by zero');
    expect(await verify()).toMatchObject({ events: 6, unsealed: 3 });
    await app.clock.advance(61);
    await app.app.get(Sealer).sealNow();
    expect(await verify()).toMatchObject({ intact: true, events: 9, unsealed: 0 });
    expect(await app.sql('SELECT 1 FROM public.begun')).toEqual([]);
  });
});

describe('old events', () => {
  const removeOld = () => app.app.get(Retention).removeFor(60_000);

  it('are removed, and the chain holds', async () => {
    const { head } = await verify();
    await app.clock.advance(31 * DAY);
    const young = await record(app, 2);
    await app.app.get(Sealer).sealNow();
    await removeOld();
    await app.app.get(Sealer).sealNow();
    expect(await verify()).toMatchObject({ intact: true, events: 3, unsealed: 0, faults: [], head: { seq: 9 } });
    expect(await app.sql('SELECT id FROM audit_events WHERE type <> $1', ['audit.removed'])).toEqual(
      young.map((id) => ({ id })),
    );
    expect(await app.sql(`SELECT details FROM audit_events WHERE type = 'audit.removed'`)).toEqual([
      { details: { events: 6, upTo: 6 } },
    ]);
    expect(await app.app.get(ChainCheck).verify(head)).toMatchObject({ intact: true });
    // the triggers are closed again
    await expect(app.sql('DELETE FROM audit_events')).rejects.toThrow('append-only');
  });

  it('are removed all, and the next event continues the chain', async () => {
    await app.clock.advance(31 * DAY);
    await removeOld();
    expect(await verify()).toMatchObject({ intact: true, events: 0, head: { seq: 6 } });
    await app.app.get(Sealer).sealNow();
    expect(await verify()).toMatchObject({ intact: true, events: 1, head: { seq: 7 } });
  });

  it('are removed in batches, however many there are', async () => {
    await record(app, 2_500);
    await app.app.get(Sealer).sealNow();
    await app.clock.advance(31 * DAY);
    await removeOld();
    await app.app.get(Sealer).sealNow();
    expect(await verify()).toMatchObject({ intact: true, events: 3, head: { seq: 2_509 } });
  });

  it('that are too many for one job are left to the next one', async () => {
    await record(app, 2_500);
    await app.app.get(Sealer).sealNow();
    await app.clock.advance(31 * DAY);
    await app.app.get(Retention).removeFor(0);
    expect(await app.sql(`SELECT details FROM audit_events WHERE type = 'audit.removed'`)).toEqual([
      { details: { events: 1_000, upTo: 1_000 } },
    ]);
    const old = `SELECT id FROM audit_events WHERE type <> 'audit.removed'`;
    await expect.poll(() => app.sql(old), { timeout: 10_000 }).toEqual([]);
    await app.app.get(Sealer).sealNow();
    expect(await verify()).toMatchObject({ intact: true, events: 3, head: { seq: 2_509 } });
  });

  it('are kept for ever where AUDIT_RETENTION is off', async () => {
    const keeping = await startApp({ AUDIT_RETENTION: 'off' }, { replicaOf: app });
    try {
      await app.clock.advance(4_000 * DAY);
      await keeping.app.get(Retention).removeFor(60_000);
      expect(await verify()).toMatchObject({ intact: true, events: 6 });
    } finally {
      await keeping.close();
    }
  });

  it('are not what a young event becomes by changing its time: the service destroys no proof', async () => {
    await tamper(`UPDATE audit_events SET at = at - interval '2 years' WHERE id = '${ids[0]}'`);
    await removeOld();
    expect(await faults()).toEqual([{ seq: 1, eventId: ids[0], kind: 'changed' }]);
  });

  it('are not what somebody says they are who removes events and copies an anchor out of the chain', async () => {
    await tamper(
      `INSERT INTO audit_anchor SELECT true, seq, hash, event_mac FROM audit_chain WHERE seq = 3;
       DELETE FROM audit_events WHERE id IN (SELECT event_id FROM audit_chain WHERE seq <= 3);
       DELETE FROM audit_chain WHERE seq <= 3`,
    );
    expect(await faults()).toEqual([{ seq: 3, eventId: null, kind: 'broken link' }]);
  });
});

async function record(from: TestApp, count: number): Promise<string[]> {
  const client = { ip: '203.0.113.7', userAgent: 'a browser', requestId: randomUUID(), locale: null };
  await from.app.get(DataSource).transaction(async (tx) => {
    for (let n = 0; n < count; n++) {
      await from.app.get(Audit).record(tx, 'session.revoked', { userId: null, client }, { reason: `reason ${n}` });
    }
  });
  const own = 'SELECT id FROM audit_events WHERE request_id = $1 ORDER BY id';
  return (await from.sql<{ id: string }>(own, [client.requestId])).map(({ id }) => id);
}

/** Six events in a chain of their own. */
async function begin(): Promise<void> {
  await tamper(`SELECT pg_advisory_xact_lock(${CHAIN_LOCK});
                DELETE FROM audit_events; DELETE FROM audit_unsealed; DELETE FROM audit_chain; DELETE FROM audit_anchor`);
  ids = await record(app, 6);
  await app.app.get(Sealer).sealNow();
}

/** What a superuser can do who does not know the key. */
async function tamper(statements: string): Promise<void> {
  const client = new pg.Client({ connectionString: app.database.url });
  await client.connect();
  await client.query(`SET session_replication_role = replica; ${statements}`);
  await client.end();
}

/** Nothing is sealed until the connection ends. */
async function holdLock(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: app.database.url });
  await client.connect();
  await client.query(`SELECT pg_advisory_lock(${CHAIN_LOCK})`);
  return client;
}

function forgery(): string {
  return `INSERT INTO audit_events (id, type, at, actor, details)
          VALUES ('${FORGED}', 'sign-in.succeeded', now(), 'user', '{}')`;
}

const verify = () => app.app.get(ChainCheck).verify();

async function faults() {
  const { intact, faults: found } = await verify();
  expect(intact).toBe(found.length === 0);
  return found;
}

async function chained(): Promise<string[]> {
  const rows = await app.sql<{ id: string }>('SELECT event_id AS id FROM audit_chain ORDER BY seq');
  return rows.map(({ id }) => id);
}

async function gaps(): Promise<unknown[]> {
  const rows = await app.sql<{ details: unknown }>(
    `SELECT details FROM audit_events WHERE type = 'audit.gap' ORDER BY id`,
  );
  return rows.map(({ details }) => details);
}

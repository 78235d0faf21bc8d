import { randomBytes, randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { migrate } from '../../src/database/migrate.js';
import { migrations } from '../../src/database/migrations.js';
import { canonicalUsername } from '../../src/users/identity.js';
import { skeletonOf } from '../../src/users/lookalikes.js';
import { startApp, type TestApp } from '../support/app.js';
import { administer, urlOf } from '../support/global-setup.js';

const FOLDER = new URL('../../migrations/', import.meta.url);
/** Tables without an entity: one statement each reads and writes them. */
const WITHOUT_ENTITY = [
  'account_destinations',
  'address_windows',
  'audit_anchor',
  'audit_chain',
  'audit_unsealed',
  'destination_sends',
  'failure_counters',
  'invitations',
  'links',
  'migrations',
  'password_peppers',
  'recovery_codes',
  'refused_addresses',
  'requirement_rules',
  'sent_text_codes',
  'social_identities',
  'social_proofs',
  'text_message_countries',
  'text_message_days',
  'trusted_browsers',
  'webhook_deliveries',
  'webhooks',
];

describe('the list of migrations', () => {
  const files = readdirSync(FOLDER).sort();

  it('names every file of the folder, in order', async () => {
    const listed: unknown[] = [];
    for (const file of files) {
      const exports = (await import(new URL(file, FOLDER).href)) as Record<string, unknown>;
      listed.push(...Object.values(exports));
    }
    expect(files.length).toBeGreaterThan(0);
    expect(migrations).toEqual(listed);
  });

  it('and every file says in its name when it was written and what it does', () => {
    for (const file of files) expect(file).toMatch(/^\d{13}-[a-z]+(-[a-z0-9]+)*\.ts$/);
    for (const [index, Migration] of migrations.entries()) {
      const stamp = files[index]?.slice(0, 13);
      expect(Migration.name).toMatch(new RegExp(`^[A-Z][A-Za-z0-9]+${stamp}$`));
      expect(new Migration().name).toBe(Migration.name);
    }
  });
});

describe('an empty database', () => {
  let url: string;
  beforeAll(async () => {
    url = await createEmpty();
  });
  afterAll(() => drop(url));

  it('goes up, all the way down and up again to the same tables', async () => {
    const source = new DataSource({ type: 'postgres', url, installExtensions: false, migrations });
    await source.initialize();
    try {
      const names = migrations.map(({ name }) => name);
      expect((await source.runMigrations({ transaction: 'each' })).map(({ name }) => name)).toEqual(names);
      const first = await schemaOf(url);
      expect(first.length).toBeGreaterThan(50);

      for (const name of names) {
        expect(name).toBeDefined();
        await source.undoLastMigration({ transaction: 'each' });
      }
      expect((await schemaOf(url)).filter((line) => !line.includes('migrations'))).toEqual([]);

      expect(await source.runMigrations({ transaction: 'each' })).toHaveLength(names.length);
      expect(await schemaOf(url)).toEqual(first);
      expect(await source.runMigrations({ transaction: 'each' })).toEqual([]);
    } finally {
      await source.destroy();
    }
  });
});

describe('usernames from before lookalikes were refused', () => {
  it('keep lookalikes away as new ones do; of two that look alike already the oldest', async () => {
    const names = ['PayPal', 'paypa1', 'Ren\u00e9', 'анна', 'ЁЛКА', 'νίκος', '山田', 'vvorn0', 'PAYPAI'];
    const url = await createEmpty();
    const index = migrations.findIndex(({ name }) => name.startsWith('IdentityAndRegistration'));
    const source = new DataSource({
      type: 'postgres',
      url,
      installExtensions: false,
      migrations: migrations.slice(0, index),
    });
    await source.initialize();
    try {
      await source.runMigrations({ transaction: 'each' });
      for (const [second, username] of names.entries()) {
        await source.query(
          `INSERT INTO users (id, username, username_canonical, first_name, last_name, roles, active, two_factor_required,
                              created_at, updated_at)
           VALUES ($1, $2, $3, '', '', '{}', true, false, to_timestamp($4), now())`,
          [randomUUID(), username, canonicalUsername(username), second],
        );
      }
    } finally {
      await source.destroy();
    }
    try {
      await migrate(url);
      const rows = await query(url, 'SELECT username, username_skeleton AS skeleton FROM users ORDER BY created_at');
      const lookalikes = ['paypa1', 'PAYPAI'];
      expect(rows).toEqual(
        names.map((username) => ({
          username,
          skeleton: lookalikes.includes(username) ? null : skeletonOf(username),
        })),
      );
    } finally {
      await drop(url);
    }
  });
});

describe('replicas that start at the same moment', () => {
  it('all come up: one migrates, the others wait and find nothing to do', async () => {
    const url = await createEmpty();
    try {
      const applied = await Promise.all(Array.from({ length: 4 }, () => migrate(url)));
      const names = migrations.map(({ name }) => name);
      expect(applied.filter((each) => each.length > 0)).toEqual([names]);
      expect(await query(url, 'SELECT name FROM migrations')).toEqual(names.map((name) => ({ name })));
      expect(await query(url, "SELECT to_regclass('graphile_worker._private_jobs') IS NOT NULL AS there")).toEqual([
        { there: true },
      ]);
      expect(await migrate(url)).toEqual([]);
    } finally {
      await drop(url);
    }
  });

  it('also after one was killed in the middle: what it had begun is gone, and its lock with it', async () => {
    const url = await createEmpty();
    try {
      // Stopped as soon as it has begun to wait for this table, in the middle of its transaction.
      const blocker = await connect(url);
      await blocker.query('BEGIN; CREATE TABLE users (id int)');
      const killed = migrate(url).then(
        () => 'finished',
        () => 'killed',
      );
      await expect
        .poll(
          async () =>
            (
              await query(
                url,
                `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock' AND state = 'active'`,
              )
            ).length,
          { interval: 10, timeout: 10_000 },
        )
        .toBe(1);
      await blocker.query('ROLLBACK');
      await blocker.end();
      expect(await killed).toBe('killed');
      expect(await migrate(url)).toEqual(migrations.map(({ name }) => name));
    } finally {
      await drop(url);
    }
  });
});

describe('entities and tables', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  it('have the same columns: name, type and whether null is allowed', async () => {
    const tables = await app.sql<{ table: string; column: string; type: string; nullable: boolean }>(
      `SELECT c.relname AS "table", a.attname AS "column", format_type(a.atttypid, a.atttypmod) AS type,
              NOT a.attnotnull AS nullable
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
       WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped`,
    );
    const entities = app.app.get(DataSource).entityMetadatas.flatMap(({ tableName, columns }) =>
      columns.map((column) => ({
        table: tableName,
        column: column.databaseName,
        type: spelledOut(String(column.type)) + (column.isArray ? '[]' : ''),
        nullable: column.isNullable,
      })),
    );
    const line = (each: { table: string; column: string; type: string; nullable: boolean }) =>
      `${each.table}.${each.column} ${each.type}${each.nullable ? ' NULL' : ''}`;
    expect(entities.length).toBeGreaterThan(50);
    expect(
      tables
        .filter(({ table }) => !WITHOUT_ENTITY.includes(table))
        .map(line)
        .sort(),
    ).toEqual(entities.map(line).sort());
    expect([...new Set(tables.map(({ table }) => table))]).toEqual(expect.arrayContaining(WITHOUT_ENTITY));
  });
});

function spelledOut(type: string): string {
  return type === 'timestamptz' ? 'timestamp with time zone' : type;
}

/** Every column, index and constraint, a line each. */
async function schemaOf(url: string): Promise<string[]> {
  const rows = await query<{ line: string }>(
    url,
    `SELECT format('column %s.%s %s %s %s', table_name, column_name, udt_name, is_nullable, column_default) AS line
       FROM information_schema.columns WHERE table_schema = 'public'
     UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
     UNION ALL SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
       FROM pg_constraint WHERE connamespace = 'public'::regnamespace
     UNION ALL SELECT format('comment %s %s %s', objoid::regclass, objsubid, description)
       FROM pg_description WHERE classoid = 'pg_class'::regclass AND objoid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)`,
  );
  return rows.map(({ line }) => line).sort();
}

async function createEmpty(): Promise<string> {
  const name = `countersign_test_${randomBytes(6).toString('hex')}`;
  await administer(inject('postgresUrl'), `CREATE DATABASE ${name} TEMPLATE template0`);
  return urlOf(inject('postgresUrl'), name);
}

async function drop(url: string): Promise<void> {
  await administer(inject('postgresUrl'), `DROP DATABASE IF EXISTS ${new URL(url).pathname.slice(1)} WITH (FORCE)`);
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

async function query<Row extends object>(url: string, statement: string): Promise<Row[]> {
  const client = await connect(url);
  try {
    return (await client.query<Row>(statement)).rows;
  } finally {
    await client.end();
  }
}

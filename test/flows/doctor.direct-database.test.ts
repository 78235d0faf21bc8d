import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { hasPgBouncer, startPgBouncer, type PgBouncer } from '../scale/pgbouncer.js';
import { documentOf, runAlone } from '../support/command-line.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';

/** PgBouncer is started, and the doctor looks for a mail server too. */
vi.setConfig({ testTimeout: 60_000 });

interface Checks {
  checks: { name: string; state: string; detail: string }[];
}

describe('what the doctor says of DATABASE_DIRECT_URL', () => {
  let database: TestDatabase;
  let another: TestDatabase;
  let pooler: PgBouncer | undefined;
  beforeAll(async () => {
    [database, another] = await Promise.all([createDatabase(), createDatabase()]);
    if (hasPgBouncer) pooler = await startPgBouncer(database.url);
  });
  afterAll(async () => {
    await pooler?.stop();
    await Promise.all([database.drop(), another.drop()]);
  });

  /** The line of the report, and whether the command fails. */
  async function ask(DATABASE_URL: string, direct: Record<string, string>) {
    const ran = await runAlone(['doctor', '--json'], { DATABASE_URL, ...direct });
    const { checks } = documentOf<Checks>(ran, ran.code ?? -1);
    expect(checks).toContainEqual(expect.objectContaining({ name: 'database', state: 'ok' }));
    const { state, detail } = checks.find(({ name }) => name === 'direct database') ?? {};
    return { code: ran.code, state, detail };
  }

  it('nothing, where it is not set', async () => {
    expect(await ask(database.url, {})).toEqual({ code: 0 });
  });

  it.skipIf(!hasPgBouncer)('that it is right, where it leads past the pooler of DATABASE_URL', async () => {
    const url = pooler?.urlOf(database.url) ?? '';
    expect(await ask(url, { DATABASE_DIRECT_URL: database.url })).toMatchObject({ code: 0, state: 'ok' });
  });

  it('that it fails, where it leads to another database of the same server', async () => {
    expect(await ask(database.url, { DATABASE_DIRECT_URL: another.url })).toMatchObject({
      code: 1,
      state: 'failed',
      detail: expect.stringContaining('leads to another database than DATABASE_URL') as unknown,
    });
  });

  it.skipIf(!hasPgBouncer)('that it spares nothing, where it leads to a pooler too', async () => {
    const url = pooler?.urlOf(database.url) ?? '';
    expect(await ask(database.url, { DATABASE_DIRECT_URL: url })).toMatchObject({
      code: 0,
      state: 'warning',
      detail: expect.stringContaining('leads to a pooler') as unknown,
    });
  });

  it('that it fails, where nobody answers or there is no such database, and not what its password is', async () => {
    const nowhere = 'postgres://somebody:kept-to-itself@127.0.0.1:1/countersign';
    const dropped = new URL(database.url);
    dropped.pathname = '/no_such_database';
    const answers = [
      await ask(database.url, { DATABASE_DIRECT_URL: nowhere }),
      await ask(database.url, { DATABASE_DIRECT_URL: dropped.href }),
    ];
    expect(answers).toMatchObject([
      { code: 1, state: 'failed', detail: expect.stringContaining('ECONNREFUSED') as unknown },
      { code: 1, state: 'failed', detail: expect.stringContaining('3D000') as unknown },
    ]);
    expect(JSON.stringify(answers)).not.toContain('kept-to-itself');
  });
});

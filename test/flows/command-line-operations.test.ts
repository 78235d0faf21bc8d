import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, inject, it, vi } from 'vitest';
import { AdminCreation } from '../../src/admin/admin-creation.service.js';
import { startApp, TEST_SECRET } from '../support/app.js';
import { countersign, documentOf, refusalOf, runAlone, runCommand } from '../support/command-line.js';
import { administer, urlOf } from '../support/global-setup.js';
import { MailServer } from '../support/mail-server.js';
import { PASSWORD, register } from '../support/people.js';
import { createDatabase } from '../support/postgres.js';
import { endProcesses, newFolder, startProcess } from '../support/server-process.js';

/** Every test starts processes that load the whole application. */
vi.setConfig({ testTimeout: 60_000 });

afterEach(() => endProcesses());

interface Checks {
  checks: { name: string; state: string; detail: string }[];
}

describe('migrate', () => {
  it('tells what is pending without writing, and applies it; with MIGRATE_ON_START=off commands refuse until then', async () => {
    await withEmptyDatabase(async (DATABASE_URL) => {
      const env = { DATABASE_URL, MIGRATE_ON_START: 'off' };
      const before = documentOf<{ migrations: { applied: boolean }[] }>(
        await runAlone(['migrate', 'status', '--json'], env),
        1,
      );
      expect(before.migrations.filter(({ applied }) => applied)).toEqual([]);
      expect(refusalOf(await runAlone(['users', 'list', '--json'], env))).toMatchObject({
        exitCode: 1,
        code: 'configuration',
        message: expect.stringContaining('countersign migrate up') as unknown,
      });
      const { applied } = documentOf<{ applied: string[] }>(await countersign(['migrate', 'up', '--json'], env));
      expect(applied.length).toBe(before.migrations.length - 1);
      const { code, stdout } = await runAlone(['migrate', 'status'], env);
      expect([code, stdout.includes('pending')]).toEqual([0, false]);
    });
  });
});

describe('doctor', () => {
  it('fails where the mail server is down, and is content where it answers', async () => {
    const database = await createDatabase();
    const mailServer = await MailServer.create();
    const env = {
      DATABASE_URL: database.url,
      NODE_ENV: 'production',
      PUBLIC_URL: 'https://id.example.test',
      SMTP_URL: `smtp://somebody:${PASSWORD.replaceAll(' ', '-')}@127.0.0.1:${mailServer.port}`,
    };
    try {
      const down = await runAlone(['doctor', '--json'], env);
      expect(statesOf(documentOf<Checks>(down, 1))).toMatchObject({ database: 'ok', mail: 'failed' });
      expect(down.stdout).not.toContain(PASSWORD.replaceAll(' ', '-'));

      await mailServer.start();
      const up = { ...env, SMTP_URL: `smtp://127.0.0.1:${mailServer.port}` };
      const content = documentOf<Checks>(await countersign(['doctor', '--json'], up));
      expect(content.checks.filter(({ state }) => state !== 'ok')).toEqual([]);
    } finally {
      await mailServer.stop();
      await database.drop();
    }
  });
});

describe('what stops a start is a failure of the doctor too', () => {
  it('a protocol that traces are not sent with', async () => {
    const traces = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
    const { checks } = documentOf<Checks>(await runAlone(['doctor', '--json'], traces), 1);
    expect(checks).toMatchObject([{ name: 'configuration', state: 'failed' }]);
    expect(checks[0]?.detail).toContain('OTEL_EXPORTER_OTLP_PROTOCOL');
  });

  it('a pepper that passwords have and the settings lack', async () => {
    const app = await startApp({ PASSWORD_PEPPER: `kept:${randomBytes(32).toString('base64')}` });
    try {
      await register(app);
      const { checks } = documentOf<Checks>(
        await runAlone(['doctor', '--json'], { DATABASE_URL: app.database.url }),
        1,
      );
      expect(checks).toContainEqual({
        name: 'pepper',
        state: 'failed',
        detail: expect.stringContaining('PASSWORD_PEPPER lacks the key "kept"') as unknown,
      });
      expect(await app.sql('SELECT id FROM password_peppers')).toEqual([{ id: 'kept' }]);
    } finally {
      await app.close();
    }
  });

  it('a database that writes times in another way than the driver reads', async () => {
    const database = await createDatabase();
    const name = new URL(database.url).pathname.slice(1);
    await administer(inject('postgresUrl'), `ALTER DATABASE ${name} SET DateStyle = 'SQL, DMY'`);
    try {
      const { stdout, code } = await runAlone(['doctor', '--json'], { DATABASE_URL: database.url });
      expect([code, stdout]).toEqual([1, expect.stringContaining('DateStyle of the database or its user is SQL, DMY')]);
    } finally {
      await database.drop();
    }
  });
});

describe('the embedded database', () => {
  it('is shared with the service that runs it; what was done is sealed at once, and mails wait for the service', async () => {
    const DATA_DIR = newFolder();
    const server = await startProcess({ DATA_DIR, SECRET_KEY: TEST_SECRET });
    const created = await countersign(
      ['users', 'create-admin', '--email', 'ada@example.com', '--password-stdin', '--json'],
      { DATA_DIR },
      `${PASSWORD}\n`,
    );
    expect(documentOf(created)).toMatchObject({ outcome: 'created', link: null });
    const answer = await fetch(`${server.url}/api/v1/auth/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ identifier: 'ada@example.com', password: PASSWORD }),
    });
    expect(await answer.json()).toMatchObject({ status: 'second_factor_required', codeSent: true });
    await server.end('SIGTERM');

    const reset = await countersign(['two-factor', 'reset', 'ada@example.com', '--yes', '--json'], { DATA_DIR });
    documentOf(reset);
    const checked = documentOf(await countersign(['audit', 'verify', '--json'], { DATA_DIR }));
    expect(checked).toMatchObject({ intact: true, unsealed: 0 });

    // No command does jobs: the mail waits for a service.
    const next = await startProcess({ DATA_DIR, SECRET_KEY: TEST_SECRET });
    await vi.waitFor(
      async () => expect(await (await fetch(`${next.url}/dev/outbox.json`)).text()).toMatch(/"to":"ada@example.com"/),
      { timeout: 10_000 },
    );
  });
});

describe('BOOTSTRAP_ADMIN_EMAIL', () => {
  it('prints one link, of two processes that start at once, and none at the next start', async () => {
    await withEmptyDatabase(async (DATABASE_URL) => {
      const env = { DATABASE_URL, SECRET_KEY: TEST_SECRET, BOOTSTRAP_ADMIN_EMAIL: 'first@example.com' };
      const both = await Promise.all([startProcess(env), startProcess(env)]);
      const links = () => both.flatMap((server) => server.output().match(/\/reset-password\?token=[\w-]{43}/g) ?? []);
      await vi.waitFor(() => expect(links()).toHaveLength(1), { timeout: 10_000 });
      const next = await startProcess(env);
      expect(await next.end('SIGTERM')).toBe(0);
      expect([links().length, next.output().includes('/reset-password')]).toEqual([1, false]);

      const token = links()[0]?.split('=')[1];
      const confirmed = await fetch(`${both[0].url}/api/v1/auth/password-reset/confirm`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ token, newPassword: PASSWORD }),
      });
      expect(confirmed.status).toBe(204);
    });
  });

  it('makes one administrator, however many ask at the same moment', async () => {
    const app = await startApp();
    try {
      const creation = app.app.get(AdminCreation);
      const asked = await Promise.all(Array.from({ length: 5 }, () => creation.createFirst('first@example.com')));
      expect(asked.filter((link) => link !== null)).toEqual([{ url: expect.any(String), expiresAt: expect.any(Date) }]);
    } finally {
      await app.close();
    }
  });

  it('does not promote an account that somebody registered before', async () => {
    const app = await startApp();
    try {
      await register(app, { email: 'first@example.com' });
      const env = { DATABASE_URL: app.database.url, SECRET_KEY: TEST_SECRET };
      const next = await startProcess({ ...env, BOOTSTRAP_ADMIN_EMAIL: 'First@Example.com' });
      await vi.waitFor(() => expect(next.output()).toContain('countersign users create-admin'), { timeout: 10_000 });
      expect(next.output()).not.toContain('/reset-password');
      const list = await runCommand(app, ['users', 'list', '--role', 'admin', '--json']);
      expect(documentOf(list)).toEqual({ items: [], nextCursor: null });
    } finally {
      await endProcesses();
      await app.close();
    }
  });
});

function statesOf({ checks }: Checks): Record<string, string> {
  return Object.fromEntries(checks.map(({ name, state }) => [name, state]));
}

async function withEmptyDatabase(use: (url: string) => Promise<void>): Promise<void> {
  const server = inject('postgresUrl');
  const name = `countersign_test_${randomBytes(6).toString('hex')}`;
  await administer(server, `CREATE DATABASE ${name}`);
  try {
    await use(urlOf(server, name));
  } finally {
    await endProcesses();
    await administer(server, `DROP DATABASE ${name} WITH (FORCE)`);
  }
}

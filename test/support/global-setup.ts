import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../src/database/embedded.js';
import { migrate } from '../../src/database/migrate.js';
import { installTestClock } from './test-clock.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** A real PostgreSQL: any database of it, as a user who may create others. */
    postgresUrl: string;
    /** The migrated database that every test file gets a copy of. */
    templateDatabase: string;
  }
}

/** One PostgreSQL a run: the one of DATABASE_URL, or an embedded one that is thrown away. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startServer();
  const template = `countersign_test_template_${process.pid}`;
  await administer(server.url, `DROP DATABASE IF EXISTS ${template}`);
  await administer(server.url, `CREATE DATABASE ${template}`);
  await migrate(urlOf(server.url, template));
  await installTestClock(urlOf(server.url, template));
  project.provide('postgresUrl', server.url);
  project.provide('templateDatabase', template);
  return async () => {
    await administer(server.url, `DROP DATABASE IF EXISTS ${template} WITH (FORCE)`);
    await server.stop();
  };
}

async function startServer(): Promise<{ url: string; stop(): Promise<void> }> {
  const given = process.env['DATABASE_URL'];
  if (given) return { url: given, stop: () => Promise.resolve() };
  const folder = mkdtempSync(join(tmpdir(), 'countersign-test-'));
  const embedded = await startEmbeddedPostgres(folder, { throwaway: true, maxConnections: 200 });
  return {
    url: embedded.url('postgres'),
    async stop() {
      await embedded.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function urlOf(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  return url.href;
}

export async function administer(serverUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

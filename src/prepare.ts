import { Logger } from '@nestjs/common';
import { completeConfig, type Config, type Settings } from './config/config.js';
import { generatedSecret } from './config/generated-secret.js';
import { ensureDatabase, startEmbeddedPostgres } from './database/embedded.js';
import { migrate } from './database/migrate.js';

const DATABASE = 'countersign';

/** From settings to something that can run: a database, its tables, and the secrets that the first start makes. */
export async function prepare(
  settings: Settings,
  { migrates = settings.storage.migrateOnStart }: { migrates?: boolean } = {},
): Promise<Config> {
  const secretKey = settings.secrets.secretKey ?? generatedSecret(settings.storage.dataDir);
  const databaseUrl = settings.storage.databaseUrl ?? (await embeddedDatabase(settings));
  const config = completeConfig(settings, { databaseUrl, secretKey });
  if (migrates) await applyMigrations(config.storage.directUrl);
  return config;
}

/** It ends with this process: its supervisor sees to that, however the process ends. */
async function embeddedDatabase({ storage, server }: Settings): Promise<string> {
  const logger = new Logger('Database');
  const embedded = await startEmbeddedPostgres(storage.dataDir);
  await ensureDatabase(embedded, DATABASE);
  logger.log(`Embedded PostgreSQL, data in ${embedded.dataFolder}${embedded.owned ? '' : ' (run by another process)'}`);
  if (server.production) logger.warn('DATABASE_URL is not set: the embedded database serves one machine only');
  return embedded.url(DATABASE);
}

async function applyMigrations(directUrl: string): Promise<void> {
  const applied = await migrate(directUrl);
  if (applied.length > 0) new Logger('Database').log(`Applied: ${applied.join(', ')}`);
}

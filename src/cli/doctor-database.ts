import pg from 'pg';
import { DataSource, type EntityManager } from 'typeorm';
import type { Config } from '../config/config.js';
import { Keys } from '../crypto/keys.js';
import { sealedColumns } from '../crypto/sealed-columns.js';
import { SecretBox, UnsealError } from '../crypto/secret-box.js';
import { dataSourceOptions } from '../database/data-source.js';
import { findMigrationStates } from '../database/migrate.js';
import { findMissingKeyIds } from '../database/sealed.queries.js';
import { findUnfitness } from '../database/unfitness.js';
import { findLiveKeys } from '../tokens/signing-key.queries.js';
import { findPepperFault } from '../users/pepper-check.js';
import { failed, ok, warning, type Check } from './check.js';
import { checkDirectDatabase } from './doctor-direct-database.js';

/** Milliseconds. */
const TIMEOUT = 5_000;
const LEAST_VERSION = 15;
/** Seconds of difference that a busy machine explains. */
const USUAL_SKEW = 1;
const POOL_SIZE = 2;

/** The server, its clock, the tables, and whether the keys open what is stored. Nothing is written. */
export async function checkDatabase(config: Config, explain: (cause: unknown) => string): Promise<Check[]> {
  const { databaseUrl } = config.storage;
  try {
    const unfit = await connected(databaseUrl, findUnfitness);
    // Nothing that it answers could be relied on, the time least of all.
    if (unfit.length > 0) return unfit.map((fault) => failed('database', fault));
    const server = [
      ...(await connected(databaseUrl, (client) => checkServer(client, config.tokens.leewaySeconds))),
      ...(await checkDirectDatabase(config)),
    ];
    const pending = (await findMigrationStates(databaseUrl)).filter(({ applied }) => !applied);
    if (pending.length > 0) {
      const detail = `${pending.length} are pending; apply them with: countersign migrate up`;
      return [...server, config.storage.migrateOnStart ? warning('migrations', detail) : failed('migrations', detail)];
    }
    return [...server, ok('migrations', 'all are applied'), ...(await checkKeys(config))];
  } catch (cause) {
    return [failed('database', explain(cause))];
  }
}

async function connected<T>(databaseUrl: string, ask: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: TIMEOUT,
    query_timeout: TIMEOUT,
  });
  await client.connect();
  try {
    return await ask(client);
  } finally {
    await client.end();
  }
}

async function checkServer(client: pg.Client, leewaySeconds: number): Promise<Check[]> {
  const asked = Date.now();
  const { rows } = await client.query<{ version: number; now: Date }>(
    `SELECT current_setting('server_version_num')::int / 10000 AS version, clock_timestamp() AS now`,
  );
  const answered = Date.now();
  const [found] = rows;
  if (!found) return [failed('database', 'it answered nothing')];
  const ahead = (found.now.getTime() - (asked + answered) / 2) / 1000;
  return [checkVersion(found.version), checkClock(ahead, leewaySeconds)];
}

function checkVersion(version: number): Check {
  if (version >= LEAST_VERSION) return ok('database', `PostgreSQL ${version}`);
  return failed('database', `PostgreSQL ${version} is too old; ${LEAST_VERSION} or newer is needed`);
}

/** Codes go by the database's clock and tokens by this machine's. */
function checkClock(secondsAhead: number, leewaySeconds: number): Check {
  const off = Math.abs(secondsAhead);
  const detail = `the database's clock and this one are ${off.toFixed(1)} s apart`;
  if (off <= USUAL_SKEW) return ok('clock', detail);
  if (off <= leewaySeconds) return warning('clock', `${detail}; synchronize both machines`);
  return failed('clock', `${detail}, more than CLOCK_LEEWAY; synchronize both machines`);
}

async function checkKeys(config: Config): Promise<Check[]> {
  const source = new DataSource(dataSourceOptions(config.storage.databaseUrl, POOL_SIZE));
  await source.initialize();
  try {
    const box = new SecretBox(config, new Keys(config));
    return [
      await checkEncryptionKeys(source.manager, box),
      await checkSigningKeys(source.manager, box, config),
      await checkPeppers(source.manager, config),
    ];
  } finally {
    await source.destroy();
  }
}

async function checkEncryptionKeys(db: EntityManager, box: SecretBox): Promise<Check> {
  const missing = await findMissingKeyIds(db, Object.values(sealedColumns), box.keyIds);
  if (missing.length === 0) return ok('encryption keys', 'everything that is stored can be opened');
  const names = missing.map((id) => `"${id}"`).join(', ');
  return failed(
    'encryption keys',
    `${names} still seal what is stored, and neither ENCRYPTION_KEYS nor SECRET_KEY gives them; restore them, and run countersign keys reencrypt before they are taken out`,
  );
}

async function checkSigningKeys(db: EntityManager, box: SecretBox, { tokens }: Config): Promise<Check> {
  if (tokens.signingKeys.length > 0) return ok('signing keys', 'SIGNING_KEY is used');
  const keys = await findLiveKeys(db);
  if (keys.length === 0) return ok('signing keys', 'the first start makes one');
  const closed = keys.filter(({ kid, sealedPrivateKey }) => !opens(box, sealedPrivateKey, kid));
  if (closed.length === 0) return ok('signing keys', `${keys.length} can be used`);
  return failed(
    'signing keys',
    `${closed.length} of ${keys.length} cannot be opened: SECRET_KEY (or ENCRYPTION_KEYS) is not the one that this database was sealed with`,
  );
}

async function checkPeppers(db: EntityManager, config: Config): Promise<Check> {
  const fault = await findPepperFault(db, config);
  return fault === null ? ok('pepper', 'every password can be checked') : failed('pepper', fault);
}

function opens(box: SecretBox, sealed: string, kid: string): boolean {
  try {
    box.open(sealed, sealedColumns.signingKeys.purpose, kid);
    return true;
  } catch (cause) {
    if (cause instanceof UnsealError) return false;
    throw cause;
  }
}

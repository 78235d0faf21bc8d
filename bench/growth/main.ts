// npm run bench:growth: what a user's requests cost while a thousand users become a million, and where the time of the
// database goes. -- --sizes 1000,100000 --rounds 3 makes a shorter run, which stores nothing.
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { Keys } from '../../src/crypto/keys.js';
import { configOf, startService, type Service } from '../service.js';
import { explainStatements, type ExplainedStatement } from './explain.js';
import { Operations } from './operations.js';
import { query, startPostgres, type BenchPostgres } from './postgres.js';
import { quantile } from './quantile.js';
import { renderGrowth } from './report.js';
import { keepSection } from './sections.js';
import { seed, type SeededUser } from './seed.js';
import { sizesOfTables, unusedIndexes, type TableSize } from './tables.js';

const { values } = parseArgs({
  options: { sizes: { type: 'string' }, rounds: { type: 'string' }, people: { type: 'string' } },
});
const sizes = (values.sizes ?? '1000,100000,1000000').split(',').map(Number);
const rounds = Number(values.rounds ?? 8);
const peopleARound = Number(values.people ?? 40);
const partial = Object.keys(values).length > 0;

interface Place {
  users: number;
  databaseUrl: string;
  people: SeededUser[];
  admin: SeededUser;
  service: Service;
  operations: Operations;
  seededSeconds: number;
  /** Milliseconds of each operation. */
  times: Map<string, number[]>;
}

export interface GrowthResults {
  date: string;
  machine: { cpu: string; cores: number; node: string; postgres: string };
  rounds: number;
  peopleARound: number;
  sizes: { users: number; seededSeconds: number; megabytes: number }[];
  operations: { name: string; p50: number[]; p99: number[]; samples: number[] }[];
  tables: TableSize[];
  statements: ExplainedStatement[];
  unusedIndexes: string[];
}

async function prepare(postgres: BenchPostgres, users: number): Promise<Place> {
  const databaseUrl = await postgres.createDatabase(`growth_${users}`);
  const config = configOf(databaseUrl);
  const began = performance.now();
  const [admin, ...people] = await seed(databaseUrl, users, config);
  if (!admin) throw new Error('Nobody was seeded');
  const seededSeconds = Math.round((performance.now() - began) / 1_000);
  print(`${users} users were seeded in ${seededSeconds} s`);
  const service = await startService(databaseUrl);
  const operations = await operationsOf(databaseUrl, service, new Keys(config));
  return { users, databaseUrl, people, admin, service, operations, seededSeconds, times: new Map() };
}

async function operationsOf(databaseUrl: string, service: Service, keys: Keys): Promise<Operations> {
  const [hash] = await query<{ hash: string }>(databaseUrl, 'SELECT password_hash AS hash FROM users LIMIT 1');
  const [middle] = await query<{ micros: string; id: string }>(
    databaseUrl,
    `SELECT (extract(epoch FROM created_at) * 1000000)::bigint::text AS micros, id FROM users
     ORDER BY created_at, id OFFSET (SELECT count(*) / 2 FROM users) LIMIT 1`,
  );
  if (!hash || !middle) throw new Error('Nobody was seeded');
  return new Operations(service.url, keys, hash.hash, [middle.micros, middle.id]);
}

/** The sizes take turns, so that what else the machine does meanwhile slows all of them. */
async function measure(places: readonly Place[]): Promise<void> {
  for (const { operations, admin } of places) await operations.signInAdmin(admin);
  for (let round = 0; round <= rounds; round += 1) {
    for (const place of places) {
      for (let person = 0; person < peopleARound; person += 1) {
        const user = place.people.pop();
        if (!user) throw new Error('More people are asked for than were seeded');
        keep(place, round, await place.operations.person(user));
        if (person < 5) keep(place, round, await place.operations.administration(user));
      }
      keep(place, round, await place.operations.preview());
    }
    print(`round ${round} of ${rounds}`);
  }
}

/** The round 0 warms up. */
function keep(place: Place, round: number, times: Record<string, number>): void {
  if (round === 0) return;
  for (const [name, milliseconds] of Object.entries(times)) {
    const known = place.times.get(name);
    if (known) known.push(milliseconds);
    else place.times.set(name, [milliseconds]);
  }
}

async function run(): Promise<GrowthResults> {
  const postgres = await startPostgres();
  const places: Place[] = [];
  try {
    for (const users of sizes) places.push(await prepare(postgres, users));
    await measure(places);
    const largest = places.at(-1);
    if (!largest) throw new Error('No size was given');
    const unused = await unusedIndexes(largest.databaseUrl);
    const statements = await explainStatements(largest.databaseUrl, async (service) => {
      const keys = new Keys(configOf(largest.databaseUrl));
      const operations = await operationsOf(largest.databaseUrl, service, keys);
      await operations.signInAdmin(largest.people.pop() ?? largest.admin).catch(() => undefined);
      for (const user of largest.people.splice(0, 5)) await operations.person(user);
    });
    const [version] = await query<{ version: string }>(
      largest.databaseUrl,
      `SELECT current_setting('server_version') AS version`,
    );
    return {
      date: new Date().toISOString().slice(0, 10),
      machine: {
        cpu: cpus()[0]?.model ?? '',
        cores: cpus().length,
        node: process.version,
        postgres: version?.version ?? '',
      },
      rounds,
      peopleARound,
      sizes: await Promise.all(
        places.map(async ({ users, seededSeconds, databaseUrl }) => {
          const [size] = await query<{ megabytes: number }>(
            databaseUrl,
            'SELECT (pg_database_size(current_database()) / 1048576)::int AS megabytes',
          );
          return { users, seededSeconds, megabytes: size?.megabytes ?? 0 };
        }),
      ),
      operations: [...largest.times.keys()].map((name) => {
        const all = places.map(({ times }) => times.get(name) ?? []);
        return {
          name,
          p50: all.map((times) => quantile(times, 0.5)),
          p99: all.map((times) => quantile(times, 0.99)),
          samples: all.map(({ length }) => length),
        };
      }),
      tables: await sizesOfTables(largest.databaseUrl),
      statements,
      unusedIndexes: unused,
    };
  } finally {
    await Promise.all(places.map(({ service }) => service.stop()));
    await postgres.remove();
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const results = await run();
if (partial) print(JSON.stringify(results, null, 1));
else await keepSection('growth', results, renderGrowth(results));

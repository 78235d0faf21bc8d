// npm run bench:scale-out: one, two and four replicas behind nginx on one PostgreSQL; what each operation costs them in CPU.
// -- --seconds 3 makes a shorter run, which stores nothing.
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Keys } from '../../src/crypto/keys.js';
import { formatRefreshToken } from '../../src/tokens/refresh-token.js';
import { send, totp, type Tokens } from '../growth/operations.js';
import { query, startPostgres, type BenchPostgres } from '../growth/postgres.js';
import { quantile } from '../growth/quantile.js';
import { PASSWORD, seed, type SeededUser } from '../growth/seed.js';
import { keepSection, keepTables } from '../growth/sections.js';
import { configOf, startService } from '../service.js';
import { renderCapacity, renderScaleOut } from './report.js';
import { startNginx } from './nginx.js';
import { cpuSeconds } from './processes.js';

const REPLICAS = [1, 2, 4];
/** How many clients wait for an answer at any time. */
const CLIENTS = 32;
const USERS = 12_000;

const { values } = parseArgs({ options: { seconds: { type: 'string' } } });
const seconds = Number(values.seconds ?? 15);

export interface ScaleOutResults {
  date: string;
  machine: { cpu: string; cores: number; node: string };
  clients: number;
  seconds: number;
  measured: Measured[];
}

/** What one operation took, on average, in milliseconds of CPU, statements and bytes. */
export interface Measured {
  name: string;
  replicas: number;
  perSecond: number;
  p50: number;
  p99: number;
  cpu: { service: number; postgres: number; nginx: number; clients: number };
  /** Of all cores, how much was used. */
  busy: number;
  statements: number;
  transactions: number;
  walBytes: number;
}

interface Counters {
  at: number;
  service: number;
  postgres: number;
  nginx: number;
  clients: number;
  statements: number;
  transactions: number;
  walBytes: number;
}

interface Stage {
  databaseUrl: string;
  postgres: BenchPostgres;
  servicePids: number[];
  nginxPid: number;
  url: string;
  keys: Keys;
  /** Each of them signs in once: a code is good for one sign-in. */
  people: SeededUser[];
}

async function countersOf({ databaseUrl, postgres, servicePids, nginxPid }: Stage): Promise<Counters> {
  const [row] = await query<{ statements: number; transactions: number; walBytes: number }>(
    databaseUrl,
    `SELECT (SELECT sum(calls)::float8 FROM pg_stat_statements) AS statements,
            (SELECT xact_commit::float8 FROM pg_stat_database WHERE datname = current_database()) AS transactions,
            (pg_current_wal_lsn() - '0/0')::float8 AS "walBytes"`,
  );
  if (!row) throw new Error('PostgreSQL counted nothing');
  const { user, system } = process.cpuUsage();
  return {
    at: performance.now(),
    ...row,
    service: cpuSeconds(servicePids),
    postgres: cpuSeconds([postgres.pid]),
    nginx: cpuSeconds([nginxPid]),
    clients: (user + system) / 1e6,
  };
}

/** Every client begins the next operation when the one before has been answered. */
async function measure(stage: Stage, name: string, operationOf: () => () => Promise<void>): Promise<Measured> {
  const operations = Array.from({ length: CLIENTS }, operationOf);
  await Promise.all(operations.map((operation) => operation()));
  const before = await countersOf(stage);
  const until = performance.now() + seconds * 1_000;
  const times: number[] = [];
  await Promise.all(
    operations.map(async (operation) => {
      while (performance.now() < until) {
        const began = performance.now();
        await operation();
        times.push(performance.now() - began);
      }
    }),
  );
  const elapsed = (performance.now() - before.at) / 1_000;
  // What is counted is told a moment later, and the audit log is sealed then.
  await sleep(2_000);
  const after = await countersOf(stage);
  const each = (counter: keyof Counters) => (after[counter] - before[counter]) / times.length;
  const cpu = {
    service: each('service') * 1_000,
    postgres: each('postgres') * 1_000,
    nginx: each('nginx') * 1_000,
    clients: each('clients') * 1_000,
  };
  const used = (Object.values(cpu).reduce((sum, milliseconds) => sum + milliseconds, 0) * times.length) / 1_000;
  return {
    name,
    replicas: stage.servicePids.length,
    perSecond: times.length / elapsed,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    cpu,
    busy: used / elapsed / cpus().length,
    statements: each('statements'),
    transactions: each('transactions'),
    walBytes: each('walBytes'),
  };
}

async function signIn({ url, people }: Stage): Promise<Tokens> {
  const user = people.pop();
  if (!user) throw new Error('More people are asked for than were seeded');
  const body = JSON.stringify({ identifier: user.email, password: PASSWORD });
  const { codeToken } = await send<{ codeToken: string }>('POST', `${url}/api/v1/auth/token`, undefined, body);
  const proof = JSON.stringify({ codeToken, code: totp(user) });
  return send<Tokens>('POST', `${url}/api/v1/auth/token/second-factor`, undefined, proof);
}

async function measureAll(stage: Stage): Promise<Measured[]> {
  const { url, keys, people } = stage;
  const refresh = (refreshToken: string) =>
    send<Tokens>('POST', `${url}/api/v1/auth/token/refresh`, undefined, JSON.stringify({ refreshToken }));
  const chain = () => {
    const user = people.shift();
    if (!user) throw new Error('More people are asked for than were seeded');
    let token = formatRefreshToken(keys.for('refresh-token'), user.refreshSalt, user.sessionId, 0);
    return async () => void (token = (await refresh(token)).refreshToken);
  };
  const { accessToken } = await signIn(stage);
  return [
    await measure(stage, 'password and code of an app', () => async () => {
      await signIn(stage);
    }),
    await measure(stage, 'refresh', chain),
    await measure(stage, 'forward-auth', () => async () => {
      await send('GET', `${url}/api/v1/auth/forward`, accessToken);
    }),
  ];
}

async function run(): Promise<Measured[]> {
  const postgres = await startPostgres();
  try {
    const databaseUrl = await postgres.createDatabase('scale_out');
    const config = configOf(databaseUrl);
    const people = await seed(databaseUrl, USERS, config, USERS);
    const results: Measured[] = [];
    for (const count of REPLICAS) {
      const services = await Promise.all(Array.from({ length: count }, () => startService(databaseUrl)));
      const nginx = await startNginx(services.map(({ url }) => url));
      const stage: Stage = {
        databaseUrl,
        postgres,
        servicePids: services.map(({ pid }) => pid),
        nginxPid: nginx.pid,
        url: nginx.url,
        keys: new Keys(config),
        people,
      };
      const measured = await measureAll(stage);
      for (const { name, perSecond, busy } of measured) {
        process.stdout.write(
          `${count} replicas, ${name}: ${perSecond.toFixed(1)} a second, ${Math.round(busy * 100)} % busy\n`,
        );
      }
      results.push(...measured);
      await nginx.stop();
      await Promise.all(services.map((service) => service.stop()));
    }
    return results;
  } finally {
    await postgres.remove();
  }
}

const measured = await run();
const results: ScaleOutResults = {
  date: new Date().toISOString().slice(0, 10),
  machine: { cpu: cpus()[0]?.model ?? '', cores: cpus().length, node: process.version },
  clients: CLIENTS,
  seconds,
  measured,
};
if (values.seconds !== undefined) process.stdout.write(`${JSON.stringify(results, null, 1)}\n`);
else {
  await keepSection('scale-out', results, renderScaleOut(results));
  await keepTables('capacity', renderCapacity(results));
}

// npm run bench:upkeep: what a sign-in and a refresh leave behind, and what it costs to remove it again while people sign
// in. -- --rows 100000 makes a shorter run, which stores nothing.
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Keys } from '../../../src/crypto/keys.js';
import { formatRefreshToken } from '../../../src/tokens/refresh-token.js';
import { configOf, startService, type Service } from '../../service.js';
import { keepSection } from '../sections.js';
import { chainOldEvents } from './chain.js';
import { renderUpkeep } from './report.js';
import { send, totp, type Tokens } from '../operations.js';
import { query, startPostgres, type BenchPostgres } from '../postgres.js';
import { quantile } from '../quantile.js';
import { PASSWORD, seed, type SeededUser } from '../seed.js';

const { values } = parseArgs({ options: { rows: { type: 'string' } } });
const expired = Number(values.rows ?? 1_000_000);
const oldEvents = Math.round(expired / 5);
const USERS = 4_000;
const SIGN_INS = Math.min(1_000, expired / 100);
const REFRESHES = Math.min(10_000, expired / 10);

export interface Footprint {
  operation: string;
  times: number;
  walBytes: number;
  /** Rows and bytes, indexes included, that one leaves in a table. */
  tables: { table: string; rows: number; bytes: number }[];
}

interface Spread {
  p50: number;
  p99: number;
  times: number;
}

export interface UpkeepResults {
  date: string;
  machine: { cpu: string; cores: number; node: string };
  footprints: Footprint[];
  cleanup: {
    challenges: number;
    sessions: number;
    seconds: number;
    left: number | undefined;
    signInsBefore: Spread;
    signInsMeanwhile: Spread;
    /** The next run, which finds nothing. */
    again: number;
  };
  retention: { events: number; seconds: number; left: number | undefined; walBytesAnEvent: number };
}

type Sizes = Map<string, { rows: number; bytes: number }>;

async function sizesOf(databaseUrl: string): Promise<Sizes> {
  const rows = await query<{ table: string; rows: number; bytes: number }>(
    databaseUrl,
    `SELECT relname AS table, pg_total_relation_size(relid)::float8 AS bytes,
            (xpath('/row/count/text()', query_to_xml(format('SELECT count(*) FROM %s', relid::regclass), true, true, '')))[1]::text::float8 AS rows
     FROM pg_stat_user_tables WHERE schemaname = 'public'`,
  );
  return new Map(rows.map(({ table, ...size }) => [table, size]));
}

async function walOf(databaseUrl: string): Promise<number> {
  const [row] = await query<{ bytes: number }>(databaseUrl, `SELECT (pg_current_wal_lsn() - '0/0')::float8 AS bytes`);
  return row?.bytes ?? 0;
}

async function footprintOf(
  databaseUrl: string,
  operation: string,
  times: number,
  act: () => Promise<unknown>,
): Promise<Footprint> {
  await query(databaseUrl, 'CHECKPOINT');
  const [before, walBefore] = [await sizesOf(databaseUrl), await walOf(databaseUrl)];
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let turn = 0; turn < times / 4; turn += 1) await act();
    }),
  );
  // The audit log is sealed a moment later.
  await sleep(3_000);
  const walBytes = ((await walOf(databaseUrl)) - walBefore) / times;
  const tables = [...(await sizesOf(databaseUrl))].map(([table, { rows, bytes }]) => {
    const was = before.get(table) ?? { rows: 0, bytes: 0 };
    return { table, rows: (rows - was.rows) / times, bytes: (bytes - was.bytes) / times };
  });
  return { operation, times, walBytes, tables: tables.filter(({ rows, bytes }) => rows !== 0 || bytes !== 0) };
}

async function signIn({ url }: Service, user: SeededUser): Promise<Tokens> {
  const body = JSON.stringify({ identifier: user.email, password: PASSWORD });
  const { codeToken } = await send<{ codeToken: string }>('POST', `${url}/api/v1/auth/token`, undefined, body);
  const proof = JSON.stringify({ codeToken, code: totp(user) });
  return send<Tokens>('POST', `${url}/api/v1/auth/token/second-factor`, undefined, proof);
}

/** Signs one after the other in until `over`, and tells how long each took. */
async function signInUntil(over: () => boolean, service: Service, people: SeededUser[]): Promise<number[]> {
  const times: number[] = [];
  while (!over()) {
    const user = people.pop();
    if (!user) return times;
    const began = performance.now();
    await signIn(service, user);
    times.push(performance.now() - began);
  }
  return times;
}

/** Lets the service do one of its repeated tasks now; how many seconds it took. */
async function runTask(databaseUrl: string, task: string): Promise<number> {
  const began = performance.now();
  await query(databaseUrl, `SELECT graphile_worker.add_job($1, '{}', job_key => 'bench')`, [task]);
  for (;;) {
    const left = await query(
      databaseUrl,
      `SELECT id FROM graphile_worker.jobs WHERE key ~ '^(bench|remove-expired-rows-of|remove-old-audit-events)$'`,
    );
    if (left.length === 0) return (performance.now() - began) / 1_000;
    await sleep(20);
  }
}

const EXPIRED_CHALLENGES = `
  INSERT INTO challenges (id, user_id, device_id, purpose, first_factor, attempts, created_at, expires_at, consumed_at, epoch)
  SELECT gen_random_uuid(), d.user_id, d.id, 'sign_in', '{password}', 1, at, at, at, 0
  FROM generate_series(1, $1::bigint) n, (SELECT id, user_id, now() - interval '3 days' AS at FROM otp_devices LIMIT 1) d`;
const EXPIRED_SESSIONS = `
  INSERT INTO sessions (id, user_id, proved, amr, authenticated_at, refresh_salt, refreshed_at, user_agent, created_at,
                        idle_expires_at, expires_at)
  SELECT gen_random_uuid(), d.user_id, '{password,totp}', '{pwd,otp,mfa}', at, '\\x00', at,
         'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0', at, at, at
  FROM generate_series(1, $1::bigint) n, (SELECT id, user_id, now() - interval '3 days' AS at FROM otp_devices LIMIT 1) d`;

async function measureCleanup(databaseUrl: string, service: Service, people: SeededUser[]) {
  await query(databaseUrl, EXPIRED_CHALLENGES, [expired]);
  await query(databaseUrl, EXPIRED_SESSIONS, [expired]);
  await query(databaseUrl, 'VACUUM ANALYZE');
  let over = false;
  const quiet = signInUntil(() => over, service, people);
  await sleep(15_000);
  over = true;
  const before = await quiet;
  over = false;
  const meanwhile = signInUntil(() => over, service, people);
  const seconds = await runTask(databaseUrl, 'remove-expired-rows');
  over = true;
  const during = await meanwhile;
  const rows = await query<{ left: number }>(
    databaseUrl,
    `SELECT (SELECT count(*)::int FROM challenges WHERE expires_at < now() - interval '2 days')
          + (SELECT count(*)::int FROM sessions WHERE expires_at < now() - interval '2 days') AS left`,
  );
  const spread = (times: number[]) => ({ p50: quantile(times, 0.5), p99: quantile(times, 0.99), times: times.length });
  return {
    challenges: expired,
    sessions: expired,
    seconds,
    left: rows[0]?.left,
    signInsBefore: spread(before),
    signInsMeanwhile: spread(during),
    again: await runTask(databaseUrl, 'remove-expired-rows'),
  };
}

async function measureFootprints(databaseUrl: string, service: Service, keys: Keys, people: SeededUser[]) {
  const next = () => {
    const user = people.pop();
    if (!user) throw new Error('More people are asked for than were seeded');
    return user;
  };
  const chains = Array.from({ length: 4 }, () => {
    const { sessionId, refreshSalt } = next();
    return { token: formatRefreshToken(keys.for('refresh-token'), refreshSalt, sessionId, 0) };
  });
  const refresh = async () => {
    const chain = chains.shift();
    if (!chain) throw new Error('There are as many as act at once');
    const body = JSON.stringify({ refreshToken: chain.token });
    const { refreshToken } = await send<Tokens>('POST', `${service.url}/api/v1/auth/token/refresh`, undefined, body);
    chains.push({ token: refreshToken });
  };
  return [
    await footprintOf(databaseUrl, 'password and code of an app', SIGN_INS, () => signIn(service, next())),
    await footprintOf(databaseUrl, 'refresh', REFRESHES, refresh),
  ];
}

async function measureRetention(postgres: BenchPostgres) {
  const databaseUrl = await postgres.createDatabase('retention');
  await chainOldEvents(databaseUrl, oldEvents, configOf(databaseUrl));
  const service = await startService(databaseUrl, { AUDIT_RETENTION: '365d' });
  try {
    const walBefore = await walOf(databaseUrl);
    const seconds = await runTask(databaseUrl, 'remove-old-audit-events');
    const [left] = await query<{ left: number }>(databaseUrl, `SELECT count(*)::int AS left FROM audit_events`);
    return {
      events: oldEvents,
      seconds,
      left: left?.left,
      walBytesAnEvent: ((await walOf(databaseUrl)) - walBefore) / oldEvents,
    };
  } finally {
    await service.stop();
  }
}

async function run() {
  const postgres = await startPostgres();
  try {
    const retention = await measureRetention(postgres);
    const databaseUrl = await postgres.createDatabase('upkeep');
    const config = configOf(databaseUrl);
    const people = await seed(databaseUrl, USERS, config, USERS);
    const service = await startService(databaseUrl);
    try {
      const footprints = await measureFootprints(databaseUrl, service, new Keys(config), people);
      return { retention, footprints, cleanup: await measureCleanup(databaseUrl, service, people) };
    } finally {
      await service.stop();
    }
  } finally {
    await postgres.remove();
  }
}

const machine = { cpu: cpus()[0]?.model ?? '', cores: cpus().length, node: process.version };
const results: UpkeepResults = { date: new Date().toISOString().slice(0, 10), machine, ...(await run()) };
if (values.rows !== undefined) process.stdout.write(`${JSON.stringify(results, null, 1)}\n`);
else await keepSection('upkeep', results, renderUpkeep(results));

import { platform } from 'node:os';
import { join } from 'node:path';
import { CONTENDERS, measures, type ContenderName } from './contenders/contender.js';
import { START, type Running } from './contenders/start.js';
import { takeFirstCore } from './cores.js';
import { startPostgres, type Postgres } from './database.js';
import { startGenerator, type Generator } from './load/generator-process.js';
import type { Options } from './options.js';
import { REPOSITORY, resultsOf, type Results, type Round } from './results.js';

const PROFILES = join(REPOSITORY, 'bench', 'profiles');

/** Starts everything, measures, and stops everything. */
export async function run(options: Options): Promise<Results> {
  takeFirstCore();
  const generator = await startGenerator();
  const postgres = await startPostgres();
  const contenders = new Map<ContenderName, Running>();
  try {
    for (const name of options.contenders) contenders.set(name, await start(name, postgres, generator, options));
    return resultsOf(await measureRounds(options, generator, contenders, postgres), options, postgres.version);
  } finally {
    await Promise.all([...contenders.values()].map((each) => each.stop()));
    generator.stop();
    await postgres.stop();
  }
}

async function start(
  name: ContenderName,
  postgres: Postgres,
  { smtpUrl }: Generator,
  { profile }: Options,
): Promise<Running> {
  console.log(`Starting ${CONTENDERS[name].title}`);
  const databaseUrl = await postgres.createDatabase(`countersign_bench_${name}`);
  return START[name]({ databaseUrl, smtpUrl, profiles: profile ? PROFILES : undefined });
}

/** Contenders take turns within each scenario, so that what slows the machine for a while slows all of them. */
async function measureRounds(
  { rounds, seconds, scenarios }: Options,
  generator: Generator,
  contenders: ReadonlyMap<ContenderName, Running>,
  postgres: Postgres,
): Promise<Round[]> {
  const measured: Round[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    console.log(round === 0 ? 'Warming up' : `Round ${round} of ${rounds}`);
    for (const scenario of scenarios) {
      for (const [contender, { url, pid }] of turnsOf(round, contenders)) {
        if (!measures(contender, scenario)) continue;
        const result = await generator.run({ scenario, contender, url, seconds, pids: watched(pid, postgres) });
        if (round > 0) measured.push({ scenario, contender, ...result });
      }
    }
  }
  return measured;
}

/** A CPU time without PostgreSQL's would tell only half, and only Linux tells it. */
function watched(contender: number, postgres: Postgres): number[] {
  return postgres.pid !== null && platform() === 'linux' ? [contender, postgres.pid] : [];
}

/**
 * Another one begins in each round: what one has put off, such as sealing its audit events, is done in the turn of the
 * next.
 */
function turnsOf<Entry>(round: number, contenders: Iterable<Entry>): Entry[] {
  const inOrder = [...contenders];
  const first = round % inOrder.length;
  return [...inOrder.slice(first), ...inOrder.slice(0, first)];
}

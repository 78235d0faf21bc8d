import { readFileSync } from 'node:fs';
import { cpus, totalmem, type } from 'node:os';
import { join } from 'node:path';
import type { ContenderName } from './contenders/contender.js';
import { PINNED } from './cores.js';
import type { Measured } from './load/measure.js';
import type { Options } from './options.js';
import type { ScenarioName } from './operations.js';

/** Medians over the rounds, and the rates that they are the median of. */
export interface Result extends Measured {
  rates: number[];
}

export interface Results {
  measuredAt: string;
  machine: { processor: string; cores: number; memoryGib: number; system: string; pinned: boolean };
  versions: { node: string; postgres: string; fastify: string; betterAuth: string };
  seconds: number;
  rounds: number;
  scenarios: Partial<Record<ScenarioName, Partial<Record<ContenderName, Result>>>>;
}

/** One measurement of a contender in a scenario. */
export interface Round extends Measured {
  scenario: ScenarioName;
  contender: ContenderName;
}

export function resultsOf(measured: readonly Round[], { seconds, rounds }: Options, postgres: string): Results {
  const scenarios: Results['scenarios'] = {};
  for (const { scenario, contender } of measured) {
    const own = measured.filter((round) => round.scenario === scenario && round.contender === contender);
    scenarios[scenario] = { ...scenarios[scenario], [contender]: summaryOf(own) };
  }
  return {
    measuredAt: new Date().toISOString(),
    machine: {
      processor: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      memoryGib: Math.round(totalmem() / 2 ** 30),
      system: type(),
      pinned: PINNED,
    },
    versions: {
      node: process.version,
      postgres,
      fastify: versionIn('package.json', 'fastify'),
      betterAuth: versionIn('bench/better-auth/package.json', 'better-auth'),
    },
    seconds,
    rounds,
    scenarios,
  };
}

function summaryOf(rounds: readonly Measured[]): Result {
  const medianOf = (key: keyof Measured): number => rounded(median(rounds.map((round) => round[key] ?? NaN)));
  const rates = rounds.map(({ rate }) => rounded(rate));
  return { rate: medianOf('rate'), p50: medianOf('p50'), p99: medianOf('p99'), cpu: known(medianOf('cpu')), rates };
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (
    ((sorted[Math.floor((sorted.length - 1) / 2)] ?? NaN) + (sorted[Math.ceil((sorted.length - 1) / 2)] ?? NaN)) / 2
  );
}

function known(number: number): number | null {
  return Number.isNaN(number) ? null : number;
}

function rounded(number: number): number {
  return Number(number.toPrecision(4));
}

/** Where the bench is compiled to is two folders below the repository. */
export const REPOSITORY = join(import.meta.dirname, '../..');

function versionIn(file: string, dependency: string): string {
  const { dependencies } = JSON.parse(readFileSync(join(REPOSITORY, file), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  return dependencies[dependency] ?? '';
}

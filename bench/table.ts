import { format } from 'prettier';
import { CONTENDERS, type ContenderName } from './contenders/contender.js';
import { newCaller, SCENARIO_NAMES, SCENARIOS, type ScenarioName } from './operations.js';
import type { Result, Results } from './results.js';

type Row = string[];

/** The results as the part of docs/performance.md between the marks. */
export function renderResults(results: Results): Promise<string> {
  return format([described(results), rates(results), costs(results), durations(results), operations()].join('\n\n'), {
    parser: 'markdown',
    printWidth: 120,
  });
}

function rates(results: Results): string {
  const head = ['operations a second', ...titles(), 'of the bare limit', 'times better-auth'];
  return table(
    head,
    measuredIn(results).map(([scenario, its]) => [
      SCENARIOS[scenario].title,
      grouped(its.ours?.rate),
      grouped(its.bare?.rate),
      withCached(grouped(its.peer?.rate), grouped(its.cached?.rate)),
      ratio(its.ours, its.bare),
      withCached(ratio(its.ours, its.peer), ratio(its.ours, its.cached)),
    ]),
  );
}

/** Unlike the rates, nearly the same on a machine that has other work. */
function costs(results: Results): string {
  return table(
    ['milliseconds of a core, with PostgreSQL', ...titles(), 'the bare limit of ours'],
    measuredIn(results).map(([scenario, its]) => [
      SCENARIOS[scenario].title,
      cost(its.ours),
      cost(its.bare),
      withCached(cost(its.peer), cost(its.cached)),
      its.ours?.cpu && its.bare?.cpu ? (its.bare.cpu / its.ours.cpu).toFixed(2) : '',
    ]),
  );
}

function durations(results: Results): string {
  return table(
    ['milliseconds, p50 / p99', ...titles()],
    measuredIn(results).map(([scenario, its]) => [
      SCENARIOS[scenario].title,
      percentiles(its.ours),
      percentiles(its.bare),
      withCached(percentiles(its.peer), percentiles(its.cached)),
    ]),
  );
}

/** Which requests stand against which, read from what is sent. */
function operations(): string {
  const requests = (contender: ContenderName, scenario: ScenarioName) =>
    CONTENDERS[contender].operations[scenario].map((step) => requestOf(step.call(newCaller()))).join(', ');
  return table(
    ['what is asked', ...titles()],
    SCENARIO_NAMES.map((scenario) => [
      SCENARIOS[scenario].title,
      requests('ours', scenario),
      requests('bare', scenario),
      requests('peer', scenario),
    ]),
  );
}

function described({ measuredAt, machine, versions, seconds, rounds }: Results): string {
  const { processor, cores, memoryGib, system, pinned } = machine;
  const place = pinned
    ? 'Each contender and PostgreSQL had one core, the load generator another.'
    : 'Contenders, PostgreSQL and the load generator shared the cores.';
  return `Measured on ${measuredAt.slice(0, 10)}: ${processor}, ${cores} cores, ${memoryGib} GiB, ${system}; Node ${versions.node}, PostgreSQL ${versions.postgres}, Fastify ${versions.fastify}, better-auth ${versions.betterAuth}. ${place} Medians of ${rounds} interleaved rounds of ${seconds} seconds.`;
}

function requestOf({ method, path }: { method: string; path: string }): string {
  return `\`${method} ${path}\``;
}

function titles(): Row {
  return [CONTENDERS.ours.title, CONTENDERS.bare.title, CONTENDERS.peer.title];
}

function measuredIn({ scenarios }: Results): [ScenarioName, Partial<Record<ContenderName, Result>>][] {
  return SCENARIO_NAMES.flatMap((scenario) => {
    const its = scenarios[scenario];
    return its ? [[scenario, its]] : [];
  });
}

function withCached(text: string, cached: string): string {
  return cached === '' ? text : `${text} (${cached})`;
}

function grouped(number: number | undefined): string {
  if (number === undefined) return '';
  return number.toLocaleString('en', { maximumFractionDigits: number < 100 ? 1 : 0 });
}

function ratio(ours: Result | undefined, other: Result | undefined): string {
  return ours && other ? (ours.rate / other.rate).toFixed(2) : '';
}

function cost(result: Result | undefined): string {
  return result?.cpu?.toPrecision(3) ?? '';
}

function percentiles(result: Result | undefined): string {
  return result ? `${result.p50.toFixed(1)} / ${result.p99.toFixed(1)}` : '';
}

function table(head: Row, rows: Row[]): string {
  const rule = head.map((_, index) => (index === 0 ? '---' : '--:'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

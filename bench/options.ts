import { parseArgs } from 'node:util';
import { CONTENDER_NAMES, type ContenderName } from './contenders/contender.js';
import { SCENARIO_NAMES, type ScenarioName } from './operations.js';

export interface Options {
  seconds: number;
  rounds: number;
  scenarios: ScenarioName[];
  contenders: ContenderName[];
  profile: boolean;
  /** Everything, and for long enough to be kept. */
  complete: boolean;
}

/** About ten minutes of measuring. */
const DEFAULTS = { seconds: 3, rounds: 5 };

export function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: `${DEFAULTS.seconds}` },
      rounds: { type: 'string', default: `${DEFAULTS.rounds}` },
      only: { type: 'string', default: SCENARIO_NAMES.join() },
      against: { type: 'string', default: CONTENDER_NAMES.join() },
      profile: { type: 'boolean', default: false },
    },
  });
  const seconds = positive('seconds', values.seconds);
  const rounds = positive('rounds', values.rounds);
  const scenarios = listed('only', SCENARIO_NAMES, values.only);
  const contenders = values.profile
    ? (['ours'] as const)
    : listed('against', CONTENDER_NAMES, `ours,${values.against}`);
  const complete =
    seconds >= DEFAULTS.seconds &&
    rounds >= DEFAULTS.rounds &&
    scenarios.length === SCENARIO_NAMES.length &&
    contenders.length === CONTENDER_NAMES.length;
  return { seconds, rounds, scenarios, contenders: [...contenders], profile: values.profile, complete };
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} takes a whole number from 1`);
  return number;
}

function listed<Name extends string>(option: string, known: readonly Name[], text: string): Name[] {
  const wanted = text.split(',').filter(Boolean);
  const unknown = wanted.filter((each) => !known.some((name) => name === each));
  if (unknown.length > 0) throw new Error(`--${option} knows ${known.join(', ')}, but not ${unknown.join(', ')}`);
  return known.filter((name) => wanted.includes(name));
}

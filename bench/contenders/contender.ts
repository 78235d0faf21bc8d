import { SCENARIO_NAMES, type Operations, type ScenarioName } from '../operations.js';
import { BARE } from './bare.js';
import { BETTER_AUTH } from './better-auth.js';
import { OURS } from './ours.js';

interface Contender {
  title: string;
  operations: Operations;
  /** The scenarios that it is measured in. */
  scenarios: readonly ScenarioName[];
}

export const CONTENDERS = {
  ours: { title: 'Countersign', operations: OURS, scenarios: SCENARIO_NAMES },
  bare: { title: 'the bare limit', operations: BARE, scenarios: SCENARIO_NAMES },
  peer: { title: 'better-auth', operations: BETTER_AUTH, scenarios: SCENARIO_NAMES },
  // Its cookie cache changes nothing elsewhere.
  cached: {
    title: 'better-auth, cached',
    operations: BETTER_AUTH,
    scenarios: ['users-me', 'verify', 'forward-auth'],
  },
} as const satisfies Record<string, Contender>;

export type ContenderName = keyof typeof CONTENDERS;

export const CONTENDER_NAMES = Object.keys(CONTENDERS) as ContenderName[];

export function measures(contender: ContenderName, scenario: ScenarioName): boolean {
  const { scenarios }: Contender = CONTENDERS[contender];
  return scenarios.includes(scenario);
}

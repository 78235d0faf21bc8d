import { randomUUID } from 'node:crypto';
import { CONTENDERS, type ContenderName } from '../contenders/contender.js';
import { newCaller, SCENARIOS, type Caller, type ScenarioName } from '../operations.js';
import { personOf, WITH_APP, WITHOUT_APP, type Person } from '../people.js';
import { cpuSeconds } from '../scale-out/processes.js';
import { apply, type Passes } from './load.js';
import type { MailSink } from './mail-sink.js';

export interface Job {
  contender: ContenderName;
  scenario: ScenarioName;
  url: string;
  seconds: number;
  /** Whose CPU time is counted: the contender and PostgreSQL, with their children. Empty where that cannot be known. */
  pids: number[];
}

export interface Measured {
  /** How often the whole operation was done in a second. */
  rate: number;
  /** Milliseconds from its first request to its last answer. */
  p50: number;
  p99: number;
  /** Milliseconds of a core that one operation took; null where that cannot be known. */
  cpu: number | null;
}

/** Mails a second that a round of `email-code` asks for: it takes as long as that takes. */
const CODES_A_SECOND = 40;

export async function measure(job: Job, mails: MailSink): Promise<Measured> {
  const { contender, scenario, url, seconds, pids } = job;
  if (scenario === 'email-code') return measureMailedCodes(job, mails);
  const callers = newCallers(SCENARIOS[scenario].connections);
  const signedIn = SCENARIOS[scenario].who === 'signed-in';
  if (signedIn) await signIn(contender, url, callers);
  const begin = (caller: Caller): void => {
    if (!signedIn) Object.assign(caller, nextPerson(contender, scenario));
  };
  const steps = CONTENDERS[contender].operations[scenario];
  const used = cpuSeconds(pids);
  const passes = await apply({ url, steps, callers, begin, until: { seconds } });
  return summaryOf(passes, cpuSeconds(pids) - used);
}

/**
 * Codes are asked for, and once the last of their mails is here the sign-ins with them follow. The time of both counts,
 * what is done to read the codes in between does not; a duration is that of the sign-in itself.
 */
async function measureMailedCodes(
  { contender, scenario, url, seconds, pids }: Job,
  mails: MailSink,
): Promise<Measured> {
  const [ask, answer] = CONTENDERS[contender].operations[scenario];
  if (!ask || !answer) throw new Error('A mailed code is asked for and answered');
  const people = Array.from({ length: CODES_A_SECOND * seconds }, () => nextPerson(contender, scenario));
  const callers = newCallers(SCENARIOS[scenario].connections);
  const until = { passes: people.length };

  const asked = [...people];
  const used = cpuSeconds(pids);
  const began = performance.now();
  const all = mails.expect(people.length);
  await apply({ url, steps: [ask], callers, begin: (caller) => Object.assign(caller, asked.shift()), until });
  const sending = (await all) - began;

  const answered = people.map((person) => ({ ...person, mailedCode: mails.codeOf(person.email) }));
  const begin = (caller: Caller): void => void Object.assign(caller, answered.shift());
  const { durations, elapsed } = await apply({ url, steps: [answer], callers, begin, until });
  return summaryOf({ durations, elapsed: elapsed + sending }, cpuSeconds(pids) - used);
}

/** Signs every caller in, each as somebody else. */
async function signIn(contender: ContenderName, url: string, callers: Caller[]): Promise<void> {
  const begin = (caller: Caller): void => void Object.assign(caller, nextPerson(contender, 'password'));
  await apply({
    url,
    steps: CONTENDERS[contender].operations.password,
    callers,
    begin,
    until: { passes: callers.length },
  });
}

function newCallers(count: number): Caller[] {
  return Array.from({ length: count }, newCaller);
}

/** How many people of a range each contender has seen: nobody comes twice before all have come. */
const seen = new Map<string, number>();

function nextPerson(contender: ContenderName, scenario: ScenarioName): Person {
  const { who } = SCENARIOS[scenario];
  if (who === 'strangers') return { email: `stranger-${randomUUID()}@example.com`, secret: '' };
  const { from, to } = who === 'people-with-app' ? WITH_APP : WITHOUT_APP;
  const key = `${contender} ${from}`;
  const count = seen.get(key) ?? 0;
  seen.set(key, count + 1);
  return personOf(from + (count % (to - from)));
}

function summaryOf({ durations, elapsed }: Passes, cpuUsed: number): Measured {
  if (durations.length === 0) throw new Error('nothing was done in time; measure for longer');
  const sorted = durations.toSorted((a, b) => a - b);
  const percentile = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? NaN;
  return {
    rate: (durations.length / elapsed) * 1000,
    p50: percentile(0.5),
    p99: percentile(0.99),
    cpu: cpuUsed > 0 ? (cpuUsed * 1000) / durations.length : null,
  };
}

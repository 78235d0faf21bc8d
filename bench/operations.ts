import type { Person } from './people.js';

/** What one connection of the load generator goes through an operation with. */
export interface Caller extends Person {
  accessToken: string;
  refreshToken: string;
  codeToken: string;
  /** The last code that was mailed to him. */
  mailedCode: string;
  cookie: string;
}

export function newCaller(): Caller {
  return { email: '', secret: '', accessToken: '', refreshToken: '', codeToken: '', mailedCode: '', cookie: '' };
}

export interface Call {
  method: 'GET' | 'POST';
  path: string;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: object;
}

export interface Answer {
  status: number;
  body: string;
  /** What a browser would send back. */
  cookie: string;
}

/** One request of an operation. */
export interface Step {
  call: (caller: Caller) => Call;
  /** The status that means success; anything else makes the measurement void. */
  status: number;
  /** Takes from the answer what later requests need. */
  keep?: (caller: Caller, answer: Answer) => void;
}

interface Scenario {
  title: string;
  /** Whom each pass is about: somebody else each time, or the one who has signed in on this connection before. */
  who: 'people' | 'people-with-app' | 'strangers' | 'signed-in' | 'nobody';
  connections: number;
}

/** A password costs some twenty milliseconds of a core, so that a few connections keep it busy. */
const FEW = 8;
const MANY = 16;

export const SCENARIOS = {
  password: { title: 'Sign-in by password', who: 'people', connections: FEW },
  'password-totp': { title: 'Sign-in by password and app', who: 'people-with-app', connections: FEW },
  'email-code': { title: 'Sign-in by a mailed code', who: 'people', connections: FEW },
  registration: { title: 'Registration', who: 'strangers', connections: FEW },
  refresh: { title: 'Refresh', who: 'signed-in', connections: MANY },
  'users-me': { title: 'The user’s own profile', who: 'signed-in', connections: MANY },
  verify: { title: 'Is this token valid?', who: 'signed-in', connections: MANY },
  'forward-auth': { title: 'Forward-auth', who: 'signed-in', connections: MANY },
  jwks: { title: 'The public keys', who: 'nobody', connections: MANY },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof SCENARIOS;

export const SCENARIO_NAMES = Object.keys(SCENARIOS) as ScenarioName[];

/** How a contender does each scenario. Between the first and the second step of `email-code` the mail is waited for. */
export type Operations = Record<ScenarioName, readonly Step[]>;

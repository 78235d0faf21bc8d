import autocannon from 'autocannon';
import type { Call, Caller, Step } from '../operations.js';

/** Passes through the steps, each on a connection of its own, until the time is over or there were enough. */
export interface Load {
  url: string;
  steps: readonly Step[];
  callers: Caller[];
  /** Called before each pass. */
  begin: (caller: Caller) => void;
  until: { seconds: number } | { passes: number };
}

/** The passes of a load: how long each took, in milliseconds, and how many milliseconds they took together. */
export interface Passes {
  durations: number[];
  elapsed: number;
}

export async function apply({ url, steps, callers, begin, until }: Load): Promise<Passes> {
  const durations: number[] = [];
  const failures: string[] = [];
  const began = performance.now();
  const deadline = 'seconds' in until ? began + until.seconds * 1000 : Infinity;
  let ended = began;

  const requestsOf = (caller: Caller): autocannon.Request[] => {
    let passBegan = 0;
    return steps.map(({ call, status: expected, keep }, index) => ({
      setupRequest: (request) => {
        if (index === 0) {
          begin(caller);
          passBegan = performance.now();
        }
        return { ...request, ...toRequest(call(caller)) };
      },
      onResponse: (status, body, _context, headers = {}) => {
        const now = performance.now();
        if (status !== expected) failures.push(`${status} ${body}`);
        else keep?.(caller, { status, body, cookie: cookieOf(headers) });
        if (index < steps.length - 1 || now > deadline) return;
        durations.push(now - passBegan);
        ended = now;
      },
    }));
  };

  const waiting = [...callers];
  const { errors, timeouts } = await autocannon({
    url,
    connections: callers.length,
    sampleInt: 100,
    ...('seconds' in until ? { duration: until.seconds } : { amount: until.passes * steps.length }),
    setupClient: (client) => {
      const caller = waiting.shift();
      if (caller) client.setRequests(requestsOf(caller));
    },
  });
  const [failure] = failures;
  if (failure !== undefined) throw new Error(`${failures.length} answers were not the expected ones: ${failure}`);
  if (errors + timeouts > 0) throw new Error(`${errors} connections broke and ${timeouts} requests timed out`);
  return { durations, elapsed: Math.min(ended, deadline) - began };
}

function toRequest({ method, path, headers = {}, body }: Call): autocannon.Request {
  if (body === undefined) return { method, path, headers };
  return { method, path, headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

function cookieOf(headers: autocannon.Request['headers']): string {
  const set = Object.entries(headers ?? {}).flatMap(([name, value]) =>
    /^set-cookie$/i.test(name) ? value : [],
  ) as string[];
  return set.map((each) => each.split(';')[0]).join('; ');
}

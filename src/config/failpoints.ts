import { ConfigurationError, type Variables } from './env.js';

/** Moments in the middle of things, named by what has just been done and what has not. */
const FAILPOINTS = [
  'before-send',
  'sent-but-not-recorded',
  'charged-but-not-checked',
  'consumed-but-not-answered',
  'confirming-device',
  'resetting-password',
  'accepting-invitation',
  'replacing-recovery-codes',
  'refreshed-but-not-answered',
] as const;

type Failpoint = (typeof FAILPOINTS)[number];

let armed: Failpoint | null = null;

/**
 * Lets a test choose where the process dies. Only in tests: anywhere else a variable that ends the service at its first
 * sign-in stops the start instead, by its name.
 */
export function armFailpoint(variables: Variables): void {
  const wanted = variables['CRASH_AT'];
  armed = null;
  if (!wanted) return;
  if (variables['NODE_ENV'] !== 'test') throw new ConfigurationError(['CRASH_AT: is for tests; remove it']);
  const known = FAILPOINTS.find((each) => each === wanted);
  if (!known) throw new ConfigurationError([`CRASH_AT: is none of ${FAILPOINTS.join(', ')}`]);
  armed = known;
}

/** Dies here, as in a power cut: nothing is closed, flushed or answered. Costs a comparison where nothing is armed. */
export function crashAt(point: Failpoint): void {
  if (point === armed) process.kill(process.pid, 'SIGKILL');
}

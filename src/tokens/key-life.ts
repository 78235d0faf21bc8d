/** The times of a key in the ring. They are written ahead, so a replica changes keys by the clock and not by a message. */
export interface KeyLife {
  activatesAt: Date;
  retiresAt: Date | null;
  expiresAt: Date | null;
}

/**
 * `next`: published, not used yet · `current`: signs · `retired`: verifies what it signed · `expired`: gone, and removed
 * by the next daily job.
 */
export type KeyState = 'next' | 'current' | 'retired' | 'expired';

export function stateOf({ activatesAt, retiresAt, expiresAt }: KeyLife, now: Date): KeyState {
  if (expiresAt && expiresAt <= now) return 'expired';
  if (retiresAt && retiresAt <= now) return 'retired';
  return activatesAt > now ? 'next' : 'current';
}

/** Seconds for which anybody may keep the JWKS. */
export const JWKS_MAX_AGE = 300;

/** Seconds after which every replica that reaches the database has read the ring again. */
export const FOLLOW_INTERVAL = 5;

/** Seconds for replicas to follow, for answers under way and for clocks that differ a little. */
const MARGIN = 60;

/** Seconds between publishing a key and signing with it: by then nobody holds a JWKS that lacks it. */
export const PUBLISHED_AHEAD = JWKS_MAX_AGE + MARGIN;

/** Seconds for which a retired key verifies: until the last token that it signed has died, with everybody's clock. */
export function verifiesOnFor(tokens: { accessTtlSeconds: number; leewaySeconds: number }): number {
  return tokens.accessTtlSeconds + tokens.leewaySeconds + JWKS_MAX_AGE + MARGIN;
}

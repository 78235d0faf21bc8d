import type { Settings } from '../config/config.js';
import { Problem } from '../problems/problem.js';
import type { ChallengeState } from './challenge.queries.js';

export type Refusal =
  | { reason: 'unknown' | 'expired' | 'void' | 'used' | 'exhausted' | 'wrong' }
  | { reason: 'too_soon' | 'blocked'; retryAfter: number };

export type Answer<T> = { ok: true; value: T } | { ok: false; refusal: Refusal };

/** Why nothing can be done with a challenge any more; null while it is open. */
export function closedBecause(state: ChallengeState, { maxAttempts }: Settings['codes']): Refusal | null {
  if (state.consumed) return { reason: 'used' };
  if (state.void) return { reason: 'void' };
  if (state.expired) return { reason: 'expired' };
  return maxAttempts !== null && state.attempts >= maxAttempts ? { reason: 'exhausted' } : null;
}

/** Why a challenge took no attempt. */
export function refusalOf(state: ChallengeState, codes: Settings['codes']): Refusal {
  const closed = closedBecause(state, codes);
  if (closed) return closed;
  if (state.blockedSeconds !== null && state.blockedSeconds > 0) {
    return { reason: 'blocked', retryAfter: state.blockedSeconds };
  }
  const { retryWaitSeconds } = codes;
  const wait = retryWaitSeconds - (state.secondsSinceAttempt ?? retryWaitSeconds);
  return { reason: 'too_soon', retryAfter: Math.max(1, Math.ceil(wait)) };
}

/** What a caller is told about an attempt that did not succeed. */
export function problemOf(refusal: Refusal): Problem {
  switch (refusal.reason) {
    case 'unknown':
      return new Problem('invalid_token');
    case 'expired':
    case 'void':
      return new Problem('token_expired');
    case 'used':
      return new Problem('token_already_used');
    case 'exhausted':
      return new Problem('too_many_attempts');
    case 'wrong':
      return new Problem('invalid_code');
    case 'too_soon':
      return new Problem('retry_too_soon', { retryAfter: refusal.retryAfter });
    case 'blocked':
      return new Problem('too_many_failures', { retryAfter: refusal.retryAfter });
  }
}

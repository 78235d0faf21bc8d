import { Injectable, SetMetadata, type ExecutionContext } from '@nestjs/common';
import { ThrottlerGuard, type ThrottlerLimitDetail } from '@nestjs/throttler';
import { Problem } from '../problems/problem.js';

/** A stricter limit for some routes, besides the one that holds for all. */
export type ThrottleScope = 'sign-in';

export const THROTTLE_SCOPE = 'countersign:throttle-scope';

export const ThrottledAs = (scope: ThrottleScope) => SetMetadata(THROTTLE_SCOPE, scope);

/** The coarse limit per client address, at the edge. Exact counters per account and device stand behind it. */
@Injectable()
export class IpThrottleGuard extends ThrottlerGuard {
  /** One count per address and scope: spreading requests over routes must not multiply the limit. */
  protected override generateKey(_context: ExecutionContext, address: string, throttler: string): string {
    return `${throttler} ${address}`;
  }

  protected override throwThrottlingException(_context: ExecutionContext, detail: ThrottlerLimitDetail): Promise<void> {
    return Promise.reject(new Problem('too_many_requests', { retryAfter: detail.timeToBlockExpire }));
  }
}

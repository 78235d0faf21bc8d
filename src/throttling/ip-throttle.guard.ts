import { applyDecorators, Injectable, SetMetadata } from '@nestjs/common';
import { ApiExtension } from '@nestjs/swagger';
import { ThrottlerGuard, type ThrottlerRequest } from '@nestjs/throttler';
import type { FastifyReply } from 'fastify';
import { Problem } from '../problems/problem.js';

/** The limit that holds for every request. */
export const OVERALL = 'overall';

/** Stricter limits for some routes, besides the one that holds for all. */
export type ThrottleScope = 'sign-in' | 'send' | 'reset';

export const THROTTLE_SCOPES = 'countersign:throttle-scopes';

/** That answers of an operation tell how much is left, in the OpenAPI document while it is built. */
export const TELLS_LIMITS_EXTENSION = 'x-tells-limits';

export const ThrottledAs = (...scopes: ThrottleScope[]) =>
  applyDecorators(SetMetadata(THROTTLE_SCOPES, scopes), ApiExtension(TELLS_LIMITS_EXTENSION, true));

/** The coarse limit per client address, at the edge. Exact counters per account and device stand behind it. */
@Injectable()
export class IpThrottleGuard extends ThrottlerGuard {
  /** One count per address and scope: spreading requests over routes must not multiply the limit. */
  protected override async handleRequest({ context, limit, ttl, throttler, getTracker }: ThrottlerRequest) {
    const { req, res } = this.getRequestResponse(context);
    const name = throttler.name ?? OVERALL;
    const key = `${name} ${await getTracker(req, context)}`;
    const { totalHits, timeToExpire, isBlocked } = await this.storageService.increment(key, ttl, limit, ttl, name);
    // Not with every answer: some may be kept by caches, and nobody paces himself by the limit of a flood.
    if (name !== OVERALL || isBlocked) {
      announce(res as FastifyReply, { name, limit, seconds: ttl / 1_000, left: limit - totalHits, timeToExpire });
    }
    if (isBlocked) throw new Problem('too_many_requests', { retryAfter: timeToExpire });
    return true;
  }
}

/** How much is left, as in the draft of the IETF (draft-ietf-httpapi-ratelimit-headers-10 §3). */
function announce(
  reply: FastifyReply,
  limit: { name: string; limit: number; seconds: number; left: number; timeToExpire: number },
): void {
  const policy = `"${limit.name}";q=${limit.limit};w=${limit.seconds}`;
  const state = `"${limit.name}";r=${Math.max(0, limit.left)};t=${limit.timeToExpire}`;
  const [policies, states] = [reply.getHeader('ratelimit-policy'), reply.getHeader('ratelimit')];
  void reply.header('ratelimit-policy', policies === undefined ? policy : `${String(policies)}, ${policy}`);
  void reply.header('ratelimit', states === undefined ? state : `${String(states)}, ${state}`);
}

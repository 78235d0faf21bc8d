import { Problem, type ProblemOptions } from '../problems/problem.js';

/**
 * Why no message goes out: one went to the destination a moment ago, too many went where this one would go, text messages
 * pause, or the operator wants none to go there.
 */
export type SendRefusal = 'code_recently_sent' | 'too_many_messages' | 'messages_paused' | 'method_not_allowed';

/** Whether a message may go out, and in how many seconds to ask again. */
export type SendPermission = { allowed: true } | RefusedSend;

export interface RefusedSend {
  allowed: false;
  refusal: SendRefusal;
  retryAfter: number;
}

/** What somebody is told who asked for a message himself. */
export function sendProblem({ refusal, retryAfter }: RefusedSend, options: ProblemOptions = {}): Problem {
  if (refusal !== 'method_not_allowed') return new Problem(refusal, { ...options, retryAfter });
  return new Problem(refusal, {
    detail: 'No codes are sent to this address. Use another device, or ask the operator.',
  });
}

import { catalogue, type ProblemCode } from './catalogue.js';

export interface FieldError {
  field: string;
  messages: string[];
}

export interface ProblemOptions {
  /** Replaces the catalogue's sentence; must never hold a secret or tell whether an account exists. */
  detail?: string;
  errors?: FieldError[];
  /** Whole seconds after which the same request may succeed. */
  retryAfter?: number;
  /** For 401 step-up challenges (RFC 9470 §3): what the client must obtain. */
  stepUp?: { acrValues: string; maxAge?: number };
}

/** Anything a caller may be told, thrown from anywhere; `problem.filter.ts` turns it into an answer (RFC 9457). */
export class Problem extends Error {
  readonly status: number;

  constructor(
    readonly code: ProblemCode,
    readonly options: ProblemOptions = {},
  ) {
    super(options.detail ?? catalogue[code].detail);
    this.name = 'Problem';
    this.status = catalogue[code].status;
  }
}

/** What is wrong with one field. */
export function invalidField(field: string, message: string): Problem {
  return new Problem('validation_failed', { errors: [{ field, messages: [message] }] });
}

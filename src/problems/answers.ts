import { ApiExtension } from '@nestjs/swagger';
import type { ProblemCode } from './catalogue.js';

/** The extension under which an operation of the OpenAPI document carries its own problem codes while it is built. */
export const PROBLEMS_EXTENSION = 'x-problem-codes';
export const ONLY_PROBLEMS_EXTENSION = 'x-only-problem-codes';

/**
 * The problems that are particular to a handler. Those that follow from its shape (a body, a bearer token, a limit)
 * are added to every operation when the document is built.
 */
export const Problems = (...codes: readonly [ProblemCode, ...ProblemCode[]]) => ApiExtension(PROBLEMS_EXTENSION, codes);

/** All problems of a handler that answers no others, not even those which follow from its shape. */
export const OnlyProblems = (...codes: readonly [ProblemCode, ...ProblemCode[]]) =>
  ApiExtension(ONLY_PROBLEMS_EXTENSION, codes);

import type {
  ComponentsObject,
  ExampleObject,
  HeadersObject,
  OperationObject,
  ResponseObject,
  SchemaObject,
} from '@nestjs/swagger';
import { PROBLEMS_EXTENSION } from '../problems/answers.js';
import { catalogue, type ProblemCode } from '../problems/catalogue.js';
import { REQUIRES_FRESH_EXTENSION } from '../tokens/access.js';

/** An operation as the decorators left it, with the notes that they wrote for {@link problemResponses}. */
export type NotedOperation = OperationObject & {
  [PROBLEMS_EXTENSION]?: readonly ProblemCode[];
  [REQUIRES_FRESH_EXTENSION]?: boolean;
};

export const REQUEST_ID: HeadersObject = { 'X-Request-Id': { $ref: '#/components/headers/RequestId' } };
const WWW_AUTHENTICATE: HeadersObject = { 'WWW-Authenticate': { $ref: '#/components/headers/WwwAuthenticate' } };
const RETRY_AFTER: HeadersObject = { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } };

const codes = Object.keys(catalogue) as ProblemCode[];

/** What every problem answer refers to. */
export const problemComponents = {
  schemas: {
    FieldError: fieldErrorSchema(),
    Problem: problemSchema(),
    ProblemCode: {
      type: 'string',
      enum: codes,
      description: 'What happened. Stable: codes are added, never renamed. /problems explains each.',
    } satisfies SchemaObject,
  },
  examples: Object.fromEntries(codes.map((code) => [code, exampleOf(code)])),
  headers: {
    RequestId: {
      description: 'The id of this request in the logs: your own X-Request-Id (8 to 64 letters, digits, `-`, `_`), or a new one.',
      schema: { type: 'string', example: EXAMPLE_REQUEST_ID() },
    },
    RetryAfter: {
      description: 'Seconds after which the same request may succeed.',
      schema: { type: 'integer', minimum: 0, example: 30 },
    },
    WwwAuthenticate: {
      description: 'The challenge of RFC 6750; for `insufficient_user_authentication` that of RFC 9470, with `max_age`.',
      schema: { type: 'string', example: 'Bearer realm="countersign", error="invalid_token"' },
    },
  },
} satisfies ComponentsObject;

/** One response a status, for every problem that the operation can answer. */
export function problemResponses(operation: NotedOperation): Record<string, ResponseObject> {
  const own = new Set<ProblemCode>([...(operation[PROBLEMS_EXTENSION] ?? []), ...impliedBy(operation)]);
  const byStatus = Map.groupBy(
    codes.filter((code) => own.has(code)),
    (code) => catalogue[code].status,
  );
  return Object.fromEntries([...byStatus].map(([status, members]) => [status, responseOf(status, members)]));
}

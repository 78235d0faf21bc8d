import type {
  ComponentsObject,
  ExampleObject,
  HeadersObject,
  OperationObject,
  ResponseObject,
  SchemaObject,
} from '@nestjs/swagger';
import { ONLY_PROBLEMS_EXTENSION, PROBLEMS_EXTENSION } from '../problems/answers.js';
import { catalogue, type ProblemCode } from '../problems/catalogue.js';
import type { ProblemBody } from '../problems/problem.filter.js';
import { TELLS_LIMITS_EXTENSION } from '../throttling/ip-throttle.guard.js';
import { REQUIRES_ADMIN_EXTENSION, REQUIRES_FRESH_EXTENSION } from '../tokens/access.js';
import { type SETS_COOKIES_EXTENSION } from '../tokens/cookie-answers.js';

/** An operation as the decorators left it, with the notes that they wrote for {@link problemResponses}. */
export type NotedOperation = OperationObject & {
  [PROBLEMS_EXTENSION]?: readonly ProblemCode[];
  [ONLY_PROBLEMS_EXTENSION]?: readonly ProblemCode[];
  [REQUIRES_FRESH_EXTENSION]?: boolean;
  [REQUIRES_ADMIN_EXTENSION]?: boolean;
  [SETS_COOKIES_EXTENSION]?: boolean;
  [TELLS_LIMITS_EXTENSION]?: boolean;
};

const EXAMPLE_REQUEST_ID = '019aa8d2-9c40-7d1b-8a6e-5b2f7c3d4e10';
const EXAMPLE_WAIT = 30;

export const REQUEST_ID: HeadersObject = { 'X-Request-Id': { $ref: '#/components/headers/RequestId' } };
export const SET_COOKIE: HeadersObject = { 'Set-Cookie': { $ref: '#/components/headers/SetCookie' } };
const WWW_AUTHENTICATE: HeadersObject = { 'WWW-Authenticate': { $ref: '#/components/headers/WwwAuthenticate' } };
const RETRY_AFTER: HeadersObject = { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } };
const RATE_LIMIT: HeadersObject = {
  'RateLimit-Policy': { $ref: '#/components/headers/RateLimitPolicy' },
  RateLimit: { $ref: '#/components/headers/RateLimit' },
};

const codes = Object.keys(catalogue) as ProblemCode[];

/** One response a status, for every problem that the operation can answer. */
export function problemResponses(method: string, operation: NotedOperation): Record<string, ResponseObject> {
  const particular = operation[PROBLEMS_EXTENSION] ?? [];
  const own = new Set<ProblemCode>(
    operation[ONLY_PROBLEMS_EXTENSION] ?? [...particular, ...impliedBy(method, operation)],
  );
  const responses: Record<string, ResponseObject> = {};
  for (const status of new Set(codes.map((code) => catalogue[code].status))) {
    const members = codes.filter((code) => own.has(code) && catalogue[code].status === status);
    if (members.length > 0) responses[status] = responseOf(status, members, limitHeaders(operation, status));
  }
  return responses;
}

/** The problems that follow from an operation's shape, so that no handler has to name them. */
function impliedBy(method: string, operation: NotedOperation): ProblemCode[] {
  const hasBody = operation.requestBody !== undefined;
  // The server reads a body also where none is wanted, and refuses one that it cannot read.
  const readsBody = method !== 'get';
  const hasParameter = (operation.parameters ?? []).length > 0;
  const schemes = (operation.security ?? []).flatMap((requirement) => Object.keys(requirement));
  const isAccessOnly = schemes.includes('accessToken') && !schemes.includes('enrollmentToken');
  return [
    ...(hasBody || hasParameter ? (['validation_failed'] as const) : []),
    ...(readsBody ? (['malformed_body', 'payload_too_large', 'unsupported_media_type'] as const) : []),
    // A browser adds cookies to every request, also to those that need none.
    ...(method === 'get' ? [] : (['cross_site_request'] as const)),
    ...(schemes.length > 0 ? (['authentication_required', 'invalid_token'] as const) : []),
    ...(isAccessOnly ? (['enrollment_required'] as const) : []),
    ...(operation[REQUIRES_ADMIN_EXTENSION] ? (['admin_required'] as const) : []),
    ...(operation[REQUIRES_ADMIN_EXTENSION] || operation[REQUIRES_FRESH_EXTENSION]
      ? (['insufficient_user_authentication'] as const)
      : []),
    'too_many_requests',
    'internal_error',
    'unavailable',
  ];
}

/** Whoever is over the limit that holds for all operations is told so as well. */
export function limitHeaders(operation: NotedOperation, status?: number): HeadersObject {
  return operation[TELLS_LIMITS_EXTENSION] || status === 429 ? RATE_LIMIT : {};
}

function responseOf(status: number, members: readonly ProblemCode[], limits: HeadersObject): ResponseObject {
  return {
    description: members.map((code) => `\`${code}\``).join(', '),
    headers: {
      ...REQUEST_ID,
      ...(status === 401 ? WWW_AUTHENTICATE : {}),
      ...(members.some(tellsWait) ? RETRY_AFTER : {}),
      ...limits,
    },
    content: {
      'application/problem+json': {
        schema: { $ref: '#/components/schemas/Problem' },
        examples: Object.fromEntries(members.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
      },
    },
  };
}

function tellsWait(code: ProblemCode): boolean {
  const { status } = catalogue[code];
  // A gateway is answered 403 for what is a 503 elsewhere.
  return status === 429 || status === 503 || code === 'authorization_unknown';
}

/** What every problem response refers to. */
export function problemComponents(): Required<Pick<ComponentsObject, 'schemas' | 'examples' | 'headers'>> {
  return {
    schemas: { Problem: problem, ProblemCode: problemCode, FieldError: fieldError },
    examples: Object.fromEntries(codes.map((code) => [code, exampleOf(code)])),
    headers: {
      RequestId: {
        description:
          'The id of this request in the logs: your own X-Request-Id (8 to 64 letters, digits, `-`, `_`), or a new one.',
        schema: { type: 'string', example: EXAMPLE_REQUEST_ID },
      },
      RetryAfter: {
        description: 'Seconds after which the same request may succeed.',
        schema: { type: 'integer', minimum: 0, example: EXAMPLE_WAIT },
      },
      RateLimitPolicy: {
        description:
          'The limits of an address that this request counted for (draft-ietf-httpapi-ratelimit-headers): `q` times in `w` seconds.',
        schema: { type: 'string', example: '"sign-in";q=30;w=60' },
      },
      RateLimit: {
        description: 'What is left of them: `r` times, until the window ends in `t` seconds.',
        schema: { type: 'string', example: '"sign-in";r=29;t=60' },
      },
      SetCookie: {
        description:
          'With AUTH_COOKIES and `X-Auth-Cookies: on`: `__Host-access` and `__Secure-refresh` instead of the tokens of the body, or their removal.',
        schema: {
          type: 'string',
          example: '__Host-access=eyJhbGciOi…; Path=/; SameSite=Lax; Max-Age=300; Secure; HttpOnly',
        },
      },
      WwwAuthenticate: {
        description:
          'The challenge of RFC 6750; for `insufficient_user_authentication` that of RFC 9470, with `acr_values`, and `max_age` where the proof is to be recent.',
        schema: { type: 'string', example: 'Bearer realm="countersign", error="invalid_token"' },
      },
    },
  };
}

const problem: SchemaObject = {
  type: 'object',
  description: 'What went wrong (RFC 9457). Branch on `code`.',
  required: ['type', 'title', 'status', 'detail', 'code', 'requestId'],
  properties: {
    type: {
      type: 'string',
      format: 'uri-reference',
      example: '/problems#invalid_code',
      description: 'Where the code is explained.',
    },
    title: { type: 'string', example: 'Wrong code', description: 'The code in words; the same for each occurrence.' },
    status: { type: 'integer', example: 401, description: 'The HTTP status.' },
    detail: { type: 'string', example: 'Type the newest code.', description: 'What happened and what to do next.' },
    code: { $ref: '#/components/schemas/ProblemCode' },
    requestId: {
      type: 'string',
      example: EXAMPLE_REQUEST_ID,
      description: 'Name it when you report the problem; it is in the logs.',
    },
    errors: {
      type: 'array',
      items: { $ref: '#/components/schemas/FieldError' },
      description: '`validation_failed`: what is wrong, field by field.',
    },
    retryAfter: {
      type: 'integer',
      minimum: 0,
      example: EXAMPLE_WAIT,
      description: 'Seconds after which the same request may succeed, as in Retry-After.',
    },
  },
};

const problemCode: SchemaObject = {
  type: 'string',
  enum: codes,
  description: 'What happened. Codes are never renamed; new ones may be added. /problems explains each.',
};

const fieldError: SchemaObject = {
  type: 'object',
  description: 'What is wrong with one field of the body.',
  required: ['field', 'messages'],
  properties: {
    field: { type: 'string', example: 'identifier', description: 'The field; a dot leads into a nested one.' },
    messages: {
      type: 'array',
      items: { type: 'string' },
      example: ['identifier must be a string'],
      description: 'What is wrong with it, in words.',
    },
  },
};

function exampleOf(code: ProblemCode): ExampleObject {
  const { status, title, detail } = catalogue[code];
  const value: ProblemBody = {
    type: `/problems#${code}`,
    title,
    status,
    detail,
    code,
    requestId: EXAMPLE_REQUEST_ID,
    ...(code === 'validation_failed'
      ? { errors: [{ field: 'identifier', messages: ['identifier must be a string'] }] }
      : {}),
    ...(tellsWait(code) ? { retryAfter: EXAMPLE_WAIT } : {}),
  };
  return { summary: title, value };
}

import type { OpenAPIObject, OperationObject, ResponseObject } from '@nestjs/swagger';
import addFormats from 'ajv-formats';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { catalogue, type ProblemCode } from '../../src/problems/catalogue.js';
import type { ProblemBody } from '../../src/problems/problem.filter.js';

interface AnyRequest {
  method: string;
  url: string;
}

interface AnyResponse {
  statusCode: number;
  headers: Record<string, unknown>;
  body: string;
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;
type Method = (typeof METHODS)[number];

/** The document that is committed; a drift test says that it is the one which is served. */
export const openApi = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', '..', 'openapi.json'), 'utf8'),
) as OpenAPIObject;

const routes = Object.entries(openApi.paths).flatMap(([path, item]) =>
  METHODS.flatMap((method) => {
    const operation = item[method];
    const pattern = new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{[^}]+\}/g, '([^/]+)')}$`);
    return operation ? [{ path, method, operation, pattern, isTemplate: path.includes('{') }] : [];
  }),
);
// `/users/me` before `/users/{id}`.
routes.sort((a, b) => Number(a.isTemplate) - Number(b.isTemplate));

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true });
addFormats.default(ajv);
ajv.addFormat('idn-email', /^[^\s@]+@[^\s@]+$/u);
ajv.addSchema(openApi, 'openapi');
/** Headers that tell a client something; others are the same for every answer, or what HTTP itself says of it. */
const TELLING = /^(x-auth-.*|retry-after|ratelimit.*|www-authenticate|set-cookie|location|link|content-disposition)$/;
const validators = new Map<string, ValidateFunction>();

/** Throws what the document does not say of this answer. */
export function expectDocumented(request: AnyRequest, response: AnyResponse): void {
  const faults = faultsOf(request, response);
  if (faults.length === 0) return;
  const shown = response.body.length > 600 ? `${response.body.slice(0, 600)}…` : response.body;
  throw new Error(
    `${request.method} ${request.url} → ${response.statusCode} is not what openapi.json says:\n${faults.map((fault) => `  - ${fault}`).join('\n')}\nThe body: ${shown}`,
  );
}

/** What is wrong with a value, by the schema at a JSON pointer into the document. */
export function schemaFaults(pointer: readonly string[], value: unknown): string[] {
  const key = pointer.map((part) => `/${encodeURIComponent(part.replace(/~/g, '~0').replace(/\//g, '~1'))}`).join('');
  const validate = validators.get(key) ?? ajv.compile({ $ref: `openapi#${key}` });
  validators.set(key, validate);
  if (validate(value)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message = '', params }) => `body${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}

function faultsOf({ method, url }: AnyRequest, response: AnyResponse): string[] {
  const path = pathOf(url);
  const verb = method.toLowerCase();
  const route = routes.find((each) => each.method === verb && each.pattern.test(path));
  const common = [...problemFaults(response), ...requestIdFaults(response)];
  if (route) return [...documentFaults(route, response), ...common];
  const isProductRoute = path.startsWith('/api/') && METHODS.includes(verb as Method);
  if (isProductRoute && response.statusCode < 400) return ['the operation is not in the document', ...common];
  return common;
}

/** A slash at the end is ignored by the server too. */
function pathOf(url: string): string {
  return new URL(url, 'http://localhost').pathname.replace(/(?<=.)\/$/, '');
}

function documentFaults(
  { path, method, operation }: { path: string; method: Method; operation: OperationObject },
  { statusCode, headers, body }: AnyResponse,
): string[] {
  const documented = operation.responses[statusCode] as ResponseObject | undefined;
  if (!documented) {
    return [`the status is not one of ${Object.keys(operation.responses).join(', ')}`];
  }
  const undocumented = headersNotIn(documented, headers);
  if (undocumented.length > 0) return undocumented;
  if (!documented.content) return body === '' ? [] : ['there is a body, and none is documented'];
  const mediaType = mediaTypeOf(headers);
  const media = documented.content[mediaType];
  if (!media) return [`the media type "${mediaType}" is not one of ${Object.keys(documented.content).join(', ')}`];
  // application/json and application/problem+json; a file with one value a line is a text to the document.
  const value: unknown = /[/+]json$/.test(mediaType) ? JSON.parse(body) : body;
  const faults = schemaFaults(
    ['paths', path, method, 'responses', String(statusCode), 'content', mediaType, 'schema'],
    value,
  );
  if (statusCode >= 400 && !(codeOf(value) in (media.examples ?? {}))) {
    faults.push(`the code "${codeOf(value)}" is not one of ${Object.keys(media.examples ?? {}).join(', ')}`);
  }
  return faults;
}

function headersNotIn({ headers: documented = {} }: ResponseObject, headers: Record<string, unknown>): string[] {
  const names = Object.keys(documented).map((name) => name.toLowerCase());
  return Object.keys(headers)
    .filter((name) => TELLING.test(name) && headers[name] !== undefined && !names.includes(name))
    .map((name) => `the header "${name}" is not documented`);
}

/** What holds for every problem, whether its path is in the document or not. */
function problemFaults({ statusCode, headers, body }: AnyResponse): string[] {
  // The answer to HEAD has none.
  if (statusCode < 400 || body === '') return [];
  if (mediaTypeOf(headers) !== 'application/problem+json') return ['an error that is no application/problem+json'];
  const problem = JSON.parse(body) as ProblemBody;
  const entry = catalogue[problem.code as ProblemCode] as (typeof catalogue)[ProblemCode] | undefined;
  if (!entry) return [`the code "${problem.code}" is not in the catalogue`];
  const wait = textOf(headers['retry-after']);
  return [
    ...schemaFaults(['components', 'schemas', 'Problem'], problem),
    ...(entry.status === statusCode && problem.status === statusCode ? [] : [`${problem.code} is a ${entry.status}`]),
    ...(problem.type === `/problems#${problem.code}` ? [] : [`the type is ${problem.type}`]),
    ...(statusCode === 401 && !textOf(headers['www-authenticate']).startsWith('Bearer ')
      ? ['a 401 without WWW-Authenticate: Bearer']
      : []),
    ...(statusCode === 429 && wait === '' ? ['a 429 without Retry-After'] : []),
    ...(wait === textOf(problem.retryAfter)
      ? []
      : [`Retry-After is "${wait}", retryAfter is "${textOf(problem.retryAfter)}"`]),
    ...(problem.requestId === headers['x-request-id'] ? [] : ['requestId is not X-Request-Id']),
  ];
}

function requestIdFaults({ headers }: AnyResponse): string[] {
  return typeof headers['x-request-id'] === 'string' ? [] : ['there is no X-Request-Id'];
}

function mediaTypeOf(headers: Record<string, unknown>): string {
  const [mediaType = ''] = textOf(headers['content-type']).split(';');
  return mediaType.trim();
}

/** A header as a client reads it; empty where there is none. */
function textOf(header: unknown): string {
  return typeof header === 'string' || typeof header === 'number' ? String(header) : '';
}

function codeOf(value: unknown): string {
  return String((value as { code?: unknown } | null)?.code);
}

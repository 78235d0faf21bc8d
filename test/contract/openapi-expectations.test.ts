import { describe, expect, it } from 'vitest';
import { expectDocumented, openApi } from '../support/openapi.js';

const REQUEST_ID = '019aa8d2-9c40-7d1b-8a6e-5b2f7c3d4e10';
const signIn = { method: 'POST', url: '/api/v1/auth/token?from=here' };
const example = (code: string) => {
  const { value } = (openApi.components?.examples ?? {})[code] as { value: { status: number; retryAfter?: number } };
  return value;
};

function answer(statusCode: number, body: object, headers: Record<string, unknown> = {}) {
  return {
    statusCode,
    headers: { 'x-request-id': REQUEST_ID, 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(body),
  };
}

function refusal(code: string, changes: object = {}, headers: Record<string, unknown> = {}) {
  const { status, retryAfter, ...rest } = example(code);
  return answer(
    status,
    { status, ...rest, ...(retryAfter === undefined ? {} : { retryAfter }), ...changes },
    {
      'content-type': 'application/problem+json; charset=utf-8',
      ...(status === 401 ? { 'www-authenticate': 'Bearer realm="countersign"' } : {}),
      ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
      ...headers,
    },
  );
}

/** The check that all other tests lean on: one that never fails would make them blind. */
describe('expectDocumented', () => {
  const enrollment = {
    status: 'enrollment_required',
    enrollmentToken: 'e30.e30.c2ln',
    expiresIn: 900,
    methods: ['totp'],
    deadline: null,
  };

  it.each([
    ['an answer as documented', signIn, answer(200, enrollment)],
    ['a documented problem', signIn, refusal('invalid_credentials')],
    ['a problem of a path that does not exist', { method: 'GET', url: '/api/v1/nothing' }, refusal('not_found')],
    ['a page beside the API', { method: 'GET', url: '/health/live' }, answer(200, { status: 'live' })],
    ['a slash at the end', { method: 'POST', url: '/api/v1/auth/token/' }, refusal('busy')],
  ])('accepts %s', (_, request, response) => {
    expect(() => expectDocumented(request, response)).not.toThrow();
  });

  it.each([
    ['an unknown property', signIn, answer(200, { ...enrollment, hint: 'x' }), 'additional properties'],
    ['a missing property', signIn, answer(200, { ...enrollment, expiresIn: undefined }), 'expiresIn'],
    ['a property of another type', signIn, answer(200, { ...enrollment, expiresIn: '900' }), 'integer'],
    ['another status', signIn, answer(201, enrollment), 'the status is not one of 200, 400'],
    ['another media type', signIn, answer(200, enrollment, { 'content-type': 'text/html' }), 'media type "text/html"'],
    ['a problem of other operations', signIn, refusal('invalid_code'), 'the code "invalid_code" is not one of'],
    ['a code of another status', signIn, refusal('invalid_code', { code: 'busy' }), 'busy is a 503'],
    ['an unknown code', signIn, refusal('invalid_credentials', { code: 'oops' }), '"oops" is not in the catalogue'],
    ['a problem that says too much', signIn, refusal('invalid_credentials', { stack: '…' }), 'additional properties'],
    [
      'a 401 without a challenge',
      signIn,
      refusal('invalid_credentials', {}, { 'www-authenticate': undefined }),
      'WWW-Authenticate',
    ],
    [
      'a 429 without Retry-After',
      signIn,
      refusal('too_many_failures', {}, { 'retry-after': undefined }),
      'Retry-After',
    ],
    ['another request id', signIn, refusal('invalid_credentials', { requestId: 'other' }), 'requestId is not'],
    ['an error that is no problem', { method: 'GET', url: '/nothing' }, answer(404, {}), 'problem+json'],
    [
      'an operation that nobody documented',
      { method: 'GET', url: '/api/v1/secret' },
      answer(200, {}),
      'not in the document',
    ],
    ['a header that says something', signIn, answer(200, enrollment, { location: '/next' }), 'the header "location"'],
    ['a body where none belongs', { method: 'POST', url: '/api/v1/auth/token/revoke' }, answer(204, {}), 'a body'],
  ])('refuses %s', (_, request, response, reason) => {
    expect(() => expectDocumented(request, response)).toThrow(reason);
  });
});

import type { ExampleObject, OperationObject, RequestBodyObject } from '@nestjs/swagger';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { openApi } from '../support/openapi.js';
import { administrator } from '../support/people.js';

/** Of no row; what comes after the validation of the body may be any answer. */
const NOBODY = '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11';
const PARAMETERS: Readonly<Record<string, string>> = { provider: 'google', role: 'support' };

const METHODS = ['post', 'put', 'patch'] as const;
const requests = Object.entries(openApi.paths).flatMap(([path, item]) =>
  METHODS.flatMap((method) => examplesOf(item[method]).map((body) => ({ method, path, body }))),
);

let app: TestApp;
let token: string;
beforeAll(async () => {
  app = await startApp({
    THROTTLE_SIGN_IN_PER_IP: 'off',
    THROTTLE_SEND_PER_IP: 'off',
    PROFILE_FIELDS: 'company',
    REDIRECT_ALLOWLIST: 'https://app.example.com/signed-in,https://app.example.com/welcome',
  });
  ({ token } = await administrator(app));
});
afterAll(() => app.close());

/** What "Try it out" of the API browser sends, and what generated clients show. */
it.each(requests)('$method $path takes its example $body', async ({ method, path, body }) => {
  const answer = await app.app.inject({
    method,
    url: path.replace(/\{(\w+)\}/g, (_, name: string) => PARAMETERS[name] ?? NOBODY),
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    payload: JSON.stringify(body),
  });
  expect(answer.body).not.toContain('validation_failed');
});

function examplesOf(operation: OperationObject | undefined): unknown[] {
  const body = operation?.requestBody as RequestBodyObject | undefined;
  const { example, examples = {} } = body?.content['application/json'] ?? {};
  const named = Object.values(examples).map((each) => (each as ExampleObject).value as unknown);
  return example === undefined ? named : [example, ...named];
}

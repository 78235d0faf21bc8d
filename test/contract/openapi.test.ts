import type { MediaTypeObject, OperationObject, ReferenceObject, ResponseObject, SchemaObject } from '@nestjs/swagger';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { renderOpenApi } from '../../scripts/openapi.js';
import { catalogue } from '../../src/problems/catalogue.js';
import { openApi, schemaFaults } from '../support/openapi.js';

const root = join(import.meta.dirname, '..', '..');

/** Codes of answers that are given before an operation is found, or by the webhook that only a provider can call. */
const OUTSIDE_OPERATIONS = ['http_method_not_allowed', 'headers_too_large', 'invalid_signature'];

const operations = Object.entries(openApi.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, operation: operation as OperationObject })),
);

it('is the document that is committed; `npm run generate` writes it', async () => {
  expect(await renderOpenApi()).toBe(readFileSync(join(root, 'openapi.json'), 'utf8'));
});

it('passes redocly lint', { timeout: 60_000 }, async () => {
  const redocly = join(root, 'node_modules', '@redocly', 'cli', 'bin', 'cli.js');
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [redocly, 'lint', 'openapi.json'], {
    cwd: root,
    env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
  });
  expect(stdout + stderr).toContain('Your API description is valid');
});

describe.each(operations)('$method $path', ({ path, method, operation }) => {
  it('has a name, a tag, a summary, and says which tokens open it', () => {
    const { operationId, summary, tags = [], security } = operation;
    expect(operationId).toMatch(/^[a-z][A-Za-z]+$/);
    expect(summary).toBeTruthy();
    expect(openApi.tags?.map(({ name }) => name)).toEqual(expect.arrayContaining(tags));
    expect(tags).toHaveLength(1);
    expect(security).toBeDefined();
  });

  it('describes every answer', () => {
    for (const response of Object.values(operation.responses) as ResponseObject[]) {
      expect(response.description).not.toBe('');
      expect(response.headers).toHaveProperty('X-Request-Id');
    }
  });

  it('gives examples that its own schemas accept', () => {
    const bodies = bodiesOf(operation);
    for (const { pointer, media } of bodies) {
      const examples = examplesOf(media);
      expect(examples).not.toEqual([]);
      for (const example of examples) {
        expect(schemaFaults(['paths', path, method, ...pointer, 'schema'], example)).toEqual([]);
      }
    }
  });
});

it('names no operation twice', () => {
  const names = operations.map(({ operation }) => operation.operationId);
  expect(names).toEqual([...new Set(names)]);
});

it('has a place for every problem code', () => {
  const used = operations.flatMap(({ operation }) =>
    Object.entries(operation.responses as Record<string, ResponseObject>)
      .filter(([status]) => Number(status) >= 400)
      .flatMap(([, { content }]) => Object.keys(content?.['application/problem+json']?.examples ?? {})),
  );
  expect(new Set([...used, ...OUTSIDE_OPERATIONS])).toEqual(new Set(Object.keys(catalogue)));
  expect(used.filter((code) => OUTSIDE_OPERATIONS.includes(code))).toEqual([]);
});

it('has no open schema, and leaves no note of its making', () => {
  const objects = schemasIn(openApi).filter(({ properties, type }) => properties !== undefined || type === 'object');
  expect(objects.length).toBeGreaterThan(20);
  // One with a schema for its values is a map of them.
  const open = objects.filter(({ additionalProperties = true }) => additionalProperties === true);
  // What an audit event tells besides depends on its type.
  expect(open.map(({ description }) => description)).toEqual(['What an event of this type tells besides.']);
  expect(JSON.stringify(openApi)).not.toMatch(/"x-/);
});

it('gives SignInResult a name, and a discriminator that leads to its three answers', () => {
  const { oneOf = [], discriminator } = (openApi.components?.schemas ?? {})['SignInResult'] as SchemaObject;
  expect(discriminator?.propertyName).toBe('status');
  expect(Object.keys(discriminator?.mapping ?? {})).toEqual([
    'authenticated',
    'second_factor_required',
    'enrollment_required',
  ]);
  expect(Object.values(discriminator?.mapping ?? {})).toEqual(oneOf.map((member) => (member as ReferenceObject).$ref));
});

it.each([
  ['UserTwoFactor', 'UpdateUserRule'],
  ['Rule', 'RuleDemand'],
  ['EffectiveTwoFactor', 'RuleDemand'],
  ['TwoFactor', 'UpdateTwoFactor'],
  ['AdminUser', 'UpdateUser'],
  ['User', 'UpdateMe'],
  ['Webhook', 'UpdateWebhook'],
])('reads no choice in %s that %s would refuse', (read, written) => {
  const shared = Object.keys(propertiesOf(read)).filter((name) => name in propertiesOf(written));
  expect(shared).not.toEqual([]);
  for (const name of shared) {
    const accepted = choicesOf(propertiesOf(written)[name]);
    expect({ [name]: choicesOf(propertiesOf(read)[name]).filter((choice) => !accepted.includes(choice)) }).toEqual({
      [name]: [],
    });
  }
});

it('counts in whole numbers', () => {
  expect(JSON.stringify(openApi)).not.toContain('"type":"number"');
});

it('tells which operations are open to everybody', () => {
  const open = operations.filter(({ operation }) => operation.security?.length === 0);
  expect(open.map(({ operation }) => operation.operationId).toSorted()).toEqual([
    'acceptInvitation',
    'askForCode',
    'askForMagicLink',
    'askForPasswordReset',
    'beginSocialSignIn',
    'confirmPasswordReset',
    'confirmRegistration',
    'createSocialNonce',
    'getAuthOptions',
    'getAuthorizationServerMetadata',
    'getJwks',
    'getOpenIdConfiguration',
    'previewInvitation',
    'redeemMagicLink',
    'refreshToken',
    'registerUser',
    'revokeToken',
    'signIn',
    'signInSecondFactor',
    'signInWithProvider',
    'verifyToken',
  ]);
});

function propertiesOf(schema: string): Record<string, SchemaObject | ReferenceObject> {
  return ((openApi.components?.schemas ?? {})[schema] as SchemaObject).properties ?? {};
}

/** What a property is chosen from; empty where it is free. */
function choicesOf(property: SchemaObject | ReferenceObject | undefined): unknown[] {
  if (property === undefined) return [];
  if ('$ref' in property) {
    const name = property.$ref.replace('#/components/schemas/', '');
    return choicesOf((openApi.components?.schemas ?? {})[name]);
  }
  return property.enum ?? choicesOf(property.items ?? property.allOf?.[0]);
}

function bodiesOf({ requestBody, responses }: OperationObject): { pointer: string[]; media: MediaTypeObject }[] {
  const request = (requestBody as { content?: Record<string, MediaTypeObject> } | undefined)?.content ?? {};
  return [
    ...Object.entries(request).map(([type, media]) => ({ pointer: ['requestBody', 'content', type], media })),
    ...Object.entries(responses as Record<string, ResponseObject>).flatMap(([status, { content = {} }]) =>
      Object.entries(content).map(([type, media]) => ({ pointer: ['responses', status, 'content', type], media })),
    ),
  ];
}

function examplesOf({ example, examples = {} }: MediaTypeObject): unknown[] {
  const named = Object.values(examples).map((each) => {
    if (!('$ref' in each)) return each.value as unknown;
    const shared = openApi.components?.examples?.[each.$ref.replace('#/components/examples/', '')];
    return (shared as { value: unknown }).value;
  });
  return example === undefined ? named : [example, ...named];
}

/** Every object in the document that is a schema of objects; examples are data and are passed over. */
function schemasIn(node: unknown): SchemaObject[] {
  if (typeof node !== 'object' || node === null) return [];
  const schema = node as SchemaObject;
  const inner = Object.entries(node)
    .filter(([key]) => !['example', 'examples'].includes(key))
    .flatMap(([, value]) => schemasIn(value));
  return schema.type === 'object' ? [schema, ...inner] : inner;
}

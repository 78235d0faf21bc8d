import type { INestApplication } from '@nestjs/common';
import {
  DocumentBuilder,
  SwaggerModule,
  type HeadersObject,
  type OpenAPIObject,
  type OperationObject,
  type ReferenceObject,
  type RequestBodyObject,
  type ResponseObject,
  type SchemaObject,
} from '@nestjs/swagger';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SIGN_IN_RESULT, signInResultSchema } from '../sign-in/sign-in.dto.js';
import { ACCESS_COOKIE } from '../tokens/auth-cookies.js';
import { SETS_COOKIES_EXTENSION } from '../tokens/cookie-answers.js';
import {
  limitHeaders,
  problemComponents,
  problemResponses,
  REQUEST_ID,
  SET_COOKIE,
  type NotedOperation,
} from './problem-responses.js';
import { withExamples, type Schemas } from './sample.js';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

/** In the order of the document. An operation with any other tag stops its generation. */
const TAGS: Readonly<Record<string, string>> = {
  'sign-in': 'Sign in, keep the session alive, prove a factor again, sign out.',
  users: 'Register, and what a signed-in user reads and changes about himself.',
  'otp-devices': 'Enroll, confirm, list and remove the devices that prove a second factor.',
  invitations: 'Invite somebody by mail or text message, and accept.',
  admin: 'For users with the role `admin`: accounts, the two-factor policy, the audit log, webhooks.',
  gateway: 'For gateways that ask about every request: may it pass, and who sends it.',
  'well-known': 'For gateways and services that verify access tokens themselves.',
};

const DESCRIPTION = `Sign-in with JSON Web Tokens, protected by a second factor.

**A sign-in.** \`POST /api/v1/auth/token\` takes the first factor. Every way in answers a \`SignInResult\`; its \`status\` says
what follows: \`authenticated\` (here are the tokens), \`second_factor_required\` (send the code to
\`POST /api/v1/auth/token/second-factor\`) or \`enrollment_required\` (create and confirm a device with the enrollment token).

**Tokens.** Send the access token as \`Authorization: Bearer …\`. Before it expires, exchange the refresh token at
\`POST /api/v1/auth/token/refresh\`; each one is good for one exchange. A browser may have both as cookies instead: docs/cookies.md. Changes of security settings need a recent proof of a
factor: on \`insufficient_user_authentication\`, \`POST /api/v1/auth/step-up\`, then repeat the request.

**Conventions.** JSON in and out. Unknown properties are refused. Times are ISO 8601 in UTC, durations whole seconds, ids
UUIDs. Errors are problems (RFC 9457, \`application/problem+json\`): branch on \`code\`, which never changes; \`/problems\`
explains every one. No answer may be cached unless it says so.`;

/** The OpenAPI document, built from the decorators alone: no database is needed, and nothing is started. */
export function createDocument(app: INestApplication, server = '/'): OpenAPIObject {
  const scanned = SwaggerModule.createDocument(app, base(server));
  const problems = problemComponents();
  const schemas = closed({ ...scanned.components?.schemas, [SIGN_IN_RESULT]: signInResultSchema, ...problems.schemas });
  const paths = completePaths(scanned.paths, schemas);
  return withPlainNames({
    openapi: scanned.openapi,
    info: { ...scanned.info, license: license() },
    servers: scanned.servers ?? [],
    tags: scanned.tags ?? [],
    paths,
    components: {
      securitySchemes: scanned.components?.securitySchemes ?? {},
      schemas,
      examples: used(problems.examples, paths),
      headers: problems.headers,
    },
  });
}

/** Generated clients call a user `User`; that the class which describes it ends in `Dto` is our business. */
function withPlainNames(document: OpenAPIObject): OpenAPIObject {
  const schemas = Object.entries(document.components?.schemas ?? {});
  const named = schemas.map(([name, schema]) => [name.replace(/Dto$/, ''), schema] as const);
  if (new Set(named.map(([name]) => name)).size < named.length) throw new Error('Two schemas have the same name');
  const plain = { ...document, components: { ...document.components, schemas: Object.fromEntries(named) } };
  return JSON.parse(
    JSON.stringify(plain).replace(/"#\/components\/schemas\/(\w+)Dto"/g, '"#/components/schemas/$1"'),
  ) as OpenAPIObject;
}

function base(server: string) {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Countersign')
    .setDescription(DESCRIPTION)
    .setVersion(packageVersion())
    .addServer(server, 'The host that serves this document')
    .addBearerAuth(
      {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'JWT',
        description:
          'An access token: `accessToken` of a SignInResult whose status is `authenticated`, or of a refresh.',
      },
      'accessToken',
    )
    .addBearerAuth(
      {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'JWT',
        description:
          'An enrollment token: `enrollmentToken` of a SignInResult whose status is `enrollment_required`. It opens the creation and confirmation of a device, and dies at the first confirmed one.',
      },
      'enrollmentToken',
    )
    .addCookieAuth(
      ACCESS_COOKIE,
      {
        type: 'apiKey',
        in: 'cookie',
        description:
          'An access token as a cookie, set by an answer to a request with `X-Auth-Cookies: on`. Only where AUTH_COOKIES is on, and only without an `Authorization` header; what changes something must come from this origin or one of CORS_ORIGINS.',
      },
      'sessionCookie',
    );
  for (const [tag, description] of Object.entries(TAGS)) builder.addTag(tag, description);
  return builder.build();
}

/** An SPDX expression instead of an address (OpenAPI 3.1), which the builder does not know. */
function license(): { name: string; identifier: string } {
  return { name: 'Apache License 2.0', identifier: 'Apache-2.0' };
}

/** Sources and compiled files lie in different depths below it. */
function packageVersion(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  return version;
}

/** The server refuses unknown properties and answers no others than these, so no schema is open. */
function closed(schemas: Schemas): Record<string, SchemaObject | ReferenceObject> {
  const names = Object.keys(schemas).toSorted();
  return Object.fromEntries(
    names.map((name) => {
      const schema = schemas[name] ?? {};
      return [name, 'properties' in schema ? { ...schema, additionalProperties: false } : schema];
    }),
  );
}

/** Some problems are answered before an operation is found. */
function used<E>(examples: Readonly<Record<string, E>>, paths: OpenAPIObject['paths']): Record<string, E> {
  const text = JSON.stringify(paths);
  return Object.fromEntries(
    Object.entries(examples).filter(([name]) => text.includes(`"#/components/examples/${name}"`)),
  );
}

/** In the order in which pages show them: by tag, short paths before long ones, else as the controllers stand. */
function completePaths(paths: OpenAPIObject['paths'], schemas: Schemas): OpenAPIObject['paths'] {
  const tags = Object.keys(TAGS);
  const completed = Object.entries(paths).map(([path, item]) => {
    const operations = METHODS.flatMap((method): [string, OperationObject][] => {
      const operation = item[method];
      return operation ? [[method, complete(method, operation, schemas)]] : [];
    });
    const rank = Math.min(...operations.map(([, { tags: own = [] }]) => tags.indexOf(own[0] ?? '')));
    if (rank < 0) throw new Error(`Describe the tag of ${path} in src/openapi/document.ts`);
    return { path, item: Object.fromEntries(operations), rank };
  });
  return Object.fromEntries(
    completed
      .toSorted((a, b) => a.rank - b.rank || depth(a.path) - depth(b.path))
      .map(({ path, item }) => [path, item]),
  );
}

function depth(path: string): number {
  return path.split('/').length;
}

function complete(method: string, operation: NotedOperation, schemas: Schemas): OperationObject {
  const { tags, operationId, summary, description, security = [], parameters = [], requestBody, responses } = operation;
  const answers = Object.entries(responses).map(([status, response]): [string, ResponseObject] => [
    status,
    completeAnswer(response as ResponseObject, schemas, {
      ...(operation[SETS_COOKIES_EXTENSION] ? SET_COOKIE : {}),
      ...limitHeaders(operation),
    }),
  ]);
  return {
    ...{ tags, operationId, summary },
    ...(description === undefined ? {} : { description }),
    security,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(requestBody === undefined ? {} : { requestBody: completeBody(requestBody as RequestBodyObject, schemas) }),
    responses: { ...Object.fromEntries(answers), ...problemResponses(method, operation) },
  };
}

function completeBody(body: RequestBodyObject, schemas: Schemas): RequestBodyObject {
  return { required: true, content: completeContent(body.content, schemas) };
}

function completeAnswer(
  { description, headers, content }: ResponseObject,
  schemas: Schemas,
  particular: HeadersObject,
): ResponseObject {
  return {
    description,
    headers: { ...REQUEST_ID, ...particular, ...headers },
    ...(content ? { content: completeContent(content, schemas) } : {}),
  };
}

function completeContent(content: RequestBodyObject['content'], schemas: Schemas): RequestBodyObject['content'] {
  return Object.fromEntries(Object.entries(content).map(([type, media]) => [type, withExamples(media, schemas)]));
}

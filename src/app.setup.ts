import { ValidationPipe, type ValidationError } from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { randomUUID } from 'node:crypto';
import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Config } from './config/config.js';
import { Drain } from './health/drain.js';
import { refuseCrossSite } from './cross-site.js';
import { parseFormBody } from './form-body.js';
import { readForwardRequest } from './gateway/forward-request.js';
import { parseJsonBody } from './json-body.js';
import { TWILIO_STATUS_PATH } from './notifications/twilio.js';
import { serveDocuments } from './openapi/serve-documents.js';
import { bodyOf } from './problems/problem.filter.js';
import { Problem, type FieldError } from './problems/problem.js';
import { refuseWrongMethods } from './problems/wrong-method.js';
import { logRequests } from './request-log.js';

const KIB = 1024;
const BODY_LIMIT = 32 * KIB;
/** Where a list of ten thousand users is sent. */
const LARGE_BODIES: Readonly<Record<string, number>> = { '/api/v1/admin/users/two-factor': 512 * KIB };
const HEADER_LIMIT = 16 * KIB;
/** Milliseconds; a client that dawdles longer over its request holds a socket for nothing. */
const REQUEST_TIMEOUT = 30_000;

/** More would only make a large answer of a large mistake. */
const MAX_FIELD_ERRORS = 50;

/** Everything below the application prefix; these stand at the root, where gateways and browsers look for them. */
const API_PREFIX = 'api/v1';
const AT_THE_ROOT = [
  '.well-known/jwks.json',
  '.well-known/openid-configuration',
  '.well-known/oauth-authorization-server',
  'health/live',
  'health/ready',
  'metrics',
  'problems',
  'magic-link',
  'reset-password',
  'link-pages.js',
  'invitation',
  'invitation.js',
  'dev/outbox',
  'dev/outbox.json',
];

/** Where nothing is and nothing will be: what is asked for under a path that is none is answered as if it were this one. */
const UNKNOWN_PATH = '/not-found';

/** Nest's own JSON parser is off: {@link parseJsonBody} is stricter. */
export const APP_OPTIONS = { bodyParser: false, abortOnError: false } as const;

export function createAdapter(config: Config): FastifyAdapter {
  const { server } = config;
  return new FastifyAdapter({
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT,
    http: { maxHeaderSize: HEADER_LIMIT, headersTimeout: REQUEST_TIMEOUT },
    // A list of addresses, never `true`: else anybody could write his own address into X-Forwarded-For.
    trustProxy: server.trustedProxies.length > 0 ? [...server.trustedProxies] : false,
    // Until it no longer listens: see `Drain`.
    return503OnClosing: false,
    requestIdHeader: false,
    genReqId: (request: IncomingMessage) => readRequestId(request.headers['x-request-id']) ?? randomUUID(),
    // Django's routes end in a slash, and so do the clients that were written for them.
    routerOptions: { ignoreTrailingSlash: true },
    rewriteUrl: readForwardRequest,
    // A path that cannot be read is refused before any hook: without the headers of every other answer, and in no log.
    frameworkErrors(_error: Error, { raw, server }: FastifyRequest, reply: FastifyReply) {
      raw.url = UNKNOWN_PATH;
      server.routing(raw, reply.raw);
    },
    clientErrorHandler(error, socket) {
      if (!socket.writable) return socket.destroy();
      const tooLarge = (error as { code?: string }).code === 'HPE_HEADER_OVERFLOW';
      const problem = new Problem(tooLarge ? 'headers_too_large' : 'malformed_body');
      const body = JSON.stringify(bodyOf(problem, randomUUID(), server.basePath));
      socket.end(
        `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}\r\nContent-Type: application/problem+json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n${body}`,
      );
    },
  });
}

/** What the server, the tests and the OpenAPI script share: the same application, whoever starts it. */
export function setUp(app: NestFastifyApplication, config: Config): void {
  const server = app.getHttpAdapter().getInstance();
  logRequests(server, config.server);
  closeWhileDraining(server, app.get(Drain));
  app.setGlobalPrefix(API_PREFIX, { exclude: AT_THE_ROOT });
  app.useGlobalPipes(validation());
  app.useSecurityHeaders(securityHeaders(config));
  if (config.server.corsOrigins.length > 0) {
    app.enableCors({
      origin: [...config.server.corsOrigins],
      credentials: true,
      maxAge: 600,
      // Those of the operations. Without a list browsers are told of GET, HEAD and POST alone.
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      exposedHeaders: ['Retry-After', 'RateLimit', 'RateLimit-Policy', 'X-Request-Id', 'WWW-Authenticate'],
    });
  }
  refuseCrossSite(app, config);
  acceptLargeBodies(app);
  acceptJson(app);
  acceptForms(app, [TWILIO_STATUS_PATH]);
  answerByDefault(app);
  refuseWrongMethods(server);
  if (config.server.docsEnabled) serveDocuments(app, config);
}

/** Unknown properties are refused, never ignored; nothing is converted. */
function validation(): ValidationPipe {
  return new ValidationPipe({
    whitelist: true,
    forbidNonWhitelisted: true,
    forbidUnknownValues: true,
    transform: true,
    stopAtFirstError: false,
    exceptionFactory: (errors) =>
      new Problem('validation_failed', {
        errors: errors.flatMap((error) => fieldErrors(error)).slice(0, MAX_FIELD_ERRORS),
      }),
  });
}

function fieldErrors(error: ValidationError, path = ''): FieldError[] {
  const field = path === '' ? error.property : `${path}.${error.property}`;
  const messages = Object.values(error.constraints ?? {});
  return [
    ...(messages.length > 0 ? [{ field, messages }] : []),
    ...(error.children ?? []).flatMap((child) => fieldErrors(child, field)),
  ];
}

function acceptLargeBodies(app: NestFastifyApplication): void {
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRoute', (route) => {
      const limit = LARGE_BODIES[route.url];
      if (limit !== undefined) route.bodyLimit = limit;
    });
}

function acceptJson(app: NestFastifyApplication): void {
  const fastify = app.getHttpAdapter().getInstance();
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (request.headers['content-encoding'] !== undefined) return done(new Problem('unsupported_media_type'));
    try {
      done(null, parseJsonBody(body as Buffer));
    } catch (problem) {
      done(problem as Error);
    }
  });
}

/** Forms are for those who send nothing else. Everywhere else a form is what another site's page can make a browser send. */
function acceptForms(app: NestFastifyApplication, paths: readonly string[]): void {
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'buffer' }, (request, body, done) => {
    const { url = '' } = request.routeOptions;
    if (!paths.includes(url) || request.headers['content-encoding'] !== undefined) {
      return done(new Problem('unsupported_media_type'));
    }
    try {
      done(null, parseFormBody(body as Buffer));
    } catch (problem) {
      done(problem as Error);
    }
  });
}

function answerByDefault(app: NestFastifyApplication): void {
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
      // Nothing may be stored on the way unless its handler says so: most answers are about one person.
      void reply.headers({ 'x-request-id': request.id, 'cache-control': 'no-store' });
      done();
    });
}

/** A connection that is kept open would be cut in the middle of somebody's next request. */
function closeWhileDraining(server: FastifyInstance, drain: Drain): void {
  server.addHook('onSend', (_request, reply, _payload, done) => {
    if (drain.draining) void reply.header('connection', 'close');
    done();
  });
}

/** A caller's own id is kept where it looks like one: it ends in logs. */
function readRequestId(header: string | string[] | undefined): string | null {
  return typeof header === 'string' && /^[A-Za-z0-9_-]{8,64}$/.test(header) ? header : null;
}

function securityHeaders({ server }: Config) {
  const https = server.publicUrl.startsWith('https:');
  return {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: "'self'",
        baseUri: "'none'",
        objectSrc: "'none'",
        frameAncestors: "'none'",
        formAction: "'self'",
        imgSrc: ["'self'", 'data:'],
        scriptSrc: "'self'",
        // Swagger UI and ReDoc write their styles at run time.
        styleSrc: ["'self'", "'unsafe-inline'"],
        workerSrc: ["'self'", 'blob:'],
      },
    },
    strictTransportSecurity: https,
    xFrameOptions: { action: 'deny' as const },
  };
}

import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule } from '@nestjs/swagger';
import type { Config } from '../config/config.js';
import { createDocument } from './document.js';
import { redocBundle, redocPage } from './redoc-page.js';

/** Bundles change only with a release; the pages that name them are small and always fetched anew. */
const BUNDLE_CACHE = 'public, max-age=86400';

/**
 * The OpenAPI document as JSON and YAML, Swagger UI and ReDoc. Everything comes from this origin and runs under the
 * service's own content security policy. All links are relative, so the pages also work below a gateway's prefix.
 */
export function serveDocuments(app: NestFastifyApplication, { server }: Config): void {
  SwaggerModule.setup('docs', app, () => createDocument(app, server.basePath || '/'), {
    jsonDocumentUrl: 'openapi.json',
    yamlDocumentUrl: 'openapi.yaml',
    customSiteTitle: 'Countersign API',
    customCss: '.swagger-ui .topbar { display: none }',
    swaggerOptions: {
      tryItOutEnabled: true,
      displayRequestDuration: true,
      // The badge would send this document's address to somebody else's server.
      validatorUrl: null,
    },
  });
  serveRedoc(app);
}

function serveRedoc(app: NestFastifyApplication): void {
  const fastify = app.getHttpAdapter().getInstance();
  fastify.get('/redoc', (request, reply) => {
    const [path] = request.url.split('?');
    return reply.type('text/html; charset=utf-8').send(redocPage(path?.endsWith('/') ?? false));
  });
  fastify.get('/redoc/redoc.standalone.js', (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').header('cache-control', BUNDLE_CACHE).send(redocBundle()),
  );
}

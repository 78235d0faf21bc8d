import { context } from '@opentelemetry/api';
import { getRPCMetadata, W3CTraceContextPropagator } from '@opentelemetry/core';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider, type SpanExporter } from '@opentelemetry/sdk-trace-node';
import type { FastifyInstance } from 'fastify';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { subscribe } from 'node:diagnostics_channel';
import type { TracesProtocol } from '../config/traces.js';
import { KeptOnly } from './kept-only.js';

/** Asked every few seconds by machines. */
const PROBES = new Set(['/health/live', '/health/ready', '/metrics']);

/** To be called before Fastify is made. Where to, how much and under which name is said by OTEL_*, which the parts read. */
export async function startTracing(protocol: TracesProtocol): Promise<NodeTracerProvider> {
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'countersign' }).merge(
      detectResources({ detectors: [envDetector] }),
    ),
    spanProcessors: [new KeptOnly(new BatchSpanProcessor(await exporterOf(protocol)))],
  });
  // Without baggage, which strangers could send through us to those whom we call.
  provider.register({ propagator: new W3CTraceContextPropagator() });
  registerInstrumentations({
    tracerProvider: provider,
    instrumentations: [
      new HttpInstrumentation({ ignoreIncomingRequestHook: ({ url }) => PROBES.has(url ?? '') }),
      // The job worker asks the database all day; of what it does, calls of other services are worth a trace.
      new PgInstrumentation({ requireParentSpan: true }),
    ],
  });
  changeInPlace();
  nameByRoute();
  return provider;
}

async function exporterOf(protocol: TracesProtocol): Promise<SpanExporter> {
  const { OTLPTraceExporter } = await (protocol === 'http/json'
    ? import('@opentelemetry/exporter-trace-otlp-http')
    : import('@opentelemetry/exporter-trace-otlp-proto'));
  return new OTLPTraceExporter();
}

/** Instrumentations see `require` and not `import`; what was changed for the one is the same object for the other. */
function changeInPlace(): void {
  const require = createRequire(import.meta.url);
  for (const name of ['node:http', 'node:https', 'pg']) require(name);
  syncBuiltinESMExports();
}

function nameByRoute(): void {
  subscribe('fastify.initialization', (message) => {
    const { fastify } = message as { fastify: FastifyInstance };
    fastify.addHook('onRequest', ({ routeOptions }, _reply, done) => {
      const request = getRPCMetadata(context.active());
      if (request && routeOptions.url !== undefined) request.route = routeOptions.url;
      done();
    });
  });
}

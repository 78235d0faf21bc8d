import { Logger } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import { AsyncLocalStorage } from 'node:async_hooks';

const ids = new AsyncLocalStorage<string>();

/** The id of the request that is being answered, for every line that is logged meanwhile. */
export function currentRequestId(): string | undefined {
  return ids.getStore();
}

/** Asked every few seconds by machines. */
const PROBES = new Set(['/health/live', '/health/ready', '/metrics']);

/**
 * One line a request: its route instead of its path and query, which hold ids and what people paste into them. No
 * address either: who did what is in the audit log, which has its own retention.
 */
export function logRequests(server: FastifyInstance, { production }: { production: boolean }): void {
  const logger = new Logger('Request');
  server.addHook('onRequest', (request, _reply, done) => ids.run(request.id, done));
  server.addHook('onResponse', ({ id, method, routeOptions }, reply, done) => {
    const route = routeOptions.url ?? 'unknown';
    const line = { method, route, status: reply.statusCode, ms: Math.round(reply.elapsedTime), requestId: id };
    const quiet = !production || (PROBES.has(route) && reply.statusCode < 400);
    logger[quiet ? 'debug' : 'log'](`${method} ${route} ${reply.statusCode}`, line);
    done();
  });
}

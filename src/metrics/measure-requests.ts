import type { FastifyInstance } from 'fastify';
import type { Meters } from './meters.js';

/** By the route's template. A stranger may ask for any path and with any method, and must not make a series by it. */
export function measureRequests(server: FastifyInstance, { requests }: Meters): void {
  server.addHook('onResponse', ({ method, routeOptions }, reply, done) => {
    const route = routeOptions.url;
    const labels = route === undefined ? { method: 'any', route: 'unknown' } : { method, route };
    const status = `${Math.trunc(reply.statusCode / 100)}xx`;
    requests.observe({ ...labels, status }, reply.elapsedTime / 1_000);
    done();
  });
}

import type { FastifyInstance } from 'fastify';
import { Problem } from './problem.js';

/** A path that exists refuses a wrong method with 405 and `Allow` (RFC 9110 §15.5.6), not as if it were unknown. */
export function refuseWrongMethods(server: FastifyInstance): void {
  const methodsOf = new Map<string, string[]>();
  server.addHook('onRoute', ({ url, method }) => {
    // A wildcard is no path of its own: it answers for whatever is not there.
    if (!url.includes('*')) methodsOf.set(url, [methodsOf.get(url) ?? [], method].flat());
  });
  server.addHook('onRequest', (request, reply, done) => {
    if (!request.is404) return done();
    const allowed = [...methodsOf].filter(([route]) => matches(route, request.url)).flatMap(([, methods]) => methods);
    if (allowed.length === 0) return done();
    void reply.header('allow', [...new Set(allowed)].join(', '));
    done(new Problem('http_method_not_allowed'));
  });
}

function matches(route: string, url: string): boolean {
  const expected = segmentsOf(route);
  const actual = segmentsOf(url);
  return (
    expected.length === actual.length &&
    expected.every((segment, index) => segment.startsWith(':') || segment === actual[index])
  );
}

function segmentsOf(url: string): string[] {
  return url
    .replace(/[?#].*$/s, '')
    .replace(/\/$/, '')
    .split('/');
}

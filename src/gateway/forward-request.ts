import type { IncomingMessage } from 'node:http';

const FORWARD_PATH = '/api/v1/auth/forward';

/**
 * Some gateways ask with somebody else's method and body headers, and Envoy puts the path of his request behind ours.
 * None of it is about this request, so it is taken off before anything looks at it: a preflight (OPTIONS) would be
 * answered as one of ours, with a 2xx that lets it through; a body would be refused for its type or its size.
 * @returns the URL to route by
 */
export function readForwardRequest(request: IncomingMessage): string {
  const { url = '' } = request;
  const path = url.split('?', 1)[0] ?? '';
  if (path !== FORWARD_PATH && !path.startsWith(`${FORWARD_PATH}/`)) return url;
  if (request.method !== 'HEAD') request.method = 'GET';
  // Behind the path of another request stands its query too: the client's words, not the gateway's.
  return path === FORWARD_PATH ? url : FORWARD_PATH;
}

/** A body that is announced here and never sent would swallow the next question on the connection, and its answer. */
export function announcesBody({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return headers['transfer-encoding'] !== undefined || !['0', undefined].includes(headers['content-length']);
}

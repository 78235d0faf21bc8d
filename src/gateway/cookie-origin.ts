import type { IncomingMessage } from 'node:http';

const SAFE_METHODS: readonly unknown[] = ['GET', 'HEAD'];

/**
 * Whether a page elsewhere may have made a browser send a change to the service behind the gateway, with the cookie of
 * the user (CSRF). The gateway asks with its own method, so that of the request is known from a header or not at all. A
 * client can write that header himself, but a page of another site cannot make him.
 */
export function mayBeCrossSite({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const site = headers['sec-fetch-site'];
  if (site === 'same-origin' || site === 'none') return false;
  return !SAFE_METHODS.includes(headers['x-forwarded-method'] ?? headers['x-original-method']);
}

import { Agent, request, type ClientRequest, type IncomingHttpHeaders } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';

export interface Shot {
  method?: 'POST' | 'PATCH' | 'DELETE' | 'GET';
  /** Below /api/v1. */
  path: string;
  body?: unknown;
  token?: string;
  /** Lets go of the last byte so much later, to meet something that takes a while itself. */
  afterMs?: number;
}

export interface Hit {
  status: number;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
}

/**
 * Sends requests over real sockets in the same moment: every connection is open and has carried a request before,
 * and the last byte of every body is held back until all the others have been written. Several origins take turns.
 * Whatever the outcome, no answer may be a failure of the server, and every refusal must say why.
 */
export async function fireAtOnce(origins: readonly string[], shots: readonly Shot[]): Promise<Hit[]> {
  const agents = origins.map(() => new Agent({ keepAlive: true, maxSockets: shots.length }));
  const places = shots.map((_, index) => ({
    agent: agents[index % agents.length] as Agent,
    origin: origins[index % origins.length] as string,
  }));
  try {
    await Promise.all(places.map(({ agent, origin }) => finish(request(`${origin}/health/live`, { agent }), '')));
    const loaded = await Promise.all(
      shots.map((shot, index) => load(shot, places[index] as { agent: Agent; origin: string })),
    );
    const hits = await Promise.all(
      loaded.map(async ({ outgoing, lastByte }, index) => {
        const { afterMs = 0 } = shots[index] as Shot;
        if (afterMs > 0) await pause(afterMs);
        return finish(outgoing, lastByte);
      }),
    );
    hits.forEach(expectSound);
    return hits;
  } finally {
    agents.forEach((agent) => agent.destroy());
  }
}

/** How often each outcome occurred, such as `{ '200': 1, '401 invalid_code': 4 }`. */
export function outcomes(hits: readonly Hit[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, body } of hits) {
    const outcome = typeof body['code'] === 'string' ? `${status} ${body['code']}` : String(status);
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}

/** How many answers have this status. */
export function countOf(hits: readonly Hit[], status: number): number {
  return hits.filter((hit) => hit.status === status).length;
}

function expectSound({ status, headers, body }: Hit): void {
  expect(status, JSON.stringify(body)).toBeLessThan(500);
  if (status < 400) return;
  expect(headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect([body['status'], typeof body['code'], typeof body['requestId']]).toEqual([status, 'string', 'string']);
  if (status === 429) expect(Number(headers['retry-after'])).toBeGreaterThan(0);
}

function load(
  { method = 'POST', path, body, token }: Shot,
  { agent, origin }: { agent: Agent; origin: string },
): Promise<{ outgoing: ClientRequest; lastByte: string }> {
  const text = body === undefined ? '' : JSON.stringify(body);
  const outgoing = request(`${origin}/api/v1${path}`, {
    agent,
    method,
    headers: {
      ...(text === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
  });
  const lastByte = text.slice(-1);
  // Without a body the request is complete with its head, so the head waits too.
  if (text === '') return Promise.resolve({ outgoing, lastByte });
  return new Promise((resolve, reject) => {
    outgoing.once('error', reject);
    outgoing.write(text.slice(0, -1), () => resolve({ outgoing, lastByte }));
  });
}

function finish(outgoing: ClientRequest, lastByte: string): Promise<Hit> {
  return new Promise((resolve, reject) => {
    outgoing.once('error', reject);
    outgoing.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
        });
      });
    });
    outgoing.end(lastByte);
  });
}

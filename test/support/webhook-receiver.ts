import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook as Verifier } from 'standardwebhooks';
import { vi } from 'vitest';

/** How the receiver answers: a status, silence, a redirect, or an answer without an end. */
export type Reply = number | 'hang' | 'endless' | { redirectTo: string };

export interface Hit {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Told {
  type: string;
  timestamp: string;
  data: Record<string, unknown>;
}

/** Somebody else's service: a real HTTP server on 127.0.0.1. It answers 204 where nothing else is said. */
export class WebhookReceiver {
  readonly hits: Hit[] = [];
  /** The answers to come, one a request. */
  replies: Reply[] = [];
  /** The answer after those. */
  otherwise: Reply = 204;
  /** The most requests that were open at the same time. */
  mostAtOnce = 0;
  /** Also those over which nothing was asked. */
  connections = 0;
  openRequests = 0;

  private constructor(private readonly server: Server) {}

  static async start(): Promise<WebhookReceiver> {
    const server = createServer();
    const receiver = new WebhookReceiver(server);
    server.on('connection', () => (receiver.connections += 1));
    server.on('request', (request, response) => {
      receiver.openRequests += 1;
      receiver.mostAtOnce = Math.max(receiver.mostAtOnce, receiver.openRequests);
      response.on('close', () => (receiver.openRequests -= 1));
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        receiver.hits.push({
          path: request.url ?? '',
          headers: request.headers,
          body: Buffer.concat(chunks).toString(),
        });
        answer(response, receiver.replies.shift() ?? receiver.otherwise);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  url(path = '/hook'): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  get told(): Told[] {
    return this.hits.map(({ body }) => JSON.parse(body) as Told);
  }

  reset(): void {
    this.hits.length = 0;
    this.replies = [];
    this.otherwise = 204;
    this.mostAtOnce = 0;
    this.connections = 0;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** As a receiver would check it, at the time of the test's clock. */
export function isSignedWith(secret: string, { headers, body }: Hit, now: Date): boolean {
  vi.useFakeTimers({ toFake: ['Date'], now });
  try {
    new Verifier(secret).verify(body, headers as Record<string, string>);
    return true;
  } catch {
    return false;
  } finally {
    vi.useRealTimers();
  }
}

function answer(response: ServerResponse, reply: Reply): void {
  if (reply === 'hang') return;
  if (typeof reply === 'object') {
    response.writeHead(307, { location: reply.redirectTo }).end();
    return;
  }
  if (reply === 'endless') {
    response.writeHead(200);
    const timer = setInterval(() => response.write('x'.repeat(65_536)), 1);
    response.on('close', () => clearInterval(timer));
    return;
  }
  response.writeHead(reply).end('an answer that nobody should keep');
}

import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands before the JWKS of the service, counts who asks, and can be away or slow. */
export interface JwksProxy {
  url: string;
  requests: number;
  mode: 'answers' | 'fails' | 'hangs';
  close(): Promise<void>;
}

export async function startJwksProxy(origin: () => string): Promise<JwksProxy> {
  const server = createServer((_request, response) => {
    proxy.requests += 1;
    if (proxy.mode === 'hangs') return;
    if (proxy.mode === 'fails') return void response.writeHead(503).end();
    void forward(`${origin()}/.well-known/jwks.json`, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const proxy: JwksProxy = {
    url: `http://127.0.0.1:${port}/jwks.json`,
    requests: 0,
    mode: 'answers',
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return proxy;
}

async function forward(url: string, response: ServerResponse): Promise<void> {
  const answer = await fetch(url);
  response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
}

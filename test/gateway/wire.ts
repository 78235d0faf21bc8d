import { once } from 'node:events';
import { createServer, request, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Sent {
  method?: string;
  path: string;
  token?: string | undefined;
  headers?: Record<string, string | string[]>;
  body?: string;
  /** The client's own address, such as 127.0.0.7. */
  from?: string;
}

/** One request over a real socket. Header names go out as they are written. */
export function send(base: URL, { method = 'GET', path, token, headers = {}, body, from }: Sent): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: base.hostname,
        port: base.port,
        method,
        path,
        agent: false,
        headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
        ...(from === undefined ? {} : { localAddress: from }),
      },
      (incoming) => {
        let text = '';
        incoming.on('data', (chunk: Buffer) => (text += chunk.toString()));
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: text }));
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** Writes these bytes on one connection, and reads until the other side closes it or is quiet. */
export function dialogue(base: URL, text: string, quietAfter = 400): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(base.port), base.hostname, () => socket.write(text, 'latin1'));
    let answer = '';
    const quiet = setTimeout(() => socket.destroy(), quietAfter);
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      quiet.refresh();
    });
    // A reset after the answer is a way of closing.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(quiet);
      resolve(answer);
    });
  });
}

/** Listens on a free port of this machine. */
export async function serve(listener: RequestListener): Promise<{ url: string; stop(): Promise<void> }> {
  const server: Server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** What a service behind the gateway got to see. */
export interface Seen {
  method: string;
  url: string;
  headers: Record<string, string>;
}

/** A service that answers with what it was sent, and counts. */
export async function echo() {
  let count = 0;
  const server = await serve((incoming, outgoing) => {
    count += 1;
    const { method, url, headers } = incoming;
    incoming.resume().on('end', () => outgoing.end(JSON.stringify({ method, url, headers })));
  });
  return { ...server, count: () => count };
}

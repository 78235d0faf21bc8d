import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import pg from 'pg';

/** Stands before a database as a server of its own, which can go away and come back. */
export interface PostgresProxy {
  url: string;
  /** How many connections have been asked for. */
  connections: number;
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
}

export async function startPostgresProxy(databaseUrl: string): Promise<PostgresProxy> {
  const { host, port, user = '', password, database = '' } = new pg.Client({ connectionString: databaseUrl });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    proxy.connections += 1;
    const behind = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
    for (const [end, other] of [
      [socket, behind],
      [behind, socket],
    ] as const) {
      sockets.add(end);
      end.on('error', () => other.destroy()).on('close', () => other.destroy());
      end.pipe(other);
    }
  });
  await listen(server, 0);
  const { port: ours } = server.address() as AddressInfo;
  const secret = typeof password === 'string' ? `:${encodeURIComponent(password)}` : '';
  const proxy: PostgresProxy = {
    url: `postgres://${encodeURIComponent(user)}${secret}@127.0.0.1:${ours}/${database}`,
    connections: 0,
    goAway() {
      for (const socket of sockets) socket.destroy();
      sockets.clear();
      return new Promise((resolve) => server.close(() => resolve()));
    },
    comeBack: () => listen(server, ours),
  };
  return proxy;
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
}

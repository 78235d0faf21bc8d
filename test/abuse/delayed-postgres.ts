import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import pg from 'pg';

export interface DelayedPostgres {
  url: string;
  stop(): void;
}

/**
 * Stands before a database and lets every packet through a moment later, in both directions: as if it were far away.
 * It widens the moments between two statements, in which one request could overtake another.
 */
export async function delayPostgres(databaseUrl: string, milliseconds: number): Promise<DelayedPostgres> {
  const { host, port, user = '', password = '', database = '' } = new pg.Client({ connectionString: databaseUrl });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const behind = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
    for (const [end, other] of [
      [socket, behind],
      [behind, socket],
    ] as const) {
      sockets.add(end);
      end.setNoDelay(true);
      end.on('data', (packet) => setTimeout(() => other.write(packet), milliseconds));
      end.on('error', () => other.destroy()).on('close', () => setTimeout(() => other.destroy(), milliseconds));
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL('postgres://127.0.0.1');
  url.port = String((server.address() as AddressInfo).port);
  url.username = encodeURIComponent(user);
  url.password = encodeURIComponent(password);
  url.pathname = `/${database}`;
  return {
    url: url.href,
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

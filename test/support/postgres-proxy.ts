import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Transform } from 'node:stream';
import pg from 'pg';

/** Stands before a database as a server of its own, which can go away and come back. */
export interface PostgresProxy {
  url: string;
  /** How many connections have been asked for. */
  connections: number;
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
  /**
   * Waits for a connection on which something like this is asked, and cuts it when its transaction, or the statement by
   * itself, has been committed: nobody hears of that.
   */
  loseCommitOf(statement: RegExp): Promise<void>;
}

/** ReadyForQuery, which ends every answer of the server, where no transaction is open any more. */
const NOTHING_OPEN = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

interface Loss {
  statement: RegExp;
  done(): void;
}

export async function startPostgresProxy(databaseUrl: string): Promise<PostgresProxy> {
  const { host, port, user = '', password, database = '' } = new pg.Client({ connectionString: databaseUrl });
  const sockets = new Set<Socket>();
  let wanted: Loss | null = null;
  const server = createServer((socket) => {
    proxy.connections += 1;
    let met: Loss | null = null;
    const behind = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
    socket.on('data', (asked) => {
      if (wanted?.statement.test(asked.toString('latin1'))) [met, wanted] = [wanted, null];
    });
    const forward = new Transform({
      transform(answer: Buffer, _, pass) {
        if (!met || !answer.subarray(-NOTHING_OPEN.length).equals(NOTHING_OPEN)) return pass(null, answer);
        behind.destroy();
        socket.destroy();
        met.done();
      },
    });
    for (const [end, other] of [
      [socket, behind],
      [behind, socket],
    ] as const) {
      sockets.add(end);
      end.on('error', () => other.destroy()).on('close', () => other.destroy());
    }
    socket.pipe(behind).pipe(forward).pipe(socket);
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
    loseCommitOf: (statement) => new Promise((done) => (wanted = { statement, done })),
  };
  return proxy;
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
}

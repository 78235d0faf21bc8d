import pg, { type PoolClient, type PoolConfig } from 'pg';
import { isConnectionLost } from '../problems/database-away.js';
import { Problem } from '../problems/problem.js';
import { endAfter, socketOf } from './last-words.js';
import { prepareOften, StatementNames } from './statement-names.js';

export interface Bounds {
  /** Whoever comes while so many wait for a connection is refused at once. */
  mostWaiting: number;
  /** Milliseconds after which a connection in use that says nothing is cut. */
  silence: number;
}

type Taken = (error: Error | undefined, client: PoolClient | undefined, done: (release?: unknown) => void) => void;

/**
 * A pool that costs its callers seconds and no memory while the database is slow or stopped. The server's own time
 * limits do not help against a server that no longer runs, and the driver's `query_timeout` gives a connection back in
 * the middle of what it was doing: whoever gets it next waits behind that, perhaps in its transaction.
 */
export class BoundedPool extends pg.Pool {
  readonly statements = new StatementNames();
  private readonly mostWaiting: number;

  constructor({ mostWaiting, silence, ...config }: PoolConfig & Bounds) {
    super(config);
    this.mostWaiting = mostWaiting;
    this.on('connect', (client) => {
      // Two may come for one lost connection, and a second one without a listener would end the process.
      client.on('error', () => undefined);
      prepareOften(client, this.statements);
      endAfter(client, isConnectionLost);
      socketOf(client).on('timeout', () => socketOf(client).destroy(new SilentDatabase(silence)));
    });
    this.on('acquire', (client) => void socketOf(client).setTimeout(silence));
    this.on('release', (_, client) => void socketOf(client).setTimeout(0));
  }

  override connect(): Promise<PoolClient>;
  override connect(callback: Taken): void;
  override connect(callback?: Taken): Promise<PoolClient> | void {
    if (this.waitingCount < this.mostWaiting) return callback ? super.connect(callback) : super.connect();
    const refused = new Problem('busy', { retryAfter: 1 });
    if (!callback) return Promise.reject(refused);
    callback(refused, undefined, () => undefined);
  }
}

/** Another silence than the usual for a connection in use, until it is given back. */
export function waitFor(client: PoolClient, milliseconds: number): void {
  socketOf(client).setTimeout(milliseconds);
}

class SilentDatabase extends Error {
  readonly code = 'ETIMEDOUT';

  constructor(silence: number) {
    super(`The database said nothing for ${silence / 1_000} s`);
  }
}

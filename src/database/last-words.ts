import type { Socket } from 'node:net';
import type { PoolClient } from 'pg';

/** What the driver does not declare. */
interface Connection {
  stream: Socket;
  on(event: 'errorMessage', listener: (said: Error) => void): void;
}

function connectionOf(client: PoolClient): Connection {
  return (client as unknown as { connection: Connection }).connection;
}

export function socketOf(client: PoolClient): Socket {
  return connectionOf(client).stream;
}

/**
 * Ends a connection after an error that it does not outlive. What PostgreSQL says last comes before its end is noticed:
 * between the two a pool would take it back, and give it out again.
 */
export function endAfter(client: PoolClient, isLast: (said: Error) => boolean): void {
  connectionOf(client).on('errorMessage', (said) => {
    if (isLast(said)) void client.end();
  });
}

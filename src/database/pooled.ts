import type { ClientBase } from 'pg';

/**
 * Whether a pooler stands between, which lends a connection out between two statements or transactions. It greets with a
 * process of its own invention; only PostgreSQL knows which one serves.
 */
export async function isPooled(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid !== (client as ClientBase & { processID: number | null }).processID;
}

import { Agent } from 'node:http';
import { send, type Wish } from '../support/gateway-client.js';

/** How often the long ones are repeated; without `npm run test:faults` or FAULT_ROUNDS they are left out. */
export const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 0);

/** What a client wrote down: the request before it was sent, and the answer; null where none came. */
export interface Entry {
  wish: Wish;
  status: number | null;
  body: Record<string, unknown>;
}

/** A client that never repeats anything by itself, and remembers everything. */
export class Ledger {
  readonly entries: Entry[] = [];
  private readonly agent = new Agent({ keepAlive: false });

  async post(url: string, path: string, body: object, token?: string): Promise<Entry> {
    const wish: Wish = { method: 'POST', path: `/api/v1${path}`, body, ...(token === undefined ? {} : { token }) };
    const entry: Entry = { wish, status: null, body: {} };
    this.entries.push(entry);
    try {
      const answer = await send(this.agent, url, wish);
      entry.status = answer.status;
      entry.body = answer.body === '' ? {} : (JSON.parse(answer.body) as Record<string, unknown>);
    } catch {
      // The connection ended: whether anything was done is for the database to say.
    }
    return entry;
  }
}

/** Acknowledged: done once. Not acknowledged: done once or not at all. Never twice, and a refusal does nothing. */
export function isClean({ status }: Pick<Entry, 'status'>, effects: number): boolean {
  if (status === null || status >= 500) return effects <= 1;
  return effects === (status < 300 ? 1 : 0);
}

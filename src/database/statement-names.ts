import { createHash } from 'node:crypto';
import pg, { type PoolClient } from 'pg';
import { databaseCodeOf } from '../problems/database-away.js';

/** A text is prepared when it is sent for the fifth time, as by PostgreSQL's own JDBC driver: most are sent once. */
const OFTEN = 5;
/** As many as there are names for; each costs every connection some ten kilobytes in PostgreSQL. */
const MOST_NAMES = 256;
const MOST_COUNTED = 1_000;

/** "Cached plan must not change result type": a migration has changed a column that the statement answers. */
export const PLAN_OUTLIVED = '0A000';

/** Which statements of a pool are worth preparing. None is until `begin` is called. */
export class StatementNames {
  private begun = false;
  private readonly names = new Map<string, string>();
  private readonly counts = new Map<string, number>();

  begin(): void {
    this.begun = true;
  }

  /** The name of a text that is sent often; null for every other. */
  nameOf(text: string): string | null {
    if (!this.begun) return null;
    const name = this.names.get(text);
    if (name !== undefined) return name;
    if (this.names.size === MOST_NAMES) return null;
    const count = (this.counts.get(text) ?? 0) + 1;
    if (count < OFTEN) {
      if (this.counts.size === MOST_COUNTED) this.counts.clear();
      this.counts.set(text, count);
      return null;
    }
    this.counts.delete(text);
    // By its text and not by a number: whatever stands between, the same name is never another statement.
    const given = createHash('sha256').update(text).digest('base64url');
    this.names.set(text, given);
    return given;
  }
}

type Ask = (question: unknown, values?: unknown, ...callback: unknown[]) => unknown;

/**
 * Lets PostgreSQL keep the plans of what a connection asks often: a sign-in's statements take longer to plan than to
 * carry out. PostgreSQL itself decides whether the plan is still made for the values of each time.
 */
export function prepareOften(client: PoolClient, names: StatementNames): void {
  const ask: Ask = (...question) => (pg.Client.prototype.query as Ask).apply(client, question);
  let outlived = 0;
  const prepared: Ask = async (text, values) => {
    const name = typeof text === 'string' && Array.isArray(values) && values.length > 0 ? names.nameOf(text) : null;
    if (name === null) return ask(text, values);
    try {
      return await ask({ name: `${name}${outlived}`, text }, values);
    } catch (thrown) {
      // Whoever asks again, as `repeat-deadlocked.ts` does, gets a new plan.
      if (databaseCodeOf(thrown) === PLAN_OUTLIVED) outlived += 1;
      throw thrown;
    }
  };
  client.query = ((text: unknown, values: unknown, ...callback: unknown[]) =>
    typeof values === 'function' || callback.length > 0
      ? ask(text, values, ...callback)
      : prepared(text, values)) as PoolClient['query'];
}

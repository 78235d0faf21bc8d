import { expect } from 'vitest';
import { decodeJwt } from 'jose';
import type { Entry } from './ledger.js';
import type { Replicas } from './replicas.js';

/** What an error never shows: a stack, a statement, a path, a product and its version. */
const INTERNALS =
  /\bat [\w.<>]+ \(|node_modules|\.[cm]?[jt]s\b|\/(src|dist|usr|home|tmp|work)\/|\b(SELECT|INSERT INTO|UPDATE .+ SET|DELETE FROM)\b|QueryFailed|TypeORM|[Ff]astify|NestJS/;

interface Event {
  requestId: string;
  type: string;
}

/** Must hold after every case, whatever it was about. What was looked at once is not looked at again. */
export class Invariants {
  private seen = 0;
  private readonly linesSeen: number[];

  constructor(private readonly replicas: Replicas) {
    this.linesSeen = replicas.processes.map(() => 0);
  }

  async expectAll(): Promise<void> {
    const { ledger, processes } = this.replicas;
    const entries = ledger.entries.slice(this.seen);
    this.seen = ledger.entries.length;
    for (const { pid } of processes) expect(process.kill(pid, 0)).toBe(true);
    entries.forEach(expectSound);
    await this.expectEvents(entries);
    await this.expectSessionsAreThoseHandedOut();
    await this.expectSecretsStaySecret();
  }

  /** One event for each sign-in that was answered, and for each failure that was; with the id of its request. */
  private async expectEvents(entries: readonly Entry[]): Promise<void> {
    const events = await this.replicas.sql<Event>(
      'SELECT request_id AS "requestId", type FROM audit_events WHERE request_id IS NOT NULL',
    );
    const byRequest = new Map<string, string[]>();
    for (const { requestId, type } of events) byRequest.set(requestId, [...(byRequest.get(requestId) ?? []), type]);
    for (const entry of entries) {
      const expected = eventOf(entry);
      if (expected === null) continue;
      const types = byRequest.get(String(entry.headers['x-request-id'])) ?? [];
      expect(
        types.filter((type) => type === expected),
        `${entry.method} ${entry.url} ${entry.status} left ${types.join(', ')}`,
      ).toHaveLength(1);
    }
    const failures = events.filter(({ type }) => type === 'second-factor.failed').length;
    // Charged is what was answered as wrong, and nothing else.
    expect(failures).toBe(
      this.replicas.ledger.entries.filter((entry) => eventOf(entry) === 'second-factor.failed').length,
    );
  }

  private async expectSessionsAreThoseHandedOut(): Promise<void> {
    const rows = await this.replicas.sql<{ id: string }>('SELECT id FROM sessions');
    const handedOut = new Set(this.replicas.ledger.entries.flatMap(sessionIn));
    const unknown = rows.filter(({ id }) => !handedOut.has(id));
    expect(unknown, 'sessions that nobody was given').toEqual([]);
    const ids = new Set(rows.map(({ id }) => id));
    const users = await this.replicas.sql('SELECT 1 FROM audit_events WHERE type = $1', ['user.deleted']);
    if (users.length === 0)
      expect(
        [...handedOut].filter((id) => !ids.has(id)),
        'tokens without a session',
      ).toEqual([]);
  }

  async expectSecretsStaySecret(): Promise<void> {
    const { ledger, processes } = this.replicas;
    processes.forEach((process, index) => {
      const output = process.output();
      expect(ledger.leaksIn(output.slice(this.linesSeen[index])), 'in the log').toEqual([]);
      this.linesSeen[index] = output.length;
    });
    const dump = await dumpOf(this.replicas);
    expect(dump.find(({ name }) => name === 'public.users')?.text, 'the dump is empty').toMatch(/@example\.com/);
    for (const { name, text } of dump) {
      expect(ledger.leaksIn(text), `in ${name}`).toEqual([]);
    }
  }
}

function expectSound({ method, url, status, headers, text }: Entry): void {
  const what = `${method} ${url} answered ${status}: ${text.slice(0, 300)}`;
  expect(status, what).toBeLessThan(500);
  expect(headers['x-content-type-options'], what).toBe('nosniff');
  if (url.startsWith('/api/')) expect(headers['cache-control'], what).toContain('no-store');
  expect(headers['x-powered-by'] ?? headers['server'], what).toBeUndefined();
  if (text !== '' && url.startsWith('/api/'))
    expect(headers['content-type'], what).toMatch(/^application\/(problem\+)?json; charset=utf-8$/);
  if (status >= 400) expect(text, what).not.toMatch(INTERNALS);
}

/** The event that an answer must have left; null where none is certain. */
function eventOf({ url, status, text }: Entry): string | null {
  if (!/^\/api\/v1\/(auth|otp-devices)\b/.test(url) || text === '') return null;
  const body = JSON.parse(text) as { code?: string; status?: string };
  if (status === 200 && body.status === 'authenticated') return 'sign-in.succeeded';
  if (status === 200 && body.status === 'second_factor_required') return 'sign-in.challenged';
  if (body.code === 'refresh_token_reused') return 'refresh-token.reused';
  if (body.code === 'invalid_credentials') return 'sign-in.failed';
  if (body.code === 'invalid_code') return 'second-factor.failed';
  return null;
}

function sessionIn({ status, text }: Entry): string[] {
  if (status !== 200 || !text.includes('"accessToken"')) return [];
  const { accessToken } = JSON.parse(text) as { accessToken?: string };
  return accessToken === undefined ? [] : [String(decodeJwt(accessToken)['sid'])];
}

/** Every row of every table of every schema, as text. */
export async function dumpOf({ sql }: Replicas): Promise<{ name: string; text: string }[]> {
  const tables = await sql<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
     WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'test_clock')`,
  );
  const dumps = [];
  for (const { name } of tables) {
    const [row] = await sql<{ text: string | null }>(`SELECT string_agg(t::text, E'\\n') AS text FROM ${name} t`);
    dumps.push({ name, text: row?.text ?? '' });
  }
  return dumps;
}

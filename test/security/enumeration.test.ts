import { hash, verify } from '@node-rs/argon2';
import type * as Argon2 from '@node-rs/argon2';
import { AsyncLocalStorage } from 'node:async_hooks';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import type { Answer } from '../support/http.js';
import { firstFactor, PASSWORD, register, signInByMail, type Person } from '../support/people.js';

// The real ones, counted.
vi.mock('@node-rs/argon2', async (load) => {
  const real = await load<typeof Argon2>();
  return { ...real, hash: vi.fn(real.hash), verify: vi.fn(real.verify) };
});

/** The statements of one request, apart from what goes on beside it. */
const followed = new AsyncLocalStorage<string[]>();

const NOBODY = 'nobody-at-all@example.com';
const WRONG = 'four rather different words';

/** Everything of an answer that may not tell one case from another. */
function visible({ status, headers, text, body }: Answer) {
  const { 'x-request-id': _id, date: _date, 'content-length': _length, ...comparable } = headers;
  return { status, headers: comparable, text: text.replace(String(body['requestId']), '') };
}

describe('a stranger who tries to sign in', () => {
  let app: TestApp;
  let person: Person;
  beforeAll(async () => {
    app = await startApp({ PASSWORD_FREE_FAILURES: 'off' });
    person = await register(app);
    await signInByMail(app, person);
    await firstFactor(app, NOBODY, WRONG);
  });
  afterAll(() => app.close());

  const attempt = (identifier: string, password: string) =>
    firstFactor<Record<string, unknown>>(app, identifier, password);

  /** What an attempt costs the service: its statements, in order, and its hashes. */
  async function costOf(identifier: string, password: string) {
    const statements: string[] = [];
    const log = vi.spyOn(app.app.get(DataSource).logger, 'logQuery');
    log.mockImplementation((statement) => void followed.getStore()?.push(statement));
    vi.mocked(hash).mockClear();
    vi.mocked(verify).mockClear();
    await followed.run(statements, () => attempt(identifier, password));
    log.mockRestore();
    return { statements, hashes: vi.mocked(hash).mock.calls.length, comparisons: vi.mocked(verify).mock.calls.length };
  }

  it('is told the same, byte by byte, whether or not there is an account', async () => {
    const unknown = visible(await attempt(NOBODY, WRONG));
    expect(unknown.status).toBe(401);
    expect(visible(await attempt(person.email, WRONG))).toEqual(unknown);
    expect(visible(await attempt('nobody-at-all', WRONG))).toEqual(unknown);
    expect(visible(await attempt('no identifier @ all', WRONG))).toEqual(unknown);
  });

  it('costs the same statements and the same hashes', async () => {
    const unknown = await costOf(NOBODY, WRONG);
    expect(unknown).toMatchObject({ hashes: 0, comparisons: 1 });
    expect(unknown.statements.length).toBeGreaterThan(1);
    expect(await costOf(person.email, WRONG)).toEqual(unknown);
  });

  it('waits about as long (shown, not judged: this machine is shared)', async () => {
    const times: Record<'known' | 'unknown', number[]> = { known: [], unknown: [] };
    for (let sample = 0; sample < 20; sample += 1) {
      for (const [arm, identifier] of [['known', person.email] as const, ['unknown', NOBODY] as const]) {
        const start = performance.now();
        await attempt(identifier, WRONG);
        times[arm].push(performance.now() - start);
      }
    }
    const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length / 2] ?? 0;
    const [known, unknown] = [median(times.known), median(times.unknown)];
    console.info(`median of a wrong password: ${known.toFixed(1)} ms known, ${unknown.toFixed(1)} ms unknown`);
    // A missing comparison would be a whole hash; anything finer needs a quiet machine.
    expect(Math.max(known, unknown) / Math.min(known, unknown)).toBeLessThan(3);
  });

  describe('learns nothing about the state of an account', () => {
    const states: Record<string, string> = {
      deactivated: 'UPDATE users SET active = false WHERE id = $1',
      'without a password': 'UPDATE users SET password_hash = NULL WHERE id = $1',
      'deactivated and without a password': 'UPDATE users SET active = false, password_hash = NULL WHERE id = $1',
    };

    it.each(Object.keys(states))('that is %s, even with the right password', async (state) => {
      const someone = await register(app);
      await app.sql(states[state] as string, [someone.id]);
      const unknown = visible(await attempt(NOBODY, WRONG));
      expect(visible(await attempt(someone.email, WRONG))).toEqual(unknown);
      expect(visible(await attempt(someone.email, PASSWORD))).toEqual(unknown);
      const cost = await costOf(NOBODY, WRONG);
      expect(await costOf(someone.email, PASSWORD)).toEqual(cost);
      expect(app.mailbox.all(someone.email)).toEqual([]);
    });

    it('whose address was never proved, with a wrong password', async () => {
      const someone = await register(app);
      expect(visible(await attempt(someone.email, WRONG))).toEqual(visible(await attempt(NOBODY, WRONG)));
    });
  });

  it('sees a destination only after the right password, and masked to a fixed length', async () => {
    const { body } = await firstFactor(app, person.email);
    expect(body.device.label).toBe('p•••@example.com');
    expect(JSON.stringify(body)).not.toContain(person.email);
  });
});

describe('a stranger who tries so often that he must wait', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  it('waits in the same way for an account, for nobody, and with the right password', async () => {
    const { email } = await register(app);
    for (const identifier of [email, NOBODY]) {
      for (let guess = 0; guess < 10; guess += 1) expect((await firstFactor(app, identifier, WRONG)).status).toBe(401);
    }
    vi.mocked(verify).mockClear();
    const answers = [
      await firstFactor<Record<string, unknown>>(app, NOBODY, WRONG),
      await firstFactor<Record<string, unknown>>(app, email, WRONG),
      await firstFactor<Record<string, unknown>>(app, email, PASSWORD),
    ].map((answer) => {
      const { 'retry-after': retryAfter, ...headers } = visible(answer).headers as Record<string, unknown>;
      expect(Number(retryAfter)).toBeGreaterThan(20);
      return { status: answer.status, headers, code: answer.body['code'], detail: answer.body['detail'] };
    });
    expect(answers[0]).toMatchObject({ status: 429, code: 'too_many_failures' });
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
    expect(verify).not.toHaveBeenCalled();
  });
});

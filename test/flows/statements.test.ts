import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { firstFactor, personWithTotp, register, secondFactor, signInByMail, type SignedIn } from '../support/people.js';

/**
 * What a request costs the database, statement by statement. A sign-in is the hot path of everybody's morning: one more
 * round trip is a decision to be made here, not an accident.
 *
 * A request is followed through its asynchronous context, so the job worker's statements are not among its own.
 */
const request = new AsyncLocalStorage<string[]>();

type Query = (this: pg.Client, ...parameters: unknown[]) => unknown;
const prototype = pg.Client.prototype as unknown as { query: Query };
const original = prototype.query;

/** `START TRANSACTION`, `COMMIT`, or the verb and the first table: `UPDATE otp_devices`. */
function summary(statement: string): string {
  const [, verb = '', rest = ''] = /^\s*(\w+)\s*([^]*)$/.exec(statement) ?? [];
  const what = verb.toUpperCase();
  if (what === 'START') return 'START TRANSACTION';
  if (what === 'COMMIT' || what === 'ROLLBACK') return what;
  if (what === 'WITH') {
    const written = [...rest.matchAll(/\b(UPDATE|INSERT INTO)\s+"?(\w+)"?\s/g)].map(([, , table]) => table);
    return `WRITE ${written.join(', ')}`;
  }
  const table = /\b(?:FROM|INTO|UPDATE)\s+"?([\w.]+)"?/.exec(` ${statement} `)?.[1] ?? '';
  return `${what} ${table}${/FOR UPDATE/.test(rest) ? ' FOR UPDATE' : ''}`;
}

async function statementsOf<T>(send: () => Promise<T>): Promise<{ answer: T; statements: string[] }> {
  const statements: string[] = [];
  const answer = await request.run(statements, send);
  return { answer, statements: statements.map(summary) };
}

describe('statements of a request', () => {
  beforeAll(() => {
    prototype.query = function (this: pg.Client, ...parameters: unknown[]) {
      const [config] = parameters;
      const text = typeof config === 'string' ? config : (config as { text?: string }).text;
      if (text !== undefined) request.getStore()?.push(text);
      return original.apply(this, parameters);
    };
  });
  afterAll(() => {
    prototype.query = original;
  });

  describe('with the default policy', () => {
    let app: TestApp;
    beforeAll(async () => {
      app = await startApp();
      // What is done once a process is done before anything is counted.
      await signInByMail(app, await register(app));
    });
    afterAll(() => app.close());

    const print = (statements: string[]) => console.log(expect.getState().currentTestName, statements.length, statements);

    it('POST /auth/token, nobody there', async () => {
      const { answer, statements } = await statementsOf(() => firstFactor(app, 'nobody@example.com'));
      expect(answer.status).toBe(401);
      print(statements);
    });

    it('POST /auth/token, wrong password', async () => {
      const person = await register(app);
      const { answer, statements } = await statementsOf(() => firstFactor(app, person.email, 'not the password'));
      expect(answer.status).toBe(401);
      print(statements);
    });

    it('POST /auth/token, first sign-in', async () => {
      const person = await register(app);
      const { answer, statements } = await statementsOf(() => firstFactor(app, person.email));
      expect(answer.body.codeSent).toBe(true);
      print(statements);
    });

    it('POST /auth/token, mailed', async () => {
      const person = await register(app);
      await signInByMail(app, person);
      const { answer, statements } = await statementsOf(() => firstFactor(app, person.email));
      expect(answer.body.codeSent).toBe(true);
      print(statements);
      const wrong = await statementsOf(() => secondFactor(app, answer.body.codeToken, 'x'));
      expect(wrong.answer.status).toBe(401);
      print(wrong.statements);
      await app.clock.advance(3);
      const code = await app.mailbox.code(person.email);
      const right = await statementsOf(() => secondFactor(app, answer.body.codeToken, code));
      expect(right.answer.status).toBe(200);
      print(right.statements);
    });

    it('POST /auth/token, totp', async () => {
      const person = await personWithTotp(app);
      const { answer, statements } = await statementsOf(() => firstFactor(app, person.email));
      print(statements);
      const right = await statementsOf(() => secondFactor(app, answer.body.codeToken, totpCode(person.secret, app.clock)));
      expect(right.answer.status).toBe(200);
      print(right.statements);
      const { refreshToken, accessToken } = right.answer.body;
      print((await statementsOf(() => app.http.post('/auth/token/refresh', { refreshToken }))).statements);
      print((await statementsOf(() => app.http.post('/auth/token/refresh', { refreshToken }))).statements);
      print((await statementsOf(() => app.http.post('/auth/token/verify', { token: accessToken }))).statements);
      print((await statementsOf(() => app.http.get('/users/me', { token: accessToken }))).statements);
    });
  });
  it('no 2fa', async () => {
    const app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp', TWO_FACTOR_FALLBACK_METHOD: 'none' });
    const person = await register(app);
    const { statements } = await statementsOf(() => firstFactor<SignedIn>(app, person.email));
    console.log(statements);
    await app.close();
  });
});

import type { FastifyInstance } from 'fastify';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { prepareBare } from '../../bench/bare/schema.js';
import { createBare } from '../../bench/bare/server.js';
import { codeNow } from '../../bench/bare/totp.js';
import { BARE } from '../../bench/contenders/bare.js';
import { prepareOurs } from '../../bench/contenders/our-people.js';
import { OURS } from '../../bench/contenders/ours.js';
import { placesIn, withResults } from '../../bench/keep.js';
import { MailSink } from '../../bench/load/mail-sink.js';
import {
  newCaller,
  SCENARIO_NAMES,
  SCENARIOS,
  type Caller,
  type Operations,
  type ScenarioName,
  type Step,
} from '../../bench/operations.js';
import { personOf } from '../../bench/people.js';
import { drawResults } from '../../bench/picture.js';
import type { Results } from '../../bench/results.js';
import { renderResults } from '../../bench/table.js';
import { completeConfig } from '../../src/config/config.js';
import { readSettings } from '../../src/config/env.js';
import { startApp, TEST_SECRET, type TestApp } from '../support/app.js';
import { administer, urlOf } from '../support/global-setup.js';

/** Whom a server knows; each test takes others of them. */
class Crowd {
  readonly people = Array.from({ length: 20 }, (_, number) => personOf(number));
  readonly appUsers = [personOf(100), personOf(101)];
  private readonly unused = { people: [...this.people], appUsers: [...this.appUsers], nobody: [] };

  someone(from: 'people' | 'appUsers' | 'nobody' = 'people'): Caller {
    const stranger = { email: `stranger-${randomBytes(4).toString('hex')}@example.com` };
    return { ...newCaller(), ...stranger, ...this.unused[from].shift() };
  }
}

/** Sends the requests of an operation as the load generator does; whether each was answered as that wants it. */
async function goThrough(server: FastifyInstance, steps: readonly Step[], caller: Caller): Promise<boolean[]> {
  const succeeded: boolean[] = [];
  for (const { call, status, keep } of steps) {
    const { method, path, headers, body } = call(caller);
    const answer = await server.inject({
      method,
      url: path,
      ...(headers && { headers }),
      ...(body && { payload: body }),
    });
    succeeded.push(answer.statusCode === status);
    if (answer.statusCode === status) keep?.(caller, { status, body: answer.body, cookie: '' });
  }
  return succeeded;
}

/** Whoever is measured in a scenario, signed in where that wants it. */
async function callerFor(name: ScenarioName, crowd: Crowd, server: FastifyInstance, operations: Operations) {
  const { who } = SCENARIOS[name];
  if (who === 'strangers') return crowd.someone('nobody');
  const caller = crowd.someone(who === 'people-with-app' ? 'appUsers' : 'people');
  if (who === 'signed-in') expect(await goThrough(server, operations.password, caller)).toEqual([true]);
  return caller;
}

const SCENARIOS_WITHOUT_MAIL = SCENARIO_NAMES.filter((name) => name !== 'email-code');

describe('the bare limit', () => {
  const database = `countersign_test_bench_${randomBytes(6).toString('hex')}`;
  const crowd = new Crowd();
  const [ask = [], answer = []] = BARE['email-code'].map((step) => [step]);
  let mails: MailSink;
  let bare: FastifyInstance;

  beforeAll(async () => {
    await administer(inject('postgresUrl'), `CREATE DATABASE ${database}`);
    const url = urlOf(inject('postgresUrl'), database);
    await prepareBare(url, crowd.people, crowd.appUsers);
    mails = await MailSink.start();
    bare = createBare(url, mails.url);
  });
  afterAll(async () => {
    await bare.close();
    await mails.stop();
    await administer(inject('postgresUrl'), `DROP DATABASE ${database} WITH (FORCE)`);
  });

  const go = (name: ScenarioName, caller: Caller) => goThrough(bare, BARE[name], caller);
  const post = (url: string, payload: object) => bare.inject({ method: 'POST', url, payload });

  async function withMailedCode(): Promise<Caller> {
    const caller = crowd.someone();
    const mail = mails.expect(1);
    expect(await goThrough(bare, ask, caller)).toEqual([true]);
    await mail;
    return { ...caller, mailedCode: mails.codeOf(caller.email) };
  }

  it.each(SCENARIOS_WITHOUT_MAIL)('does what is measured: %s', async (name) => {
    const caller = await callerFor(name, crowd, bare, BARE);
    expect(await go(name, caller)).toEqual(BARE[name].map(() => true));
  });

  it('signs in by a mailed code once, and not by another', async () => {
    const caller = await withMailedCode();
    const wrong = { ...caller, mailedCode: caller.mailedCode === '0000000' ? '0000001' : '0000000' };
    expect(await goThrough(bare, answer, wrong)).toEqual([false]);
    expect(await goThrough(bare, answer, caller)).toEqual([true]);
    expect(await goThrough(bare, answer, caller)).toEqual([false]);
  });

  it('counts attempts: the sixth is refused although it is right', async () => {
    const caller = await withMailedCode();
    for (let guess = 0; guess < 5; guess += 1) await goThrough(bare, answer, { ...caller, mailedCode: 'wrong' });
    expect(await goThrough(bare, answer, caller)).toEqual([false]);
  });

  it('refuses a wrong password', async () => {
    const { email } = crowd.someone();
    expect((await post('/token', { email, password: 'wrong' })).statusCode).toBe(401);
  });

  it('refuses the code of an app a second time', async () => {
    const caller = crowd.someone('appUsers');
    const code = codeNow(caller.secret);
    const signIn = async () => {
      expect(await go('password', caller)).toEqual([true]);
      return (await post('/token/second-factor', { codeToken: caller.codeToken, code })).statusCode;
    };
    expect([await signIn(), await signIn()]).toEqual([200, 401]);
  });

  it('exchanges a refresh token once', async () => {
    const caller = await callerFor('refresh', crowd, bare, BARE);
    const used = { ...caller };
    expect(await go('refresh', caller)).toEqual([true]);
    expect(await go('refresh', used)).toEqual([false]);
    expect(await go('refresh', caller)).toEqual([true]);
  });

  it('refuses an access token that was changed', async () => {
    const { accessToken } = await callerFor('users-me', crowd, bare, BARE);
    const [header = '', payload = '', signature = ''] = accessToken.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const promoted = Buffer.from(JSON.stringify({ ...claims, roles: ['admin'] })).toString('base64url');
    const caller = { ...newCaller(), accessToken: `${header}.${promoted}.${signature}` };
    expect(await go('users-me', caller)).toEqual([false]);
    expect(await go('forward-auth', caller)).toEqual([false]);
    const verified = await bare.inject({
      method: 'POST',
      url: '/token/verify',
      payload: { token: caller.accessToken },
    });
    expect(verified.json()).toEqual({ active: false });
  });
});

describe('our service, with the people of the bench', () => {
  const crowd = new Crowd();
  let app: TestApp;
  const server = () => app.app.getHttpAdapter().getInstance();

  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp', TWO_FACTOR_FALLBACK_METHOD: 'none' });
    const settings = readSettings({ NODE_ENV: 'test', SECRET_KEY: TEST_SECRET });
    const config = completeConfig(settings, { databaseUrl: app.database.url, secretKey: TEST_SECRET });
    await prepareOurs(app.database.url, config, crowd.people, crowd.appUsers);
  });
  afterAll(() => app.close());

  it.each(SCENARIOS_WITHOUT_MAIL)('does what is measured: %s', async (name) => {
    const caller = await callerFor(name, crowd, server(), OURS);
    expect(await goThrough(server(), OURS[name], caller)).toEqual(OURS[name].map(() => true));
  });

  it('does what is measured: email-code', async () => {
    const caller = crowd.someone();
    const [ask = [], answer = []] = OURS['email-code'].map((step) => [step]);
    expect(await goThrough(server(), ask, caller)).toEqual([true]);
    caller.mailedCode = await app.mailbox.code(caller.email);
    expect(await goThrough(server(), answer, caller)).toEqual([true]);
  });
});

describe('what the bench has kept', () => {
  const { numbers, paper, picture } = placesIn(join(import.meta.dirname, '..', '..'));
  let results: Results;
  beforeAll(() => {
    results = JSON.parse(readFileSync(numbers, 'utf8')) as Results;
  });

  it('is what docs/performance.md tells; `npm run bench` writes it', async () => {
    const text = readFileSync(paper, 'utf8');
    expect(withResults(text, await renderResults(results))).toBe(text);
  });

  it('is what its picture shows', () => {
    expect(readFileSync(picture, 'utf8')).toBe(drawResults(results));
  });

  it('is a run of everything', () => {
    expect(Object.keys(results.scenarios)).toEqual(SCENARIO_NAMES);
  });
});

import fc from 'fast-check';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { expectDocumented, openApi } from '../support/openapi.js';
import { administrator, firstFactor, PASSWORD, personWithTotp, register, secondFactor } from '../support/people.js';
import { requestsOf, type FuzzedRequest, type Known, type Operation } from './fuzzed-requests.js';

// Requests made from openapi.json against every operation of the real application.
// FUZZ_RUNS is how many an operation gets; FUZZ_SEED makes the same ones again: a failure prints it.

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 8);
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
/** Milliseconds; a hash of a password is the slowest that one request may ask for, and the machine may be busy. */
const QUICKLY = 2_000;
/** MiB; the least leak of a request that holds on to its body of some hundred bytes is far more, over many runs. */
const FLAT = 48;

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;
const operations: Operation[] = Object.entries(openApi.paths)
  .flatMap(([path, item]) => METHODS.flatMap((method) => ({ path, method, operation: item[method] })))
  .filter((each): each is Operation => each.operation !== undefined)
  // What is demanded of everybody last: those who are made afterwards would have to enroll.
  .toSorted((a, b) => Number(a.path.includes('two-factor/policy')) - Number(b.path.includes('two-factor/policy')));

let app: TestApp;
let known: Known;
let people: string[] = [];

beforeAll(async () => {
  // Every field is filled here, the one for robots too, and everything comes from one address.
  app = await startApp({ HONEYPOT_BAN: 'off' });
  known = await cast();
});
afterAll(() => app.close());

// Somebody's requests may have ended the sessions or removed the people of the others.
beforeEach(async () => {
  const alive = await Promise.all(people.map(async (token) => (await app.http.get('/users/me', { token })).status));
  if (alive.some((status) => status !== 200)) known = await cast();
}, 20_000);

it.each(operations)('$method $path', { timeout: 20_000 + RUNS * QUICKLY }, async (operation) => {
  await fuzz(operation, RUNS, SEED);
});

describe('memory', () => {
  it('is the same after many of them', { timeout: 60_000 + RUNS * QUICKLY }, async () => {
    const posts = operations.filter(({ method, path }) => method !== 'delete' && !path.includes('two-factor/policy'));
    const round = async (index: number) => {
      for (const each of posts) await fuzz(each, Math.ceil(RUNS / 6), SEED + index);
    };
    await round(1);
    const before = heapAfterCollection();
    await round(2);
    expect(heapAfterCollection() - before).toBeLessThan(FLAT);
  });
});

async function fuzz(operation: Operation, numRuns: number, seed: number): Promise<void> {
  await fc.assert(fc.asyncProperty(requestsOf(operation, known), expectAnswered), {
    numRuns,
    seed,
    // A request changes what the next one finds, so a smaller one would not fail for the same reason.
    endOnFailure: true,
  });
}

async function expectAnswered({ method, url, headers, payload }: FuzzedRequest): Promise<void> {
  const began = performance.now();
  const answer = await app.app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) });
  const took = performance.now() - began;
  expect(answer.statusCode, `${method} ${url} answered ${answer.body}`).toBeLessThan(500);
  expect(took, `${method} ${url} took ${Math.round(took)} ms`).toBeLessThan(QUICKLY);
  expectDocumented({ method, url }, answer);
}

/** Real people with real tokens, devices and things of theirs, some of them there to be changed and removed. */
async function cast(): Promise<Known> {
  await app.sql('DELETE FROM requirement_rules');
  const admin = await administrator(app);
  const [user, victim, newcomer] = [await personWithTotp(app), await personWithTotp(app), await register(app)];
  const enrollmentToken = await enrollmentTokenOf(admin.token, newcomer);
  const asked = await firstFactor(app, victim.email);
  const webhook = await app.http.post<{ id: string }>(
    '/admin/webhooks',
    { url: 'https://hooks.test/', events: ['user.created'] },
    { token: admin.token },
  );
  const invitation = await app.http.post<{ id: string }>(
    '/invitations',
    { email: `guest-${Date.now()}@example.test` },
    { token: admin.token },
  );
  const { codeToken } = asked.body;
  const { accessToken, refreshToken } = user.session;
  people = [admin.token, accessToken];
  return {
    bearer: [admin.token, admin.token, accessToken, accessToken, enrollmentToken, codeToken, refreshToken],
    id: [victim.id, victim.deviceId, user.deviceId, webhook.body.id, invitation.body.id],
    userId: [victim.id, newcomer.id],
    userIds: [],
    deviceId: [victim.deviceId, user.deviceId],
    deliveryId: [],
    provider: ['google', 'apple', 'facebook'],
    role: ['admin', 'support'],
    identifier: [victim.email, newcomer.email],
    email: [newcomer.email],
    password: [PASSWORD],
    currentPassword: [PASSWORD],
    codeToken: [codeToken],
    refreshToken: [refreshToken],
    token: [accessToken, codeToken, enrollmentToken],
    code: ['123456'],
  };
}

async function enrollmentTokenOf(adminToken: string, person: { id: string; email: string }): Promise<string> {
  const demand = { required: true, methods: ['totp'] };
  await app.http.patch(`/admin/users/${person.id}/two-factor`, demand, { token: adminToken });
  const { body } = await firstFactor(app, person.email);
  const code = await app.mailbox.code(person.email);
  return (await secondFactor<{ enrollmentToken: string }>(app, body.codeToken, code)).body.enrollmentToken;
}

/** MiB that are still in use once everything else is gone. */
function heapAfterCollection(): number {
  setFlagsFromString('--expose_gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed / 1024 / 1024;
}

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { resetLink, tokenOf } from '../support/links.js';
import { firstFactor, PASSWORD, personWithTotp, register } from '../support/people.js';
import { outcomes, type Shot } from '../security/burst.js';
import { Invariants } from './invariants.js';
import { race, rounds, times } from './race.js';
import { startReplicas, type Replicas } from './replicas.js';

const WRONG = 'not the right password';
const QUARTER_HOUR_S = 900;

let service: Replicas;
let invariants: Invariants;
beforeAll(async () => {
  service = await startReplicas();
  invariants = new Invariants(service);
});
afterEach(() => invariants.expectAll());
afterAll(() => service.close());

const attempt = (identifier: string, password: string): Shot => ({
  path: '/auth/token',
  body: { identifier, password },
});

/** What a stranger is told, without what differs from request to request. */
async function toldTo(identifier: string, password: string) {
  const { status, headers, body } = await firstFactor<Record<string, unknown>>(service, identifier, password);
  const { 'x-request-id': _id, date: _date, ...same } = headers;
  return { status, headers: same, body: { ...body, requestId: '' } };
}

describe('wrong passwords', () => {
  it('R08 of two hundred at once ten are compared, for an account and for nobody alike', async () => {
    for (const round of rounds(0.25)) {
      const { email } = await register(service);
      for (const identifier of [email, `nobody-${round}@example.com`]) {
        const hits = await race(service, round === 2 ? 0 : round, times(200, attempt(identifier, WRONG)));
        expect(outcomes(hits)).toEqual({ '401 invalid_credentials': 10, '429 too_many_failures': 190 });
        const right = await firstFactor<{ code: string }>(service, identifier);
        expect([right.status, right.body.code]).toEqual([429, 'too_many_failures']);
      }
    }
  });

  it('R09 are not forgotten because the attacker signs in to an account of his own in between', async () => {
    const [victim, attacker] = [await register(service), await register(service)];
    let compared = 0;
    for (let round = 0; round < 6; round += 1) {
      const shots = [...times(3, attempt(victim.email, WRONG)), attempt(attacker.email, PASSWORD)];
      const hits = await race(service, 1, shots);
      compared += hits.filter(({ body }) => body['code'] === 'invalid_credentials').length;
      await service.clock.advance(1);
    }
    expect(compared).toBe(10);
  });

  it('R10 close neither the sessions of the owner, nor a reset, nor the account for good', async () => {
    const victim = await personWithTotp(service);
    await race(service, 0, times(50, attempt(victim.email, WRONG)));
    expect((await firstFactor<unknown>(service, victim.email)).status).toBe(429);

    expect((await service.http.get('/users/me', { token: victim.session.accessToken })).status).toBe(200);
    const refreshToken = victim.session.refreshToken;
    expect((await service.http.post('/auth/token/refresh', { refreshToken })).status).toBe(200);
    await service.clock.advance(QUARTER_HOUR_S);
    expect((await firstFactor(service, victim.email)).status).toBe(200);

    await race(service, 0, times(50, attempt(victim.email, WRONG)));
    const token = tokenOf(await resetLink(service, victim.email));
    const newPassword = 'four more uncommon words';
    expect((await service.http.post('/auth/password-reset/confirm', { token, newPassword })).status).toBe(204);
    await service.clock.advance(QUARTER_HOUR_S);
    expect((await firstFactor(service, victim.email, newPassword)).status).toBe(200);
  });
});

describe('a stranger', () => {
  const STATES: Record<string, string> = {
    'has never proved his address': 'UPDATE users SET email_verified_at = NULL WHERE id = $1',
    'was deactivated': 'UPDATE users SET active = false WHERE id = $1',
    'has no password': 'UPDATE users SET password_hash = NULL WHERE id = $1',
  };

  it.each(Object.keys(STATES))('E02 learns nothing about somebody who %s', async (state) => {
    const person = await register(service);
    await service.sql(STATES[state] as string, [person.id]);
    const nobody = await toldTo('somebody-else@example.com', WRONG);
    expect(await toldTo(person.email, WRONG)).toEqual(nobody);
    if (state !== 'has never proved his address') expect(await toldTo(person.email, PASSWORD)).toEqual(nobody);
  });

  it('E09 who must wait is told the same for an account, for nobody, and with the right password', async () => {
    const { email } = await register(service);
    const nobody = 'nobody-at-all@example.com';
    await race(service, 1, [...times(20, attempt(email, WRONG)), ...times(20, attempt(nobody, WRONG))]);
    const told = [];
    for (const [identifier, password] of [
      [email, WRONG],
      [email, PASSWORD],
      [nobody, WRONG],
    ] as const) {
      const { status, body, headers } = await toldTo(identifier, password);
      expect(Number(headers['retry-after'])).toBeGreaterThan(20);
      told.push({ status, body: { ...body, retryAfter: 0 } });
    }
    expect(told[0]).toMatchObject({ status: 429, body: { code: 'too_many_failures' } });
    expect(told[1]).toEqual(told[0]);
    expect(told[2]).toEqual(told[0]);
  });

  it('E01 waits about as long whether or not there is an account (the medians are shown)', async () => {
    const { email } = await register(service);
    const samples = { account: [] as number[], nobody: [] as number[] };
    for (let sample = 0; sample < 80; sample += 1) {
      const somebody = sample % 2 === 0;
      const begun = performance.now();
      await toldTo(somebody ? email : `nobody-${sample}@example.com`, WRONG);
      samples[somebody ? 'account' : 'nobody'].push(performance.now() - begun);
      await service.sql('DELETE FROM failure_counters');
    }
    const median = (values: number[]) => values.sort((a, b) => a - b)[values.length / 2] as number;
    const [account, nobody] = [median(samples.account), median(samples.nobody)];
    console.log(`E01 medians: ${account.toFixed(1)} ms for an account, ${nobody.toFixed(1)} ms for nobody`);
    // A machine that is shared makes noise of ten percent; to leave out the hash would be a factor of five.
    expect(account / nobody).toBeGreaterThan(0.6);
    expect(account / nobody).toBeLessThan(1.6);
  });
});

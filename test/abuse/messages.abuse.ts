import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { totpCode } from '../support/authenticator.js';
import { firstFactor, PASSWORD, personWithTotp, register, secondFactor } from '../support/people.js';
import { countOf, outcomes, type Shot } from '../security/burst.js';
import { challengesOf } from '../security/traces.js';
import { Invariants } from './invariants.js';
import { race, rounds, times } from './race.js';
import { startReplicas, type Replicas } from './replicas.js';

let service: Replicas;
let invariants: Invariants;
beforeAll(async () => {
  // As it comes out of the box, apart from the limits of addresses.
  service = await startReplicas();
  invariants = new Invariants(service);
});
afterEach(() => invariants.expectAll());
afterAll(() => service.close());

const ROUTES = ['/auth/otp', '/auth/magic-link', '/auth/password-reset'];

async function untilQueueIsEmpty(): Promise<void> {
  await expect.poll(() => service.sql('SELECT 1 FROM graphile_worker.jobs'), { timeout: 15_000 }).toEqual([]);
}

describe('with the default gap between guesses', () => {
  it('R01 of fifty guesses at once one is compared, and the others are told to wait', async () => {
    const owner = await personWithTotp(service);
    for (const round of rounds(0.5)) {
      const { body } = await firstFactor(service, owner.email);
      const shot = { path: '/auth/token/second-factor', body: { codeToken: body.codeToken, code: '' } };
      const code = totpCode(owner.secret, service.clock) === '000000' ? '111111' : '000000';
      const hits = await race(service, round, times(50, { ...shot, body: { ...shot.body, code } }));
      expect(outcomes(hits)).toEqual({ '401 invalid_code': 1, '429 retry_too_soon': 49 });
      expect((await challengesOf(service, owner.id)).at(-1)).toEqual({ attempts: 1, consumed: false });
      await service.clock.advance(30);
      expect((await secondFactor(service, body.codeToken, totpCode(owner.secret, service.clock))).status).toBe(200);
      await service.clock.advance(30);
    }
  });
});

describe('somebody who has the password', () => {
  it('R04 opens three sign-ins and no fourth, of twenty at once, and is sent one message', async () => {
    for (const round of rounds(0.25)) {
      const { email } = await register(service);
      const hits = await race(
        service,
        round,
        times(20, { path: '/auth/token', body: { identifier: email, password: PASSWORD } }),
      );
      // Ten passwords of one identifier may be under way; more of them wait before they are looked at.
      expect([countOf(hits, 200), countOf(hits, 429)], JSON.stringify(outcomes(hits))).toEqual([3, 17]);
      await untilQueueIsEmpty();
      expect(service.mailbox.all(email)).toHaveLength(1);
    }
  });

  it('U01 asks for another code twenty times at once, and is sent one', async () => {
    const { email } = await register(service);
    const { body } = await firstFactor(service, email);
    await service.mailbox.code(email);
    await service.clock.advance(61);
    const hits = await race(service, 1, times(20, { path: '/auth/otp', body: { codeToken: body.codeToken } }));
    expect(outcomes(hits)).toEqual({ '202': 1, '429 code_recently_sent': 19 });
    for (const { headers } of hits.filter(({ status }) => status === 429)) {
      expect(Number(headers['retry-after'])).toBeLessThanOrEqual(60);
    }
    await untilQueueIsEmpty();
    expect(service.mailbox.all(email)).toHaveLength(2);
  });
});

describe('somebody who is not signed in', () => {
  it.each(ROUTES)('U01 asks %s twenty times at once for somebody else, who is sent one message', async (path) => {
    const { email } = await register(service);
    const hits = await race(service, 1, times(20, { path, body: { identifier: email } }));
    expect(outcomes(hits)).toEqual({ '202': 1, '429 code_recently_sent': 19 });
    await untilQueueIsEmpty();
    expect(service.mailbox.all(email)).toHaveLength(1);
  });

  it('U02 has five messages an hour for one address, whatever he asks for', async () => {
    const { email } = await register(service);
    const shots: Shot[] = [
      ...ROUTES.map((path) => ({ path, body: { identifier: email } })),
      { path: '/auth/token', body: { identifier: email, password: PASSWORD } },
      { path: '/users', body: { email, password: PASSWORD } },
    ];
    for (let turn = 0; turn < 10; turn += 1) {
      await race(service, 1, [shots[turn % shots.length] as Shot]);
      await service.clock.advance(61);
    }
    await untilQueueIsEmpty();
    expect(service.mailbox.all(email)).toHaveLength(5);
  });

  it('E04 is told the same about a known, an unknown and an unproved address, and nothing is made for it', async () => {
    const [proved, unproved] = [await register(service), await register(service)];
    await service.sql('UPDATE users SET email_verified_at = now() WHERE id = $1', [proved.id]);
    const before = await service.sql('SELECT count(*) FROM users');
    for (const path of ROUTES) {
      await service.clock.advance(61);
      const told = [];
      for (const identifier of [proved.email, unproved.email, `nobody${path.replaceAll('/', '-')}@example.com`]) {
        const { status, text } = await service.http.post(path, { identifier });
        told.push([status, text]);
      }
      expect(told).toEqual(times(3, { path }).map(() => [202, '{"resendIn":60}']));
    }
    await untilQueueIsEmpty();
    expect(await service.sql('SELECT count(*) FROM users')).toEqual(before);
    expect(service.mails.received.filter(({ recipients }) => recipients.some((to) => to.startsWith('nobody')))).toEqual(
      [],
    );
  });

  it('E05 registers a taken address in ten spellings at once: one account, one notice, one answer', async () => {
    for (const round of rounds(0.25)) {
      const { email } = await register(service);
      const spelled = (index: number) => (index % 2 === 0 ? email.toUpperCase() : email.replace('p', 'P'));
      const shots = Array.from({ length: 10 }, (_, index) => ({
        path: '/users',
        body: { email: spelled(index), password: PASSWORD },
      }));
      const hits = await race(service, round, shots);
      expect(countOf(hits, 201), JSON.stringify(outcomes(hits))).toBe(10);
      expect(new Set(hits.map(({ body }) => Object.keys(body).join())).size).toBe(1);
      expect(await service.sql('SELECT 1 FROM users WHERE email_canonical = $1', [email])).toHaveLength(1);
      await untilQueueIsEmpty();
      expect(service.mailbox.all(email)).toHaveLength(1);
    }
  });

  it('E03 is told the same while no mail can be sent, as fast, and the message waits', async () => {
    const { id, email } = await register(service);
    const ask = async (identifier: string) => {
      const begun = performance.now();
      const { status, text } = await service.http.post('/auth/password-reset', { identifier });
      return { status, text, milliseconds: performance.now() - begun };
    };
    await service.mails.stop();
    const [known, unknown] = [await ask(email), await ask('nobody-while-down@example.com')];
    expect([known.status, known.text]).toEqual([202, '{"resendIn":60}']);
    expect([unknown.status, unknown.text]).toEqual([known.status, known.text]);
    expect(Math.max(known.milliseconds, unknown.milliseconds)).toBeLessThan(1_000);
    const waiting = `SELECT DISTINCT payload ->> 'messageId' FROM graphile_worker._private_jobs
                     WHERE payload -> 'about' ->> 'userId' = $1`;
    await expect.poll(async () => (await service.sql(waiting, [id])).length, { timeout: 8_000 }).toBe(1);
    await service.mails.start();
    await service.mailbox.next(email, /Choose a new password/);
  });
});

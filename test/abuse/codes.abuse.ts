import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { totpCode } from '../support/authenticator.js';
import {
  firstFactor,
  personWithTotp,
  register,
  secondFactor,
  type Authenticator,
  type Person,
  type SignedIn,
} from '../support/people.js';
import { countOf, outcomes, type Hit, type Shot } from '../security/burst.js';
import { challengesOf, eventsOf, failuresOf, sessionsOf, wrongTotp } from '../security/traces.js';
import { Invariants } from './invariants.js';
import { race, rounds, times } from './race.js';
import { startReplicas, type Replicas } from './replicas.js';

type Owner = Person & Authenticator & { session: SignedIn };

let service: Replicas;
let invariants: Invariants;
beforeAll(async () => {
  service = await startReplicas({ CODE_TOKEN_RETRY_WAIT: '0s', CODE_TOKEN_MAX_ACTIVE: 'off' });
  invariants = new Invariants(service);
});
afterEach(() => invariants.expectAll());
afterAll(() => service.close());

let owner: Owner;
beforeEach(async () => {
  owner = await personWithTotp(service);
});

const answer = (codeToken: string, code: string, extra: Record<string, unknown> = {}): Shot => ({
  path: '/auth/token/second-factor',
  body: { codeToken, code, ...extra },
});
const stepUp = (code: string): Shot => ({ path: '/auth/step-up', body: { code }, token: owner.session.accessToken });
const codeToken = async () => (await firstFactor(service, owner.email)).body.codeToken;
const wrong = () => wrongTotp(owner.secret, service);
const right = () => totpCode(owner.secret, service.clock);

/** The next code of the app, and no failure of before. */
async function startAnew(): Promise<void> {
  await service.clock.advance(30);
  await service.sql('UPDATE otp_devices SET failures = 0, blocked_until = NULL WHERE id = $1', [owner.deviceId]);
}

/** As many as there are attempts were compared; the others were refused without being counted. */
function expectCompared(hits: readonly Hit[], count: number): void {
  const { '401 invalid_code': compared, ...refused } = outcomes(hits);
  expect(compared, JSON.stringify(outcomes(hits))).toBe(count);
  const { '403 too_many_attempts': exhausted = 0, '429 too_many_failures': paused = 0, ...others } = refused;
  expect(others).toEqual({});
  expect(exhausted + paused).toBe(hits.length - count);
}

describe('guesses at a second factor', () => {
  it('R01 of fifty at once five are compared, and then even the right code is refused', async () => {
    for (const round of rounds()) {
      const token = await codeToken();
      const hits = await race(service, round, times(50, answer(token, wrong())));
      expect(outcomes(hits)).toEqual({ '401 invalid_code': 5, '403 too_many_attempts': 45 });
      expect((await challengesOf(service, owner.id)).at(-1)).toEqual({ attempts: 5, consumed: false });
      expect(await failuresOf(service, owner.deviceId)).toBe(5);
      expect((await secondFactor(service, token, right())).status).toBe(403);
      expect(await sessionsOf(service, owner.id)).toBe(1);
      await startAnew();
    }
  });

  it('R06 close the app at the hundredth in a row, for the right code too, until it is enrolled anew', async () => {
    expect(await race(service, 0, times(5, answer(await codeToken(), wrong())))).toHaveLength(5);
    await service.mailbox.next(owner.email, /wrong/i);
    const setFailures = 'UPDATE otp_devices SET failures = $2, blocked_until = NULL WHERE id = $1';
    await service.sql(setFailures, [owner.deviceId, 98]);
    expect((await secondFactor(service, await codeToken(), wrong())).status).toBe(401);
    await service.clock.advance(900);
    const closed = 'SELECT disabled_at IS NOT NULL AS closed FROM otp_devices WHERE id = $1';
    expect(await service.sql(closed, [owner.deviceId])).toEqual([{ closed: false }]);
    const hits = await race(service, 1, times(20, answer(await codeToken(), wrong())));
    expectCompared(hits, 1);
    expect(await service.sql(closed, [owner.deviceId])).toEqual([{ closed: true }]);
    await service.clock.advance(900);
    const late = await secondFactor(service, await codeToken(), right());
    expect([late.status, late.body]).toMatchObject([401, { code: 'invalid_code' }]);
    expect(await sessionsOf(service, owner.id)).toBe(1);
  });

  it('R07 are counted over all code tokens: three of them are no more than one', async () => {
    for (const round of rounds(0.5)) {
      const tokens = [await codeToken(), await codeToken(), await codeToken()];
      const shots = tokens.flatMap((token) => times(10, answer(token, wrong())));
      expectCompared(await race(service, round, shots), 5);
      expect(await failuresOf(service, owner.deviceId)).toBe(5);
      expect((await secondFactor(service, await codeToken(), right())).status).toBe(429);
      await startAnew();
    }
  });

  it('R25 are remembered by the service: an older copy of the code token has not more of them', async () => {
    const copy = await codeToken();
    for (let guess = 0; guess < 5; guess += 1) await secondFactor(service, copy, wrong());
    const hits = await race(service, 0, times(10, answer(copy, right())));
    expect(outcomes(hits)).toEqual({ '403 too_many_attempts': 10 });
  });

  it('R26 at the sign-in and at a step-up are the same: five of both together, and the pause holds for both', async () => {
    for (const round of rounds(0.5)) {
      const token = await codeToken();
      const hits = await race(service, round, [...times(10, answer(token, wrong())), ...times(10, stepUp(wrong()))]);
      expectCompared(hits, 5);
      expect(await failuresOf(service, owner.deviceId)).toBe(5);
      const afterwards = await race(service, round, [answer(await codeToken(), right()), stepUp(right())]);
      expect(countOf(afterwards, 429)).toBe(2);
      await startAnew();
    }
  });
});

describe('a right code', () => {
  it('R03 sent fifty times at once signs in once', async () => {
    for (const round of rounds()) {
      const before = await sessionsOf(service, owner.id);
      const hits = await race(service, round, times(50, answer(await codeToken(), right())));
      expect(countOf(hits, 200), JSON.stringify(outcomes(hits))).toBe(1);
      expect(countOf(hits, 401) + countOf(hits, 403)).toBe(49);
      expect(await sessionsOf(service, owner.id)).toBe(before + 1);
      // The session that was there before goes on, and the limit of sessions is not what is tested here.
      await service.sql('UPDATE sessions SET ended_at = now() WHERE user_id = $1 AND id <> $2', [owner.id, sid(owner)]);
      await startAnew();
    }
  });

  it('R03 by mail, the same', async () => {
    const person = await register(service);
    for (const round of rounds(0.25)) {
      const { body } = await firstFactor(service, person.email);
      const code = await service.mailbox.code(person.email);
      const hits = await race(service, round, times(50, answer(body.codeToken, code)));
      expect(countOf(hits, 200), JSON.stringify(outcomes(hits))).toBe(1);
      expect(countOf(hits, 401) + countOf(hits, 403)).toBe(49);
      await service.clock.advance(61);
    }
    expect(await sessionsOf(service, person.id)).toBe(rounds(0.25).length);
  });

  it('R11 of an app is spent wherever it was used: one of two code tokens and a step-up gets it', async () => {
    for (const round of rounds()) {
      const [here, there] = [await codeToken(), await codeToken()];
      const code = right();
      const shots = [answer(here, code), answer(there, code), stepUp(code), answer(here, code)];
      const hits = await race(service, round, shots);
      expect(countOf(hits, 200), JSON.stringify(outcomes(hits))).toBe(1);
      expect(countOf(hits, 401)).toBe(3);
      if (hits[2]?.status === 200) owner.session.accessToken = String(hits[2].body['accessToken']);
      await startAnew();
    }
  });

  it('R13 of an app on twenty code tokens, in whatever way it is typed, signs in once', async () => {
    for (const round of rounds(0.25)) {
      const before = await sessionsOf(service, owner.id);
      const code = right();
      const fullWidth = code.replace(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit)));
      const typed = [code, ` ${code.slice(0, 3)} ${code.slice(3)}`, `${code}\n`, fullWidth];
      const shots: Shot[] = [];
      for (let index = 0; index < 20; index += 1) shots.push(answer(await codeToken(), typed[index % 4] as string));
      const hits = await race(service, near(round), shots);
      expect(countOf(hits, 200), JSON.stringify(outcomes(hits))).toBe(1);
      expect(countOf(hits, 401) + countOf(hits, 429)).toBe(19);
      expect(await sessionsOf(service, owner.id)).toBe(before + 1);
      await startAnew();
    }
  });

  it('R14 by mail is good once, for its own code token, until another one is sent, and for five minutes', async () => {
    const [alice, bob] = [await register(service), await register(service)];
    const ask = async ({ email }: Person) => {
      await service.clock.advance(61);
      const { body } = await firstFactor(service, email);
      return { token: body.codeToken, code: await service.mailbox.code(email) };
    };
    const [first, his] = [await ask(alice), await ask(bob)];
    expect((await secondFactor(service, his.token, first.code)).status).toBe(401);
    expect((await secondFactor(service, first.token, first.code)).status).toBe(200);
    expect((await secondFactor(service, first.token, first.code)).status).toBe(401);

    const second = await ask(alice);
    await service.clock.advance(61);
    expect((await service.http.post('/auth/otp', { codeToken: second.token })).status).toBe(202);
    const newer = await service.mailbox.code(alice.email);
    expect((await secondFactor(service, second.token, second.code)).status).toBe(401);
    expect((await secondFactor(service, second.token, newer)).status).toBe(200);

    const third = await ask(alice);
    await service.clock.advance(301);
    const late = await secondFactor(service, third.token, third.code);
    expect([late.status, late.body]).toMatchObject([401, { code: 'token_expired' }]);
  });

  it('R15 that confirmed an app does not sign in within its half minute', async () => {
    const { body: session } = await secondFactor(service, await codeToken(), right());
    const created = await service.http.post<{ id: string; secret: string }>(
      '/otp-devices',
      { type: 'totp' },
      { token: session.accessToken },
    );
    const code = totpCode(created.body.secret, service.clock);
    const confirm = { path: `/otp-devices/${created.body.id}/confirm`, body: { code }, token: session.accessToken };
    const confirmed = await race(service, 1, times(10, confirm));
    expect(countOf(confirmed, 200), JSON.stringify(outcomes(confirmed))).toBe(1);
    const reused = await race(
      service,
      1,
      times(10, answer(await codeToken(), code, { deviceId: created.body.id })).slice(0, 4),
    );
    expect(outcomes(reused)).toEqual({ '401 invalid_code': 4 });
  });

  it('R16 of a recovery sheet signs in once, of twenty at once, and nine are left', async () => {
    const { body: sheet } = await service.http.post<{ id: string; codes: string[] }>(
      '/otp-devices',
      { type: 'recovery_codes' },
      { token: owner.session.accessToken },
    );
    let left = sheet.codes.length;
    for (const round of rounds(0.25)) {
      const before = await sessionsOf(service, owner.id);
      const shot = answer(await codeToken(), sheet.codes[round] as string, { deviceId: sheet.id });
      const hits = await race(service, near(round), times(20, shot));
      expect(countOf(hits, 200), JSON.stringify(outcomes(hits))).toBe(1);
      expect(await sessionsOf(service, owner.id)).toBe(before + 1);
      left -= 1;
      const unused = 'SELECT count(*)::int AS left FROM recovery_codes WHERE device_id = $1 AND used_at IS NULL';
      expect(await service.sql(unused, [sheet.id])).toEqual([{ left }]);
    }
    expect(await eventsOf(service, owner.id, 'recovery-code.used')).toBe(sheet.codes.length - left);
  });
});

/** All of them take the owner's lock in turn: far from the database the last would wait longer than one may for a lock. */
const near = (round: number) => (round === 0 ? 0 : 1);

function sid({ session }: Owner): string {
  const [, claims = ''] = session.accessToken.split('.');
  return (JSON.parse(Buffer.from(claims, 'base64url').toString()) as { sid: string }).sid;
}

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import type { Answer } from '../support/http.js';
import { firstFactor, register, type Person, type SignedIn } from '../support/people.js';

const DAY = 86_400;

type Pair = Pick<SignedIn, 'accessToken' | 'refreshToken' | 'expiresIn' | 'refreshExpiresIn'>;
type Refreshed = Answer<Pair & { code?: string }>;

/** A session is one family of refresh tokens. The password alone starts one here; how it was proved is another matter. */
describe('sessions', () => {
  let app: TestApp;
  let url: string;
  beforeAll(async () => {
    app = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none,email,totp', TWO_FACTOR_FALLBACK_METHOD: 'none' });
    url = await app.listen();
  });
  afterAll(() => app.close());

  async function signIn({ email }: Person): Promise<SignedIn> {
    const { status, body } = await firstFactor<SignedIn>(app, email);
    expect([status, body.status]).toEqual([200, 'authenticated']);
    return body;
  }

  const refresh = ({ refreshToken }: { refreshToken: string }): Promise<Refreshed> =>
    app.http.post('/auth/token/refresh', { refreshToken });

  const revoke = ({ refreshToken }: { refreshToken: string }) => app.http.post('/auth/token/revoke', { refreshToken });

  const claimsOf = async ({ accessToken }: { accessToken: string }) =>
    (await app.http.post('/auth/token/verify', { token: accessToken })).body;

  async function expectLive(pair: Pair): Promise<void> {
    expect((await app.http.get('/users/me', { token: pair.accessToken })).status).toBe(200);
    expect(await claimsOf(pair)).toMatchObject({ active: true });
  }

  async function expectEnded(pair: Pair): Promise<void> {
    const { status, body } = await app.http.get('/users/me', { token: pair.accessToken });
    expect([status, body['code']]).toEqual([401, 'invalid_token']);
    expect(await claimsOf(pair)).toEqual({ active: false });
    const refused = await refresh(pair);
    expect([refused.status, refused.body.code]).toEqual([401, 'invalid_refresh_token']);
  }

  const eventsOf = async ({ id }: Person, type: string) =>
    (
      await app.sql<{ details: unknown }>('SELECT details FROM audit_events WHERE user_id = $1 AND type = $2', [
        id,
        type,
      ])
    ).map(({ details }) => details);

  describe('a refresh', () => {
    it('answers new tokens of the same session, proving nothing anew', async () => {
      const session = await signIn(await register(app));
      const before = await claimsOf(session);
      await app.clock.advance(100);
      const { status, headers, body } = await refresh(session);
      expect([status, headers['cache-control']]).toEqual([200, 'no-store']);
      expect(body).toMatchObject({ tokenType: 'Bearer', expiresIn: 300, refreshExpiresIn: 7 * DAY });
      expect(body.refreshToken).not.toBe(session.refreshToken);

      const after = await claimsOf(body);
      expect(after).toMatchObject({ active: true, sid: before['sid'], auth_time: before['auth_time'] });
      expect(after['jti']).not.toBe(before['jti']);
      expect(Number(after['exp'])).toBeGreaterThanOrEqual(Number(before['exp']) + 100);
      await expectLive(session);
    });

    it('goes on from token to token', async () => {
      const session = await signIn(await register(app));
      const seen = new Set([session.refreshToken]);
      let pair: Pair = session;
      for (let rotation = 1; rotation <= 5; rotation += 1) {
        pair = (await refresh(pair)).body;
        seen.add(pair.refreshToken);
      }
      expect(seen.size).toBe(6);
      await expectLive(pair);
    });

    it('tells roles as they are now', async () => {
      const person = await register(app);
      const session = await signIn(person);
      expect(await claimsOf(session)).toMatchObject({ roles: [] });
      await app.sql(`UPDATE users SET roles = '{support}' WHERE id = $1`, [person.id]);
      expect(await claimsOf((await refresh(session)).body)).toMatchObject({ roles: ['support'] });
    });
  });

  describe('a rotated refresh token that comes back', () => {
    it('within ten seconds gets the same successor, as long as that is unused', async () => {
      const person = await register(app);
      const session = await signIn(person);
      const first = await refresh(session);
      await app.clock.advance(8);
      const repeated = await refresh(session);

      expect(repeated.status).toBe(200);
      expect(repeated.body.refreshToken).toBe(first.body.refreshToken);
      await expectLive(repeated.body);
      expect((await refresh(first.body)).status).toBe(200);
      expect(await eventsOf(person, 'refresh-token.reused')).toEqual([]);
    });

    it('R20: later ends the session, with everything that belongs to it', async () => {
      const person = await register(app);
      const session = await signIn(person);
      const elsewhere = await signIn(person);
      const { body: successor } = await refresh(session);
      await app.clock.advance(11);

      const replayed = await refresh(session);
      expect([replayed.status, replayed.body.code]).toEqual([401, 'refresh_token_reused']);
      expect(replayed.body).not.toHaveProperty('accessToken');
      await expectEnded(successor);
      await expectEnded(session);
      await expectLive(elsewhere);
      expect(await eventsOf(person, 'refresh-token.reused')).toEqual([{}]);
      expect(await eventsOf(person, 'session.revoked')).toEqual([{ reason: 'refresh_token_reused' }]);
    });

    it('R20: within ten seconds, but after its successor was used, ends the session too', async () => {
      const person = await register(app);
      const session = await signIn(person);
      const { body: successor } = await refresh(session);
      const { body: newest } = await refresh(successor);

      const replayed = await refresh(session);
      expect([replayed.status, replayed.body.code]).toEqual([401, 'refresh_token_reused']);
      await expectEnded(newest);
      expect(await eventsOf(person, 'refresh-token.reused')).toEqual([{}]);
    });

    it('the grace counts from the rotation and is not renewed by a repetition', async () => {
      const session = await signIn(await register(app));
      await refresh(session);
      await app.clock.advance(6);
      expect((await refresh(session)).status).toBe(200);
      await app.clock.advance(6);
      const late = await refresh(session);
      expect([late.status, late.body.code]).toEqual([401, 'refresh_token_reused']);
    });
  });

  it('R19: twenty parallel refreshes give one and the same successor', async () => {
    for (let round = 1; round <= 5; round += 1) {
      const person = await register(app);
      const session = await signIn(person);
      const answers = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const response = await fetch(`${url}/api/v1/auth/token/refresh`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ refreshToken: session.refreshToken }),
          });
          return { status: response.status, pair: (await response.json()) as Pair };
        }),
      );
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      const successors = new Set(answers.map(({ pair }) => pair.refreshToken));
      expect(successors.size).toBe(1);
      const [row] = await app.sql('SELECT refresh_counter FROM sessions WHERE user_id = $1', [person.id]);
      expect(row).toEqual({ refresh_counter: 1 });
      const [refreshToken = ''] = successors;
      expect((await refresh({ refreshToken })).status).toBe(200);
    }
  });

  describe('signing out', () => {
    it('T18: ends the session and its access tokens, and may be repeated', async () => {
      const person = await register(app);
      const session = await signIn(person);
      const elsewhere = await signIn(person);
      const first = await revoke(session);
      expect([first.status, first.text]).toEqual([204, '']);
      await expectEnded(session);
      expect((await revoke(session)).status).toBe(204);
      await expectLive(elsewhere);
      expect(await eventsOf(person, 'session.revoked')).toEqual([{ reason: 'signed_out' }]);
    });

    it('works with an older token of the family, as a client that lost an answer has it', async () => {
      const session = await signIn(await register(app));
      const { body: successor } = await refresh(session);
      await revoke(session);
      await expectEnded(successor);
    });

    it('T18: ends nobody else’s session, and nothing for an invented token', async () => {
      const [mine, theirs] = [await signIn(await register(app)), await signIn(await register(app))];
      // The session and the number of a real token, with other secret bits.
      const forged = Buffer.from(mine.refreshToken, 'base64url');
      forged.writeUInt8(forged.readUInt8(forged.length - 1) ^ 1, forged.length - 1);
      const inventions = [
        forged.toString('base64url'),
        `${mine.refreshToken}A`,
        mine.refreshToken.slice(0, -1),
        'garbage',
        'x'.repeat(200),
        mine.accessToken.slice(0, 200),
      ];
      for (const refreshToken of inventions) {
        expect([refreshToken, (await revoke({ refreshToken })).status]).toEqual([refreshToken, 204]);
        const refused = await refresh({ refreshToken });
        expect([refused.status, refused.body.code]).toEqual([401, 'invalid_refresh_token']);
      }
      await expectLive(mine);
      await revoke(theirs);
      await expectLive(mine);
      expect((await refresh(mine)).status).toBe(200);
    });

    it('a forged replay cannot end a session either', async () => {
      const person = await register(app);
      const session = await signIn(person);
      const { body: successor } = await refresh(session);
      await app.clock.advance(60);
      const forged = Buffer.from(session.refreshToken, 'base64url');
      forged.writeUInt8(forged.readUInt8(40) ^ 1, 40);
      const refused = await refresh({ refreshToken: forged.toString('base64url') });
      expect([refused.status, refused.body.code]).toEqual([401, 'invalid_refresh_token']);
      await expectLive(successor);
      expect(await eventsOf(person, 'refresh-token.reused')).toEqual([]);
    });
  });

  it('21 sign-ins end the oldest session, and only that', async () => {
    const person = await register(app);
    const sessions: SignedIn[] = [];
    for (let signedIn = 1; signedIn <= 20; signedIn += 1) sessions.push(await signIn(person));
    const [oldest, second] = sessions as [SignedIn, SignedIn];
    await expectLive(oldest);

    await signIn(person);
    // A sign-in does not wait until every replica has heard of the one that it pushed out; this statement does.
    await app.sql('SELECT 1');
    await expectEnded(oldest);
    await expectLive(second);
    const ended = await app.sql(
      `SELECT end_reason, count(*)::int FROM sessions WHERE user_id = $1 GROUP BY end_reason ORDER BY end_reason`,
      [person.id],
    );
    expect(ended).toEqual([
      { end_reason: 'limit', count: 1 },
      { end_reason: null, count: 20 },
    ]);
  });

  it('T10: a deactivated user cannot refresh', async () => {
    const person = await register(app);
    const session = await signIn(person);
    await app.sql('UPDATE users SET active = false WHERE id = $1', [person.id]);
    const refused = await refresh(session);
    expect([refused.status, refused.body.code]).toEqual([401, 'invalid_refresh_token']);
    const [row] = await app.sql('SELECT refresh_counter FROM sessions WHERE user_id = $1', [person.id]);
    expect(row).toEqual({ refresh_counter: 0 });
  });

  describe('ends by itself', () => {
    it('after seven days without a refresh', async () => {
      const [idle, used] = [await signIn(await register(app)), await signIn(await register(app))];
      await app.clock.advance(6 * DAY);
      const { body: kept } = await refresh(used);
      expect(kept.refreshExpiresIn).toBe(7 * DAY);
      await app.clock.advance(DAY + 1);
      await expectEnded(idle);
      expect((await refresh(kept)).status).toBe(200);
    });

    it('after thirty days, whatever happens, and says so before', async () => {
      let pair: Pair = await signIn(await register(app));
      for (const day of [6, 12, 18]) {
        await app.clock.advance(6 * DAY);
        pair = (await refresh(pair)).body;
        expect([day, pair.refreshExpiresIn]).toEqual([day, 7 * DAY]);
      }
      await app.clock.advance(6 * DAY);
      pair = (await refresh(pair)).body;
      expect(pair.refreshExpiresIn).toBeLessThanOrEqual(6 * DAY);
      expect(pair.refreshExpiresIn).toBeGreaterThan(6 * DAY - 60);

      await app.clock.advance(6 * DAY - 60);
      pair = (await refresh(pair)).body;
      expect(pair.refreshExpiresIn).toBeLessThanOrEqual(60);
      await expectLive(pair);
      await app.clock.advance(61);
      // The access token would be good for minutes more.
      await expectEnded(pair);
    });
  });
});

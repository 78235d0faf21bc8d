import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { firstFactor, PASSWORD, personWithTotp, register, secondFactor } from '../support/people.js';
import { countOf, fireAtOnce, type Shot } from './burst.js';
import { pileUp } from './pile-up.js';
import { challengesOf } from './traces.js';

describe('unfinished sign-ins of one person', () => {
  let app: TestApp;
  let origin: string;
  beforeAll(async () => {
    app = await startApp({ DATABASE_POOL_SIZE: '10' });
    origin = await app.listen();
  });
  afterAll(() => app.close());

  it.each([1, 2, 3])(
    'are three at most, also when twenty begin at once with the right password (round %i)',
    async () => {
      const { id, email } = await register(app);
      const shot: Shot = { path: '/auth/token', body: { identifier: email, password: PASSWORD } };

      const hits = await fireAtOnce(
        [origin],
        Array.from({ length: 20 }, () => shot),
      );

      expect([countOf(hits, 200), countOf(hits, 429)]).toEqual([3, 17]);
      expect(await challengesOf(app, id)).toHaveLength(3);
      // The cooldown of the mailbox lets one of the three send.
      expect(hits.filter(({ body }) => body['codeSent'] === true)).toHaveLength(1);
      await app.mailbox.code(email);
      expect(app.mailbox.all(email)).toHaveLength(1);
    },
  );

  it('are three at most, also when all of them were counted before any was there', async () => {
    // Nothing is sent to the owner of an app, so no limit of messages stands in the way.
    const { id, email } = await personWithTotp(app);
    const shot: Shot = { path: '/auth/token', body: { identifier: email, password: PASSWORD } };
    const { result: hits, waiting } = await pileUp(app, { table: 'users', where: 'id = $1', parameters: [id] }, 8, () =>
      fireAtOnce(
        [origin],
        Array.from({ length: 8 }, () => shot),
      ),
    );
    expect(waiting).toBeGreaterThan(3);
    expect([countOf(hits, 200), countOf(hits, 429)]).toEqual([3, 5]);
    expect((await challengesOf(app, id)).filter(({ consumed }) => !consumed)).toHaveLength(3);
  });

  it('make room when one is finished or expires, and say how long that takes', async () => {
    const { email } = await register(app);
    const first = await firstFactor(app, email);
    const code = await app.mailbox.code(email);
    await app.clock.advance(100);
    for (let open = 2; open <= 3; open += 1) expect((await firstFactor(app, email)).status).toBe(200);

    const fourth = await firstFactor(app, email);
    expect([fourth.status, fourth.body]).toMatchObject([429, { code: 'too_many_code_tokens' }]);
    expect(Number(fourth.headers['retry-after'])).toBeGreaterThan(190);
    expect(Number(fourth.headers['retry-after'])).toBeLessThanOrEqual(200);

    expect((await secondFactor(app, first.body.codeToken, code)).status).toBe(200);
    expect((await firstFactor(app, email)).status).toBe(200);
    expect((await firstFactor(app, email)).status).toBe(429);
    await app.clock.advance(300);
    expect((await firstFactor(app, email)).status).toBe(200);
  });

  it('of one person take no room from another', async () => {
    const [crowded, other] = [await register(app), await register(app)];
    for (let open = 0; open < 4; open += 1) await firstFactor(app, crowded.email);
    expect((await firstFactor(app, crowded.email)).status).toBe(429);
    expect((await firstFactor(app, other.email)).status).toBe(200);
  });
});

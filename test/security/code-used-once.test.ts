import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { firstFactor, personWithTotp, register, secondFactor } from '../support/people.js';
import { countOf, fireAtOnce, outcomes, type Shot } from './burst.js';
import { challengesOf, sessionsOf } from './traces.js';

describe.each([
  { gap: 'no gap', variables: { CODE_TOKEN_RETRY_WAIT: '0s' }, refusals: [401, 403] },
  { gap: 'the default gap', variables: { CODE_TOKEN_RETRY_WAIT: '2s' }, refusals: [401, 429] },
])('the right code fifty times at once, with $gap between attempts', ({ variables, refusals }) => {
  let app: TestApp;
  let origin: string;
  beforeAll(async () => {
    app = await startApp({ DATABASE_POOL_SIZE: '10', ...variables });
    origin = await app.listen();
  });
  afterAll(() => app.close());

  const fifty = (codeToken: string, code: string): Shot[] =>
    Array.from({ length: 50 }, () => ({ path: '/auth/token/second-factor', body: { codeToken, code } }));

  it.each([1, 2, 3])('signs in once, by mail (round %i)', async () => {
    const { id, email } = await register(app);
    const { body } = await firstFactor(app, email);
    const code = await app.mailbox.code(email);

    const hits = await fireAtOnce([origin], fifty(body.codeToken, code));

    expect(countOf(hits, 200)).toBe(1);
    expect(hits.every(({ status }) => status === 200 || refusals.includes(status))).toBe(true);
    expect(await sessionsOf(app, id)).toBe(1);
    const [challenge] = await challengesOf(app, id);
    expect(challenge?.consumed).toBe(true);
    expect(challenge?.attempts).toBeLessThanOrEqual(5);

    const again = await secondFactor(app, body.codeToken, code);
    expect([again.status, again.body]).toMatchObject([401, { code: 'token_already_used' }]);
  });

  it.each([1, 2])('signs in once, by authenticator app (round %i)', async () => {
    const { id, email, secret } = await personWithTotp(app);
    const before = await sessionsOf(app, id);
    const { body } = await firstFactor(app, email);

    const hits = await fireAtOnce([origin], fifty(body.codeToken, totpCode(secret, app.clock)));

    expect(countOf(hits, 200), JSON.stringify(outcomes(hits))).toBe(1);
    expect(await sessionsOf(app, id)).toBe(before + 1);
  });
});

describe('the code that confirms a device, ten times at once', () => {
  let app: TestApp;
  let origin: string;
  beforeAll(async () => {
    app = await startApp({ DATABASE_POOL_SIZE: '10', CODE_TOKEN_RETRY_WAIT: '0s', TWO_FACTOR_TRUSTED_METHODS: 'totp' });
    origin = await app.listen();
  });
  afterAll(() => app.close());

  it('confirms once and begins one session, although an enrollment token would begin one each time', async () => {
    const { id, email } = await register(app);
    const { body: asked } = await firstFactor(app, email);
    const enrollment = await secondFactor<{ enrollmentToken: string }>(
      app,
      asked.codeToken,
      await app.mailbox.code(email),
    );
    expect(enrollment.body).toMatchObject({ status: 'enrollment_required', methods: ['totp'] });
    const token = enrollment.body.enrollmentToken;
    const { body: device } = await app.http.post<{ id: string; secret: string }>(
      '/otp-devices',
      { type: 'totp' },
      { token },
    );

    const shot: Shot = {
      path: `/otp-devices/${device.id}/confirm`,
      body: { code: totpCode(device.secret, app.clock) },
      token,
    };
    const hits = await fireAtOnce(
      [origin],
      Array.from({ length: 10 }, () => shot),
    );

    expect(countOf(hits, 200), JSON.stringify(outcomes(hits))).toBe(1);
    expect(await sessionsOf(app, id)).toBe(1);
    const later = await app.http.post('/otp-devices', { type: 'totp' }, { token });
    expect([later.status, later.body]).toMatchObject([401, { code: 'invalid_token' }]);
  });
});

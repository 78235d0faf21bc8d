import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { firstFactor, register, secondFactor, signInByMail, type Asked } from '../support/people.js';
import { challengesOf, sessionsOf } from './traces.js';

const WRONG = { code: 'invalid_code' };

describe('a mailed code', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ CODE_TOKEN_RETRY_WAIT: '0s' });
  });
  afterAll(() => app.close());

  async function asked(email: string): Promise<{ codeToken: string; code: string; result: Asked }> {
    const { body } = await firstFactor(app, email);
    return { codeToken: body.codeToken, code: await app.mailbox.code(email), result: body };
  }

  it('works once: not with the same code token, and not with the next one', async () => {
    const { id, email } = await register(app);
    const { codeToken, code } = await asked(email);
    expect((await secondFactor(app, codeToken, code)).status).toBe(200);

    const again = await secondFactor(app, codeToken, code);
    expect([again.status, again.body]).toMatchObject([401, { code: 'token_already_used' }]);
    const next = await asked(email);
    const reused = await secondFactor(app, next.codeToken, code);
    expect([reused.status, reused.body]).toMatchObject([401, WRONG]);
    expect(await sessionsOf(app, id)).toBe(1);
    expect((await secondFactor(app, next.codeToken, next.code)).status).toBe(200);
  });

  it('is superseded by the one that is sent after it, and the attempts go on', async () => {
    const { id, email } = await register(app);
    const { codeToken, code } = await asked(email);
    await app.clock.advance(60);
    expect((await app.http.post('/auth/otp', { codeToken })).status).toBe(202);
    const newer = await app.mailbox.code(email);
    expect(newer).not.toBe(code);

    const superseded = await secondFactor(app, codeToken, code);
    expect([superseded.status, superseded.body]).toMatchObject([401, WRONG]);
    expect(await challengesOf(app, id)).toEqual([{ attempts: 1, consumed: false }]);
    expect((await secondFactor(app, codeToken, newer)).status).toBe(200);
  });

  it('does not get its attempts back by being sent again', async () => {
    const { email } = await register(app);
    const { codeToken } = await asked(email);
    for (let guess = 0; guess < 4; guess += 1) expect((await secondFactor(app, codeToken, 'wrong')).status).toBe(401);
    await app.clock.advance(60);
    expect((await app.http.post('/auth/otp', { codeToken })).status).toBe(202);
    expect((await secondFactor(app, codeToken, 'wrong')).status).toBe(401);
    const right = await secondFactor(app, codeToken, await app.mailbox.code(email));
    expect([right.status, right.body]).toMatchObject([403, { code: 'too_many_attempts' }]);
    const resent = await app.http.post('/auth/otp', { codeToken });
    expect([resent.status, resent.body]).toMatchObject([403, { code: 'too_many_attempts' }]);
  });

  it('lives five minutes, counted from its creation and not from when it was sent again', async () => {
    const early = await register(app);
    const inTime = await asked(early.email);
    await app.clock.advance(298);
    expect((await secondFactor(app, inTime.codeToken, inTime.code)).status).toBe(200);

    const late = await register(app);
    const { codeToken } = await asked(late.email);
    await app.clock.advance(240);
    expect((await app.http.post('/auth/otp', { codeToken })).status).toBe(202);
    const code = await app.mailbox.code(late.email);
    await app.clock.advance(61);
    const expired = await secondFactor(app, codeToken, code);
    expect([expired.status, expired.body]).toMatchObject([401, { code: 'token_expired' }]);
    const resent = await app.http.post('/auth/otp', { codeToken });
    expect([resent.status, resent.body]).toMatchObject([401, { code: 'token_expired' }]);
    expect(await challengesOf(app, late.id)).toEqual([{ attempts: 0, consumed: false }]);
  });

  it('belongs to its own code token: not to somebody else’s, and not to another one of the same person', async () => {
    const [ada, bob] = [await register(app), await register(app)];
    const [forAda, forBob] = [await asked(ada.email), await asked(bob.email)];
    const crossed = await secondFactor(app, forBob.codeToken, forAda.code);
    expect([crossed.status, crossed.body]).toMatchObject([401, WRONG]);
    expect(await sessionsOf(app, bob.id)).toBe(0);
    expect(await challengesOf(app, bob.id)).toEqual([{ attempts: 1, consumed: false }]);

    await app.clock.advance(60);
    const another = await asked(ada.email);
    const swapped = await secondFactor(app, another.codeToken, forAda.code);
    expect([swapped.status, swapped.body]).toMatchObject([401, WRONG]);
    expect((await secondFactor(app, forAda.codeToken, forAda.code)).status).toBe(200);
    expect((await secondFactor(app, forBob.codeToken, forBob.code)).status).toBe(200);
  });

  it('serves one purpose: what was sent to sign in does not step up, and the other way round', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    const toSignIn = await asked(person.email);
    await app.clock.advance(60);
    expect((await app.http.post('/auth/step-up', {}, { token })).status).toBe(202);
    const toStepUp = await app.mailbox.code(person.email);

    const step = await app.http.post('/auth/step-up', { code: toSignIn.code }, { token });
    expect([step.status, step.body]).toMatchObject([401, WRONG]);
    const signIn = await secondFactor(app, toSignIn.codeToken, toStepUp);
    expect([signIn.status, signIn.body]).toMatchObject([401, WRONG]);

    expect((await app.http.post('/auth/step-up', { code: toStepUp }, { token })).status).toBe(200);
    expect((await secondFactor(app, toSignIn.codeToken, toSignIn.code)).status).toBe(200);
  });
});

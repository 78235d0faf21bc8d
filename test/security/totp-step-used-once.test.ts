import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import {
  firstFactor,
  personWithTotp,
  register,
  secondFactor,
  signInByMail,
  type Authenticator,
  type Person,
} from '../support/people.js';
import { countOf, fireAtOnce, outcomes, type Hit } from './burst.js';
import { beginStep, challengesOf, sessionsOf } from './traces.js';

/** The same six digits, typed in other ways. */
const fullWidth = (code: string) => code.replace(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit)));
const variantsOf = (code: string) => [
  ` ${code.slice(0, 3)} ${code.slice(3)}`,
  `${code}\n`,
  fullWidth(code),
  `${code.slice(0, 3)}-${code.slice(3)}`,
];

describe('one TOTP code on twenty code tokens at once, on two replicas', () => {
  let app: TestApp;
  let replica: TestApp;
  let origins: string[];
  const people: (Person & Authenticator)[] = [];

  beforeAll(async () => {
    const settings = { CODE_TOKEN_MAX_ACTIVE: 'off', DATABASE_POOL_SIZE: '10' };
    app = await startApp(settings);
    for (let index = 0; index < 4; index += 1) people.push(await personWithTotp(app));
    replica = await startApp(settings, { replicaOf: app });
    origins = [await app.listen(), await replica.listen()];
  });
  afterAll(async () => {
    await replica.close();
    await app.close();
  });

  async function twenty({ email }: Person, codeOf: (index: number) => string): Promise<Hit[]> {
    const shots = [];
    for (let index = 0; index < 20; index += 1) {
      const { body } = await firstFactor(app, email);
      shots.push({ path: '/auth/token/second-factor', body: { codeToken: body.codeToken, code: codeOf(index) } });
    }
    return fireAtOnce(origins, shots);
  }

  async function expectOneSignIn(person: Person & Authenticator, hits: Hit[], sessionsBefore: number): Promise<void> {
    expect(countOf(hits, 200), JSON.stringify(outcomes(hits))).toBe(1);
    // The others are wrong, or too many in a row for this device.
    expect(countOf(hits, 200) + countOf(hits, 401) + countOf(hits, 429)).toBe(20);
    expect(await sessionsOf(app, person.id)).toBe(sessionsBefore + 1);
    const challenges = (await challengesOf(app, person.id)).slice(-20);
    expect(challenges.reduce((sum, { attempts }) => sum + attempts, 0)).toBe(countOf(hits, 200) + countOf(hits, 401));
    expect(challenges.filter(({ consumed }) => consumed)).toHaveLength(1);
  }

  it.each([0, 1])('signs in once (round %i)', async (round) => {
    const person = people[round] as Person & Authenticator;
    const before = await sessionsOf(app, person.id);
    const code = totpCode(person.secret, app.clock);
    await expectOneSignIn(person, await twenty(person, () => code), before);
  });

  it.each([2, 3])('signs in once, in whatever way it is typed (round %i)', async (round) => {
    const person = people[round] as Person & Authenticator;
    const before = await sessionsOf(app, person.id);
    const code = totpCode(person.secret, app.clock);
    const typed = [code, ...variantsOf(code)];
    await expectOneSignIn(person, await twenty(person, (index) => typed[index % typed.length] as string), before);
  });
});

describe('a TOTP code that was used', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ CODE_TOKEN_MAX_ACTIVE: 'off' });
  });
  afterAll(() => app.close());

  async function signInWith({ email }: Person, code: string) {
    const { body } = await firstFactor(app, email);
    return { codeToken: body.codeToken, ...(await secondFactor(app, body.codeToken, code)) };
  }

  const stepUp = (token: string, code: string) => app.http.post('/auth/step-up', { code }, { token });

  it('is refused with the same code token, another one, at step-up, and at a confirmation', async () => {
    const person = await personWithTotp(app);
    const code = totpCode(person.secret, app.clock);
    const { status, codeToken, body: session } = await signInWith(person, code);
    expect(status).toBe(200);

    const same = await secondFactor(app, codeToken, code);
    expect([same.status, same.body]).toMatchObject([401, { code: 'token_already_used' }]);
    const other = await signInWith(person, code);
    expect([other.status, other.body]).toMatchObject([401, { code: 'invalid_code' }]);
    const step = await stepUp(session.accessToken, code);
    expect([step.status, step.body]).toMatchObject([401, { code: 'invalid_code' }]);
    const confirmed = await app.http.post(
      `/otp-devices/${person.deviceId}/confirm`,
      { code },
      { token: session.accessToken },
    );
    expect([confirmed.status, confirmed.body]).toMatchObject([409, { code: 'device_already_confirmed' }]);
    expect(await sessionsOf(app, person.id)).toBe(2);

    await app.clock.advance(30);
    expect((await stepUp(session.accessToken, totpCode(person.secret, app.clock))).status).toBe(200);
  });

  it('at step-up does not sign in', async () => {
    const person = await personWithTotp(app);
    const code = totpCode(person.secret, app.clock);
    expect((await stepUp(person.session.accessToken, code)).status).toBe(200);
    const signedIn = await signInWith(person, code);
    expect([signedIn.status, signedIn.body]).toMatchObject([401, { code: 'invalid_code' }]);
  });

  it('to confirm the app does not sign in; the next one does', async () => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    const { body: device } = await app.http.post<{ id: string; secret: string }>(
      '/otp-devices',
      { type: 'totp' },
      { token },
    );
    const code = totpCode(device.secret, app.clock);
    expect((await app.http.post(`/otp-devices/${device.id}/confirm`, { code }, { token })).status).toBe(200);

    const signedIn = await signInWith(person, code);
    expect([signedIn.status, signedIn.body]).toMatchObject([401, { code: 'invalid_code' }]);
    await app.clock.advance(30);
    expect((await signInWith(person, totpCode(device.secret, app.clock))).status).toBe(200);
  });

  it('makes every earlier one worthless, although it was never used', async () => {
    const person = await personWithTotp(app);
    const [previous, present, next] = [-1, 0, 1].map((steps) => totpCode(person.secret, app.clock, steps)) as [
      string,
      string,
      string,
    ];
    expect((await signInWith(person, next)).status).toBe(200);
    expect((await signInWith(person, present)).status).toBe(401);
    expect((await signInWith(person, previous)).status).toBe(401);
  });

  it.each([0, 1, 2, 3])('gives no second chance when it is typed differently (way %i)', async (way) => {
    const person = await personWithTotp(app);
    const code = totpCode(person.secret, app.clock);
    const typed = variantsOf(code)[way] as string;
    expect((await signInWith(person, typed)).status).toBe(200);
    for (const variant of [code, ...variantsOf(code)].filter((each) => each !== typed)) {
      const again = await signInWith(person, variant);
      expect([again.status, again.body], JSON.stringify(variant)).toMatchObject([401, { code: 'invalid_code' }]);
    }
    expect(await sessionsOf(app, person.id)).toBe(2);
  });

  it('is not accepted two steps early or late', async () => {
    const person = await personWithTotp(app);
    await beginStep(app);
    expect((await signInWith(person, totpCode(person.secret, app.clock, 2))).status).toBe(401);
    await app.clock.advance(60);
    expect((await signInWith(person, totpCode(person.secret, app.clock, -2))).status).toBe(401);
    expect((await signInWith(person, totpCode(person.secret, app.clock, -1))).status).toBe(200);
  });
});

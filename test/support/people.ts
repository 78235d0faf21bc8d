import { randomBytes } from 'node:crypto';
import type { TestApp } from './app.js';
import { totpCode } from './authenticator.js';
import type { Answer } from './http.js';

export const PASSWORD = 'three uncommon words';

export interface Person {
  id: string;
  email: string;
}

export interface SignedIn {
  status: 'authenticated';
  accessToken: string;
  refreshToken: string;
  expiresIn: number;
  refreshExpiresIn: number;
  user: { id: string; email: string; emailVerified: boolean };
}

export interface Asked {
  status: 'second_factor_required';
  codeToken: string;
  expiresIn: number;
  codeSent: boolean;
  resendIn: number;
  device: { id: string; type: string; label: string };
  devices: { id: string; type: string; label: string }[];
}

/** Registers somebody with an address that nobody else has. */
export async function register(app: TestApp, extra: Record<string, unknown> = {}): Promise<Person> {
  const email = `person-${randomBytes(5).toString('hex')}@example.com`;
  const { status, body } = await app.http.post<{ id: string }>('/users', { email, password: PASSWORD, ...extra });
  if (status !== 201) throw new Error(`Registering answered ${status}: ${JSON.stringify(body)}`);
  return { id: body.id, email };
}

/** The first factor, with the right password unless another is given. */
export function firstFactor<Body = Asked>(
  app: TestApp,
  identifier: string,
  password = PASSWORD,
): Promise<Answer<Body>> {
  return app.http.post<Body>('/auth/token', { identifier, password });
}

export function secondFactor<Body = SignedIn>(
  app: TestApp,
  codeToken: string,
  code: string,
  extra: Record<string, unknown> = {},
): Promise<Answer<Body>> {
  return app.http.post<Body>('/auth/token/second-factor', { codeToken, code, ...extra });
}

/** Password and e-mailed code. */
export async function signInByMail(app: TestApp, { email }: Person): Promise<SignedIn> {
  const { body } = await firstFactor(app, email);
  const { status, body: result } = await secondFactor(app, body.codeToken, await app.mailbox.code(email));
  if (status !== 200) throw new Error(`Signing in answered ${status}: ${JSON.stringify(result)}`);
  return result;
}

export interface Authenticator {
  deviceId: string;
  secret: string;
}

/** Enrolls an authenticator app. The clock moves on, so that its next code is a new one. */
export async function enrollTotp(app: TestApp, token: string): Promise<Authenticator> {
  const created = await app.http.post<{ id: string; secret: string }>('/otp-devices', { type: 'totp' }, { token });
  if (created.status !== 201) throw new Error(`Creating answered ${created.status}: ${created.text}`);
  const { id: deviceId, secret } = created.body;
  const confirmed = await app.http.post(
    `/otp-devices/${deviceId}/confirm`,
    { code: totpCode(secret, app.clock) },
    { token },
  );
  if (confirmed.status !== 200) throw new Error(`Confirming answered ${confirmed.status}: ${confirmed.text}`);
  await app.clock.advance(60);
  return { deviceId, secret };
}

/** Somebody with an authenticator app, and the session that enrolled it. */
export async function personWithTotp(app: TestApp): Promise<Person & Authenticator & { session: SignedIn }> {
  const person = await register(app);
  const session = await signInByMail(app, person);
  return { ...person, ...(await enrollTotp(app, session.accessToken)), session };
}

/** Password and the code of the authenticator app. The clock moves on, so that its next code is a new one. */
export async function signInByTotp(app: TestApp, { email, secret }: Person & Authenticator): Promise<SignedIn> {
  const { body } = await firstFactor(app, email);
  const { status, body: result } = await secondFactor(app, body.codeToken, totpCode(secret, app.clock));
  if (status !== 200) throw new Error(`Signing in answered ${status}: ${JSON.stringify(result)}`);
  await app.clock.advance(30);
  return result;
}

/** An administrator who has just signed in with his authenticator app: `token` opens every admin route for 4 minutes. */
export async function administrator(app: TestApp): Promise<Person & Authenticator & { token: string }> {
  const person = await personWithTotp(app);
  await app.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [person.id]);
  const { accessToken: token } = await signInByTotp(app, person);
  return { ...person, token };
}

import { decode } from './access-token.js';
import type { Api } from './api.js';
import { Authenticator } from './authenticator.js';
import { askForApp, newAddress, PASSWORD, type Device } from './email-or-totp.js';
import type { Narrator } from './narrator.js';

/** TWO_FACTOR_TRUSTED_METHODS=totp: whoever has no app must enroll one; a mailed code only lets him do that. */
export async function totpRequired(api: Api, narrator: Narrator): Promise<void> {
  const email = newAddress();
  const enrollmentToken = await startEnrollment(api, narrator, email);
  const app = await finishEnrollment(api, narrator, enrollmentToken);

  narrator.chapter('From now on: password and app');
  const { codeToken } = await askForApp(api, narrator, email, 'The password …');
  const signedIn = await api.post<{ accessToken: string }>(
    '/auth/token/second-factor',
    { codeToken, code: await app.nextCode() },
    { status: 200, because: 'Signed in, as every time from now on.' },
  );
  await api.get('/users/me', { token: signedIn.accessToken, status: 200, because: 'The API is open.' });
}

async function startEnrollment(api: Api, narrator: Narrator, email: string): Promise<string> {
  narrator.chapter('A new user, and a mailed code that is not enough');
  await api.post('/users', { email, password: PASSWORD }, { status: 201, because: 'The account exists now.' });
  const { codeToken } = await api.post<{ codeToken: string }>(
    '/auth/token',
    { identifier: email, password: PASSWORD },
    { status: 200, because: 'There is no app to ask yet, so the fallback is: a code by mail.' },
  );
  const code = await api.mailedCode(email);
  const answer = await api.post<{ status: string; enrollmentToken: string }>(
    '/auth/token/second-factor',
    { codeToken, code },
    { status: 200, because: 'The code is right, and leads to an enrollment token instead of a session.' },
  );
  narrator.expect(answer.status === 'enrollment_required', 'The answer says what is missing: enrollment_required.');
  await api.get('/users/me', {
    token: answer.enrollmentToken,
    status: 403,
    code: 'enrollment_required',
    because: 'The enrollment token opens nothing but the enrollment.',
  });
  return answer.enrollmentToken;
}

async function finishEnrollment(api: Api, narrator: Narrator, enrollmentToken: string): Promise<Authenticator> {
  narrator.chapter('The app is enrolled');
  const device = await api.post<Device>(
    '/otp-devices',
    { type: 'totp' },
    { token: enrollmentToken, status: 201, because: 'This it does open.' },
  );
  const app = new Authenticator(device.secret, narrator);
  const session = await api.post<{ accessToken: string }>(
    `/otp-devices/${device.id}/confirm`,
    { code: await app.nextCode() },
    {
      token: enrollmentToken,
      status: 200,
      because: 'The code just proved is the second factor, so here is the session.',
    },
  );
  const { acr } = decode(session.accessToken).claims;
  narrator.expect(acr === 'aal2', 'With the app it is acr aal2 from the first day.', `acr is ${acr}`);
  await api.post(
    '/otp-devices',
    { type: 'totp' },
    {
      token: enrollmentToken,
      status: 401,
      code: 'invalid_token',
      because: 'The enrollment token has died of its success.',
    },
  );
  return app;
}

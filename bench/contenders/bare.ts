import { codeNow } from '../bare/totp.js';
import type { Answer, Call, Caller, Operations, Step } from '../operations.js';
import { PASSWORD } from '../people.js';

const password: Step = {
  call: ({ email }) => post('/token', { email, password: PASSWORD }),
  status: 200,
  keep: keepTokens,
};

/** The bare limit, bench/bare. */
export const BARE: Operations = {
  password: [password],
  'password-totp': [
    password,
    {
      call: ({ codeToken, secret }) => post('/token/second-factor', { codeToken, code: codeNow(secret) }),
      status: 200,
      keep: keepTokens,
    },
  ],
  'email-code': [
    { call: ({ email }) => post('/otp', { email }), status: 202 },
    { call: ({ email, mailedCode }) => post('/token/code', { email, code: mailedCode }), status: 200 },
  ],
  registration: [{ call: ({ email }) => post('/users', { email, password: PASSWORD }), status: 201 }],
  refresh: [
    {
      call: ({ refreshToken }) => post('/token/refresh', { refreshToken }),
      status: 200,
      keep: keepTokens,
    },
  ],
  'users-me': [{ call: ({ accessToken }) => get('/users/me', accessToken), status: 200 }],
  verify: [{ call: ({ accessToken }) => post('/token/verify', { token: accessToken }), status: 200 }],
  'forward-auth': [{ call: ({ accessToken }) => get('/forward', accessToken), status: 200 }],
  jwks: [{ call: () => ({ method: 'GET', path: '/jwks.json' }), status: 200 }],
};

function post(path: string, body: object): Call {
  return { method: 'POST', path, body };
}

function get(path: string, accessToken: string): Call {
  return { method: 'GET', path, headers: { authorization: `Bearer ${accessToken}` } };
}

function keepTokens(caller: Caller, { body }: Answer): void {
  Object.assign(caller, JSON.parse(body));
}

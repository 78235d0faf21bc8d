import { codeNow } from '../bare/totp.js';
import type { Answer, Call, Caller, Operations, Step } from '../operations.js';
import { PASSWORD } from '../people.js';

const API = '/api/v1';

const password: Step = {
  call: ({ email }) => post('/auth/token', { identifier: email, password: PASSWORD }),
  status: 200,
  keep: keepTokens,
};

/** Countersign, as README.md starts it. */
export const OURS: Operations = {
  password: [password],
  'password-totp': [
    password,
    {
      call: ({ codeToken, secret }) => post('/auth/token/second-factor', { codeToken, code: codeNow(secret) }),
      status: 200,
      keep: keepTokens,
    },
  ],
  'email-code': [
    { call: ({ email }) => post('/auth/otp', { identifier: email }), status: 202 },
    { call: ({ email, mailedCode }) => post('/auth/token', { identifier: email, code: mailedCode }), status: 200 },
  ],
  registration: [{ call: ({ email }) => post('/users', { email, password: PASSWORD }), status: 201 }],
  refresh: [
    {
      call: ({ refreshToken }) => post('/auth/token/refresh', { refreshToken }),
      status: 200,
      keep: keepTokens,
    },
  ],
  'users-me': [{ call: ({ accessToken }) => get('/users/me', accessToken), status: 200 }],
  verify: [{ call: ({ accessToken }) => post('/auth/token/verify', { token: accessToken }), status: 200 }],
  'forward-auth': [{ call: ({ accessToken }) => get('/auth/forward', accessToken), status: 200 }],
  jwks: [{ call: () => ({ method: 'GET', path: '/.well-known/jwks.json' }), status: 200 }],
};

function post(path: string, body: object): Call {
  return { method: 'POST', path: API + path, body };
}

function get(path: string, accessToken: string): Call {
  return { method: 'GET', path: API + path, headers: { authorization: `Bearer ${accessToken}` } };
}

function keepTokens(caller: Caller, { body }: Answer): void {
  Object.assign(caller, JSON.parse(body));
}

import { codeNow } from '../bare/totp.js';
import type { Answer, Call, Caller, Operations, Step } from '../operations.js';
import { PASSWORD } from '../people.js';

const API = '/api/auth';

const password: Step = {
  call: ({ email }) => post('/sign-in/email', { email, password: PASSWORD }),
  status: 200,
  keep: keepCookie,
};

/** It has no access tokens of its own: whoever wants to know who is signed in asks for the session, by its cookie. */
const session: Step = { call: ({ cookie }) => get('/get-session', cookie), status: 200 };

/** better-auth, bench/better-auth: what comes nearest to each of our operations. */
export const BETTER_AUTH: Operations = {
  password: [password],
  'password-totp': [
    password,
    {
      call: ({ secret, cookie }) => post('/two-factor/verify-totp', { code: codeNow(secret) }, cookie),
      status: 200,
      keep: keepCookie,
    },
  ],
  'email-code': [
    { call: ({ email }) => post('/email-otp/send-verification-otp', { email, type: 'sign-in' }), status: 200 },
    { call: ({ email, mailedCode }) => post('/sign-in/email-otp', { email, otp: mailedCode }), status: 200 },
  ],
  registration: [
    { call: ({ email }) => post('/sign-up/email', { email, password: PASSWORD, name: 'Ada' }), status: 200 },
  ],
  refresh: [{ call: ({ cookie }) => get('/token', cookie), status: 200 }],
  'users-me': [session],
  verify: [session],
  'forward-auth': [session],
  jwks: [{ call: () => get('/jwks', ''), status: 200 }],
};

/** Browsers send their origin with a POST, and better-auth looks at it where there is a cookie. */
function post(path: string, body: object, cookie?: string): Call {
  const call: Call = { method: 'POST', path: API + path, body };
  return cookie === undefined ? call : { ...call, headers: { cookie, origin: 'http://localhost' } };
}

function get(path: string, cookie: string): Call {
  return { method: 'GET', path: API + path, headers: { cookie } };
}

function keepCookie(caller: Caller, { cookie }: Answer): void {
  caller.cookie = cookie;
}

import type { Objection } from './requirements.js';

/** The words of Countersign's own catalogue, so that a client needs to know one list. */
const PROBLEMS = {
  authentication_required: {
    status: 401,
    title: 'No token was sent',
    detail: 'Send an access token as "Authorization: Bearer …".',
  },
  invalid_token: {
    status: 401,
    title: 'The token is not valid here',
    detail: 'The token is malformed, expired or of the wrong kind. Refresh it or sign in again.',
  },
  insufficient_user_authentication: {
    status: 401,
    title: 'A more recent sign-in is needed',
    detail:
      'Prove a factor again with POST /api/v1/auth/step-up of the issuer (or sign in again), then repeat the request.',
  },
  role_required: {
    status: 403,
    title: 'Your roles do not open this',
    detail: 'Your account has none of the roles that are needed here. Ask an administrator.',
  },
  unavailable: {
    status: 503,
    title: 'Not available at the moment',
    detail: 'The keys to verify tokens with cannot be read. Wait as long as Retry-After says.',
  },
} as const;

/** Seconds. */
const RETRY_AFTER = 2;

export type RefusalCode = keyof typeof PROBLEMS;

/** What to answer: `problem` is the body, as `application/problem+json` (RFC 9457). */
export interface Refusal {
  code: RefusalCode;
  status: 401 | 403 | 503;
  headers: Readonly<Record<string, string>>;
  problem: { type: string; title: string; status: number; detail: string; code: RefusalCode };
}

export function refusalOf(issuer: string, because: Objection | { code: RefusalCode }): Refusal {
  const { status, title, detail } = PROBLEMS[because.code];
  return {
    code: because.code,
    status,
    headers: {
      'content-type': 'application/problem+json; charset=utf-8',
      'cache-control': 'no-store',
      ...(status === 401 ? { 'www-authenticate': challengeOf(because) } : {}),
      ...(status === 503 ? { 'retry-after': String(RETRY_AFTER) } : {}),
    },
    problem: { type: `${issuer}/problems#${because.code}`, title, status, detail, code: because.code },
  };
}

/** RFC 6750 §3 (no error where no token was sent) and RFC 9470 §3 for step-up. */
function challengeOf(because: Objection | { code: RefusalCode }): string {
  const realm = 'Bearer realm="countersign"';
  if ('acrValues' in because) {
    const maxAge = because.maxAge === undefined ? '' : `, max_age="${because.maxAge}"`;
    return `${realm}, error="insufficient_user_authentication", error_description="A more recent proof of a factor is needed", acr_values="${because.acrValues}"${maxAge}`;
  }
  return because.code === 'invalid_token' ? `${realm}, error="invalid_token"` : realm;
}

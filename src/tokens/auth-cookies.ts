import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../config/config.js';

/**
 * Cookies that carry the tokens of a browser (AUTH_COOKIES), where no script can read them.
 *
 * `__Host-`: no other host of the same site can plant one, and none is sent to another host. It demands `Path=/`, so the
 * refresh cookie, which is sent nowhere but to the routes of its token, has only `__Secure-`.
 */
export const ACCESS_COOKIE = '__Host-access';
export const REFRESH_COOKIE = '__Secure-refresh';

/** A request with this header, set to `on`, wants cookies instead of tokens. No form of another site can send it. */
const ASKING_HEADER = 'x-auth-cookies';

declare module 'fastify' {
  interface FastifyRequest {
    /** A token of this request was read from a cookie. */
    usedAuthCookie?: boolean;
  }
}

type WithHeaders = Pick<FastifyRequest, 'headers'>;

export function asksForCookies({ headers }: WithHeaders): boolean {
  return headers[ASKING_HEADER] === 'on';
}

/** Cookies count only where no Authorization header is: a client that sends one has chosen. */
export function sendsAuthCookie({ headers }: WithHeaders): boolean {
  if (headers.authorization !== undefined) return false;
  return [ACCESS_COOKIE, REFRESH_COOKIE].some((name) => valuesOf(headers.cookie, name).length > 0);
}

/** The one cookie of that name, unless an Authorization header stands before it. */
export function readAuthCookie(request: FastifyRequest, name: string): string | null {
  if (request.headers.authorization !== undefined) return null;
  const values = valuesOf(request.headers.cookie, name);
  // Two: another host of the same site planted one, and nobody can tell which.
  if (values.length !== 1) return null;
  request.usedAuthCookie = true;
  return values[0] ?? null;
}

/** Takes the tokens out of an answer and sends them as cookies. */
export function tokensToCookies<T extends AnsweredTokens>(
  reply: FastifyReply,
  answer: T,
  config: Config,
): CookieAnswer<T> {
  const { accessToken, refreshToken, ...rest } = answer;
  setCookie(reply, `${ACCESS_COOKIE}=${accessToken}; ${ACCESS_SCOPE}`, answer.expiresIn);
  if (refreshToken !== undefined && answer.refreshExpiresIn !== undefined) {
    setCookie(reply, `${REFRESH_COOKIE}=${refreshToken}; ${refreshScope(config)}`, answer.refreshExpiresIn);
  }
  return { ...rest, tokenType: 'Cookie' };
}

export function clearAuthCookies(reply: FastifyReply, config: Config): void {
  setCookie(reply, `${ACCESS_COOKIE}=; ${ACCESS_SCOPE}`, 0);
  setCookie(reply, `${REFRESH_COOKIE}=; ${refreshScope(config)}`, 0);
}

export interface AnsweredTokens {
  accessToken: string;
  expiresIn: number;
  refreshToken?: string;
  refreshExpiresIn?: number;
}

export type CookieAnswer<T extends AnsweredTokens> = Omit<T, 'accessToken' | 'refreshToken'> & { tokenType: 'Cookie' };

/** Lax, so that a link from elsewhere opens a page behind the gateway; what changes something is checked besides. */
const ACCESS_SCOPE = 'Path=/; SameSite=Lax';

/** Its routes as a browser sees them: PUBLIC_URL may have a path, which a gateway takes off. */
function refreshScope({ server }: Config): string {
  return `Path=${server.basePath}/api/v1/auth/token; SameSite=Strict`;
}

function setCookie(reply: FastifyReply, cookie: string, maxAge: number): void {
  void reply.header('set-cookie', `${cookie}; Max-Age=${maxAge}; Secure; HttpOnly`);
}

function valuesOf(header: string | undefined, name: string): string[] {
  const pairs = (header ?? '').split(';').map((pair) => pair.trim());
  return pairs.filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1));
}

import { verify } from '@node-rs/argon2';
import { NodeCryptoPlugin } from '@otplib/plugin-crypto-node';
import { Agent, request } from 'node:http';
import { generateSync } from 'otplib';
import type { Keys } from '../../src/crypto/keys.js';
import { formatRefreshToken } from '../../src/tokens/refresh-token.js';
import { PASSWORD, type SeededUser } from './seed.js';

const crypto = new NodeCryptoPlugin();
const agent = new Agent({ keepAlive: true });

export interface Tokens {
  accessToken: string;
  refreshToken: string;
}

/** What is asked of the service, one request after the other, and how long each took in milliseconds. */
export class Operations {
  /** Of the administrator; see {@link signInAdmin}. */
  private adminToken = '';

  constructor(
    private readonly url: string,
    private readonly keys: Keys,
    private readonly passwordHash: string,
    /** Where the deep page begins: a registration in the middle of all. */
    private readonly middle: readonly [micros: string, id: string],
  ) {}

  /** What a sign-in with a second factor, a refresh and two looks at the profile cost one user. */
  async person(user: SeededUser): Promise<Record<string, number>> {
    const password = await this.password(user);
    const hash = await timed(() => verify(this.passwordHash, PASSWORD));
    const code = await this.post<Tokens>('/auth/token/second-factor', {
      codeToken: password.answer.codeToken,
      code: totp(user),
    });
    const refreshToken = formatRefreshToken(this.keys.for('refresh-token'), user.refreshSalt, user.sessionId, 0);
    const refresh = await this.post<Tokens>('/auth/token/refresh', { refreshToken });
    const token = refresh.answer.accessToken;
    const me = await this.get('/users/me', token);
    const meAgain = await this.get('/users/me', token);
    return {
      'password, without its hash': password.milliseconds - hash.milliseconds,
      'code of an app': code.milliseconds,
      refresh: refresh.milliseconds,
      'GET /users/me': me.milliseconds,
      'GET /users/me, session known': meAgain.milliseconds,
    };
  }

  /** What administrators read. */
  async administration(user: SeededUser): Promise<Record<string, number>> {
    const cursor = Buffer.from(JSON.stringify(['-createdAt', ...this.middle])).toString('base64url');
    const list = (path: string) => this.get(path, this.adminToken).then(({ milliseconds }) => milliseconds);
    return {
      'users, first page': await list('/admin/users'),
      'users, a page in the middle': await list(`/admin/users?cursor=${cursor}`),
      'users by address, first page': await list('/admin/users?sort=email'),
      'users of a role': await list('/admin/users?role=support'),
      'users without a second factor': await list('/admin/users?twoFactor=missing'),
      'search, many hits': await list('/admin/users?q=ada'),
      'search, one hit': await list(`/admin/users?q=${encodeURIComponent(user.email)}`),
      'search, no hit': await list('/admin/users?q=nobody-has-this'),
      'one user': await list(`/admin/users/${user.id}`),
      'events, newest': await list('/admin/audit-events'),
      'events of a rare kind': await list('/admin/audit-events?type=user.deactivated'),
      'events of one user': await list(`/admin/audit-events?userId=${user.id}`),
    };
  }

  async preview(): Promise<Record<string, number>> {
    const body = { level: 'global', required: true, methods: ['totp'] };
    const { milliseconds } = await this.post('/admin/two-factor/policy/preview', body, this.adminToken);
    return { 'preview of a rule for all': milliseconds };
  }

  async signInAdmin(admin: SeededUser): Promise<void> {
    const { answer } = await this.password(admin);
    const signedIn = await this.post<Tokens>('/auth/token/second-factor', {
      codeToken: answer.codeToken,
      code: totp(admin),
    });
    this.adminToken = signedIn.answer.accessToken;
  }

  private password({ email }: SeededUser) {
    return this.post<{ codeToken: string }>('/auth/token', { identifier: email, password: PASSWORD });
  }

  private post<Answer>(path: string, body: unknown, token?: string) {
    return timed(() => send<Answer>('POST', `${this.url}/api/v1${path}`, token, JSON.stringify(body)));
  }

  private get(path: string, token: string) {
    return timed(() => send<unknown>('GET', `${this.url}/api/v1${path}`, token, undefined));
  }
}

export function totp({ secret }: SeededUser): string {
  return generateSync({ secret, crypto });
}

async function timed<T>(operation: () => Promise<T>): Promise<{ answer: T; milliseconds: number }> {
  const began = performance.now();
  const answer = await operation();
  return { answer, milliseconds: performance.now() - began };
}

/** `node:http` and not `fetch`, which takes longer than a refresh. */
export function send<Answer>(method: string, url: string, token?: string, body?: string): Promise<Answer> {
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
  };
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        if (response.statusCode === 200) return resolve((text === '' ? null : JSON.parse(text)) as Answer);
        reject(new Error(`${method} ${url} answered ${response.statusCode}: ${text.slice(0, 300)}`));
      });
    });
    sent.on('error', reject).end(body);
  });
}

import type { TestApp } from './app.js';
import type { Answer } from './http.js';
import { PASSWORD, type Asked, type Person } from './people.js';

export interface SetCookie {
  name: string;
  value: string;
  attributes: string[];
  /** The line as it was sent. */
  text: string;
}

export function cookiesOf({ headers }: Pick<Answer, 'headers'>): SetCookie[] {
  const lines = [headers['set-cookie'] ?? []].flat() as string[];
  return lines.map((text) => {
    const [pair = '', ...attributes] = text.split('; ');
    const [name = '', value = ''] = pair.split(/=(.*)/s);
    return { name, value, attributes, text };
  });
}

/** What a browser does with cookies: keeps them by name, sends each to its path only, forgets what is cleared. */
export class Browser {
  private readonly cookies = new Map<string, SetCookie>();

  constructor(
    private readonly app: TestApp,
    private readonly site: Record<string, string> = { 'sec-fetch-site': 'same-origin' },
  ) {}

  async send<Body = Record<string, unknown>>(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<Body>> {
    const cookie = this.header(`/api/v1${path}`);
    const answer = await this.app.http.send<Body>(method, path, body, {
      headers: { ...this.site, ...(cookie === '' ? {} : { cookie }), ...headers },
    });
    this.keep(answer);
    return answer;
  }

  /** Password and e-mailed code, asking for cookies. */
  async signIn(person: Person): Promise<Answer> {
    const ask = { 'x-auth-cookies': 'on' };
    const first = await this.send<Asked>('POST', '/auth/token', { identifier: person.email, password: PASSWORD }, ask);
    const code = await this.app.mailbox.code(person.email);
    return this.send('POST', '/auth/token/second-factor', { codeToken: first.body.codeToken, code }, ask);
  }

  keep(answer: Answer<unknown>): void {
    for (const cookie of cookiesOf(answer)) {
      if (cookie.attributes.includes('Max-Age=0')) this.cookies.delete(cookie.name);
      else this.cookies.set(cookie.name, cookie);
    }
  }

  /** The Cookie header of a request for that path. */
  header(path: string): string {
    const sent = [...this.cookies.values()].filter(({ attributes }) => {
      const own = attributes.find((attribute) => attribute.startsWith('Path='))?.slice('Path='.length) ?? '';
      return own === '/' || path === own || path.startsWith(`${own}/`);
    });
    return sent.map(({ name, value }) => `${name}=${value}`).join('; ');
  }

  get names(): string[] {
    return [...this.cookies.keys()].toSorted();
  }

  value(name: string): string {
    return this.cookies.get(name)?.value ?? '';
  }
}

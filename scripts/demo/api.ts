import { setTimeout as sleep } from 'node:timers/promises';
import type { Narrator } from './narrator.js';

export interface Expected {
  status: number;
  /** The problem code of a refusal. */
  code?: string;
  /** One sentence: what happened, and why. */
  because: string;
  /** The bearer token to send. */
  token?: string;
}

interface Mail {
  id: string;
  to: string;
  subject: string;
}

const PATIENCE_MS = 8_000;
const LOOK_EVERY_MS = 100;

/** A client of the API that shows each request and its answer, and says whether it is the expected one. */
export class Api {
  /** Seconds that the last answer asks to wait. */
  retryAfter = 0;
  private readonly read = new Set<string>();

  constructor(
    readonly url: string,
    private readonly narrator: Narrator,
  ) {}

  get<Body>(path: string, expected: Expected): Promise<Body> {
    return this.send<Body>('GET', path, undefined, expected);
  }

  post<Body>(path: string, body: object, expected: Expected): Promise<Body> {
    return this.send<Body>('POST', path, body, expected);
  }

  /** The code of the next mail to an address. Nothing leaves the machine: it waits at /dev/outbox. */
  async mailedCode(address: string): Promise<string> {
    const until = Date.now() + PATIENCE_MS;
    while (Date.now() < until) {
      const response = await fetch(`${this.url}/dev/outbox.json`);
      const { items } = (await response.json()) as { items: Mail[] };
      const mail = items.find(({ id, to, subject }) => to === address && /^\w+: /.test(subject) && !this.read.has(id));
      if (mail) {
        this.read.add(mail.id);
        this.narrator.mail(mail.to, mail.subject);
        return mail.subject.split(':')[0] ?? '';
      }
      await sleep(LOOK_EVERY_MS);
    }
    throw new Error(`No mail with a code for ${address} has arrived at ${this.url}/dev/outbox`);
  }

  private async send<Body>(method: string, path: string, body: object | undefined, expected: Expected): Promise<Body> {
    const at = path.startsWith('/.well-known') ? path : `/api/v1${path}`;
    this.narrator.request(method, at, body, expected.token);
    const response = await fetch(this.url + at, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(expected.token === undefined ? {} : { authorization: `Bearer ${expected.token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer: unknown = text === '' ? undefined : JSON.parse(text);
    this.retryAfter = Number(response.headers.get('retry-after') ?? 0);
    this.narrator.answer(response.status, withoutProse(answer));
    const code = codeOf(answer);
    const asExpected = response.status === expected.status && (expected.code === undefined || code === expected.code);
    const got = `expected ${[expected.status, expected.code].join(' ').trim()}, got ${[response.status, code].join(' ').trim()}`;
    this.narrator.expect(asExpected, expected.because, `${method} ${at}: ${got}`);
    return answer as Body;
  }
}

function codeOf(answer: unknown): string | undefined {
  return typeof answer === 'object' && answer !== null && 'code' in answer ? String(answer.code) : undefined;
}

/** A problem's members that a program would read; its prose would only crowd the screen. */
function withoutProse(answer: unknown): unknown {
  if (codeOf(answer) === undefined) return answer;
  const { title, code, retryAfter } = answer as Record<string, unknown>;
  return { code, title, ...(retryAfter === undefined ? {} : { retryAfter }) };
}

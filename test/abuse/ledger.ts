import { createHash } from 'node:crypto';

export interface Entry {
  method: string;
  /** With its query, as it was sent. */
  url: string;
  status: number;
  headers: Record<string, string | string[] | number | undefined>;
  text: string;
}

/** Fields of requests and answers whose values must be nowhere else. */
const SECRET_FIELDS = new Set([
  'password',
  'currentPassword',
  'newPassword',
  'code',
  'codes',
  'token',
  'codeToken',
  'enrollmentToken',
  'accessToken',
  'refreshToken',
  'trustedBrowserToken',
  'secret',
  'otpauthUrl',
]);
/** Less could be met by chance, such as six digits in a time. */
const LEAST_LENGTH = 8;

/** What went over the wire: every answer, and every secret in it. */
export class Ledger {
  readonly entries: Entry[] = [];
  private readonly secrets = new Map<string, string>();

  answered(entry: Entry): void {
    this.entries.push(entry);
    if (entry.status < 400) this.keepSecretsOf(entry.text, `${entry.method} ${entry.url.split('?')[0]}`);
  }

  sent(url: string, body: string | undefined): void {
    this.keepSecretsOf(body ?? '', `the request to ${url}`);
  }

  keep(name: string, secret: string): void {
    // An id that is tried as a token is none.
    if (secret.length < LEAST_LENGTH || /^[0-9a-f-]{36}$/.test(secret)) return;
    this.secrets.set(secret, name);
    // Without a key, a hash of something short is as good as the thing itself.
    this.secrets.set(createHash('sha256').update(secret).digest('hex'), `SHA-256 of ${name}`);
    this.secrets.set(Buffer.from(secret).toString('base64url'), `${name} in base64url`);
  }

  /** The names of the secrets that stand in a text. */
  leaksIn(text: string): string[] {
    return [...this.secrets].filter(([secret]) => text.includes(secret)).map(([, name]) => name);
  }

  get numberOfSecrets(): number {
    return this.secrets.size;
  }

  private keepSecretsOf(text: string, where: string): void {
    if (!/^[[{]/.test(text)) return;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return; // such as broken on purpose
    }
    this.keepEach(value, where, false);
  }

  private keepEach(value: unknown, where: string, secret: boolean): void {
    if (typeof value === 'string' && secret) this.keep(where, value);
    if (typeof value !== 'object' || value === null) return;
    for (const [name, inner] of Object.entries(value)) {
      this.keepEach(inner, `${name} of ${where}`, SECRET_FIELDS.has(name) || (Array.isArray(value) && secret));
    }
  }
}

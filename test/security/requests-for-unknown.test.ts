import { AsyncLocalStorage } from 'node:async_hooks';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import type { Answer } from '../support/http.js';
import { MailServer } from '../support/mail-server.js';
import { register } from '../support/people.js';

const followed = new AsyncLocalStorage<string[]>();

/** What a stranger may ask to be sent to somebody. */
const ROUTES = ['/auth/otp', '/auth/magic-link', '/auth/password-reset'] as const;

/** Whom he may name; the function makes somebody and gives his address. */
const PEOPLE: Record<string, (app: TestApp) => Promise<string>> = {
  nobody: () => Promise.resolve(`nobody-${crypto.randomUUID()}@example.com`),
  'somebody whose address is proved': async (app) => {
    const { id, email } = await register(app);
    await app.sql('UPDATE users SET email_verified_at = now() WHERE id = $1', [id]);
    return email;
  },
  'somebody whose address was never proved': async (app) => (await register(app)).email,
  'somebody without a password': async (app) => (await register(app, { password: undefined })).email,
  'somebody inactive': async (app) => {
    const { id, email } = await register(app);
    await app.sql('UPDATE users SET active = false WHERE id = $1', [id]);
    return email;
  },
  'an unknown username': () => Promise.resolve(`nobody-${crypto.randomUUID()}`),
  'an unknown number': () => Promise.resolve('+4915199999999'),
  nonsense: () => Promise.resolve(`no identifier @ all ${crypto.randomUUID()}`),
};

/** Everything of an answer that may not tell one case from another. */
function visible({ status, headers, text, body }: Answer) {
  const { 'x-request-id': _id, date: _date, 'content-length': _length, ...comparable } = headers;
  return { status, headers: comparable, text: text.replace(String(body['requestId']), '') };
}

async function jobsDone(app: TestApp): Promise<void> {
  await expect.poll(() => app.sql('SELECT 1 FROM graphile_worker.jobs'), { timeout: 8_000 }).toEqual([]);
}

describe.each(ROUTES)('E03, E04: POST %s', (route) => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  const ask = (identifier: string) => app.http.post(route, { identifier });

  /** The statements of one request, apart from those of the job that looks somebody up. */
  async function costOf(identifier: string): Promise<string[]> {
    const statements: string[] = [];
    const log = vi.spyOn(app.app.get(DataSource).logger, 'logQuery');
    log.mockImplementation((statement) => void followed.getStore()?.push(statement));
    try {
      await followed.run(statements, () => ask(identifier));
      return statements;
    } finally {
      await jobsDone(app);
      log.mockRestore();
    }
  }

  it.each(Object.keys(PEOPLE))(
    'answers the same for %s, creates nobody, and again when asked too soon',
    async (who) => {
      const unknown = `nobody-${crypto.randomUUID()}@example.com`;
      const identifier = (await PEOPLE[who]?.(app)) ?? '';
      const [before] = await app.sql('SELECT count(*)::int AS users FROM users');

      const expected = visible(await ask(unknown));
      expect([expected.status, expected.text]).toEqual([202, '{"resendIn":60}']);
      expect(visible(await ask(identifier))).toEqual(expected);

      const tooSoon = visible(await ask(unknown));
      const alsoTooSoon = visible(await ask(identifier));
      expect([tooSoon.status, JSON.parse(tooSoon.text)]).toEqual([
        429,
        expect.objectContaining({ code: 'code_recently_sent' }),
      ]);
      expect(withoutWait(alsoTooSoon)).toEqual(withoutWait(tooSoon));

      await jobsDone(app);
      const [after] = await app.sql('SELECT count(*)::int AS users FROM users');
      expect(after).toEqual(before);
      expect(app.mailbox.all(unknown)).toEqual([]);
      const reads = who.startsWith('somebody') && who !== 'somebody inactive';
      expect(app.mailbox.all(identifier)).toHaveLength(reads ? 1 : 0);
    },
  );

  it('costs the same statements for somebody and for nobody', async () => {
    const unknown = await costOf(`nobody-${crypto.randomUUID()}@example.com`);
    // One of them asks whether the address fell for the honeypot.
    expect(unknown).toHaveLength(5);
    for (const who of Object.keys(PEOPLE)) {
      // Another number than before: it was asked for a moment ago.
      const identifier = who === 'an unknown number' ? '+4915199999998' : ((await PEOPLE[who]?.(app)) ?? '');
      expect(await costOf(identifier), who).toEqual(unknown);
    }
  });
});

describe('E03: while the mail server is away', () => {
  let server: MailServer;
  let app: TestApp;
  beforeAll(async () => {
    server = await MailServer.create();
    app = await startApp({ SMTP_URL: `smtp://127.0.0.1:${server.port}` });
  });
  afterAll(() => app.close());

  it.each(ROUTES)('%s answers as ever, and the mail waits', async (route) => {
    const person = await register(app);
    const answers = [];
    for (const identifier of [person.email, `nobody-${crypto.randomUUID()}@example.com`]) {
      answers.push(visible(await app.http.post(route, { identifier })));
    }
    expect(answers[0]).toMatchObject({ status: 202, text: '{"resendIn":60}' });
    expect(answers[1]).toEqual(answers[0]);
    // One message, however many attempts at it there are in the queue.
    const waiting = `SELECT DISTINCT payload ->> 'messageId' FROM graphile_worker._private_jobs
                     WHERE payload -> 'about' ->> 'userId' = $1`;
    await expect.poll(() => app.sql(waiting, [person.id]).then((rows) => rows.length), { timeout: 8_000 }).toBe(1);
  });
});

function withoutWait({ status, headers, text }: ReturnType<typeof visible>) {
  const { 'retry-after': wait, ...rest } = headers;
  expect(Number(wait)).toBeGreaterThan(55);
  return { status, headers: rest, text: text.replace(/"retryAfter":\d+/, '') };
}

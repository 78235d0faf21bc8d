import { get } from 'node:http';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuditLog } from '../../src/audit/audit-log.js';
import { Audit } from '../../src/audit/audit.service.js';
import { ChainCheck, type KnownHead } from '../../src/audit/chain-check.js';
import { Sealer } from '../../src/audit/sealer.js';
import { startApp, type TestApp } from '../support/app.js';
import { administrator, firstFactor, register, signInByMail, type Person } from '../support/people.js';

const PATH = '/admin/audit-events';

interface Event {
  id: string;
  type: string;
  at: string;
  userId: string | null;
  actor: string;
  actorId: string | null;
  sessionId: string | null;
  requestId: string | null;
  ip: string | null;
  userAgent: string | null;
  details: Record<string, unknown>;
}

interface EventPage {
  items: Event[];
  nextCursor: string | null;
}

let app: TestApp;
let admin: Awaited<ReturnType<typeof administrator>>;
let person: Person;
let origin: string;

beforeAll(async () => {
  app = await startApp();
  origin = await app.listen();
  person = await register(app);
  await firstFactor(app, person.email, 'a wrong password');
  admin = await administrator(app);
}, 30_000);

afterAll(() => app.close());

describe('the list of audit events', () => {
  it('tells who did what, when and from where, the newest first', async () => {
    const { status, body } = await list(`userId=${person.id}`);
    expect(status).toBe(200);
    expect(body.items.map(({ type }) => type)).toEqual(['sign-in.failed', 'user.created']);
    expect(body.items[0]).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      type: 'sign-in.failed',
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/) as string,
      userId: person.id,
      actor: 'user',
      actorId: null,
      sessionId: null,
      requestId: expect.any(String) as string,
      ip: '127.0.0.1',
      userAgent: 'lightMyRequest',
      details: { reason: 'wrong_password' },
    });
  });

  it('can be narrowed to a type, who acted, an administrator and a time', async () => {
    const target = '019aa000-0000-7000-8000-000000000002';
    await recordAs({ kind: 'admin', userId: admin.id }, target);
    await recordAs({ kind: 'cli' }, target);
    await recordAs({ kind: 'system' }, target);

    const types = (await list('type=sign-in.failed')).body.items;
    expect(types.map(({ userId }) => userId)).toEqual([person.id]);
    const byCli = (await list(`actor=cli&userId=${target}`)).body.items;
    expect(byCli.map(({ actor }) => actor)).toEqual(['cli']);
    const byAdmin = (await list(`actorId=${admin.id}`)).body.items;
    expect(byAdmin.map(({ userId }) => userId)).toEqual([target]);

    const [newest, middle, oldest] = (await list(`userId=${target}`)).body.items;
    const between = `userId=${target}&from=${oldest?.at}&to=${newest?.at}`;
    expect((await list(between)).body.items).toEqual([middle, oldest]);
    const elsewhere = middle?.at.replace('Z', '%2B00:00');
    expect((await list(`userId=${target}&from=${elsewhere}&to=${elsewhere}`)).body.items).toEqual([]);
  });

  it('gives every event once, page by page, while new ones are being written', async () => {
    await recordMany(30);
    const before = await app.sql<{ id: string }>('SELECT id FROM audit_events ORDER BY at DESC, id DESC');
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const { body }: { body: EventPage } = await list(`limit=7${cursor === null ? '' : `&cursor=${cursor}`}`);
      seen.push(...body.items.map(({ id }) => id));
      cursor = body.nextCursor;
      await recordMany(3);
    } while (cursor !== null);
    expect(seen).toEqual(before.map(({ id }) => id));
  });

  it.each([
    'userId=1',
    'actor=somebody',
    'actorId=x',
    'type=%27',
    'from=yesterday',
    'from=0000-01-01T00:00:00Z',
    'from=2026-02-30T00:00:00Z',
    'to=2026-01-01T00:00:00%2B23:00',
    'to=2026-01-01',
    'format=csv',
    'limit=0',
    'unknown=1',
    'cursor=x',
    `cursor=${cursorOf(['x', 'y'])}`,
    `cursor=${cursorOf(['2026-02-30T00:00:00Z', '019aa000-0000-7000-8000-000000000002'])}`,
    `cursor=${cursorOf([null, null])}`,
  ])('refuses %s', async (query) => {
    const { status, body } = await app.http.get(`${PATH}?${query}`, { token: admin.token });
    expect([status, body['code']]).toEqual([400, 'validation_failed']);
  });

  it('is for administrators only, as a page and as a file', async () => {
    const { accessToken: token } = await signInByMail(app, person);
    for (const query of ['', '?format=ndjson']) {
      const { status, body } = await app.http.get(`${PATH}${query}`, { token });
      expect([status, body['code']]).toEqual([403, 'admin_required']);
      expect((await app.http.get(`${PATH}${query}`)).status).toBe(401);
    }
  });

  it('is not recorded, but a file is: who took it, and which', async () => {
    const exports = 'SELECT actor, actor_id, details FROM audit_events WHERE type = $1';
    await app.sql('SELECT 1');
    const before = await app.sql(exports, ['audit.exported']);
    await list('actor=cli');
    expect(await app.sql(exports, ['audit.exported'])).toEqual(before);
    await download('actor=cli');
    expect((await app.sql(exports, ['audit.exported'])).slice(before.length)).toEqual([
      { actor: 'admin', actor_id: admin.id, details: { filter: { actor: 'cli' } } },
    ]);
  });
});

describe('the file of audit events', () => {
  it('has every listed event, the oldest first, and the end of the chain in its last line', async () => {
    await recordMany(2_345);
    await app.app.get(Sealer).sealNow();
    const { response, events, head } = await download(`userId=${person.id}`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    expect(response.headers.get('content-disposition')).toBe('attachment; filename="audit-events.ndjson"');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('transfer-encoding')).toBe('chunked');

    const listed = [];
    let cursor: string | null = null;
    do {
      const query: string = `userId=${person.id}&limit=200${cursor === null ? '' : `&cursor=${cursor}`}`;
      const { body } = await list(query);
      listed.push(...body.items);
      cursor = body.nextCursor;
    } while (cursor !== null);
    expect(listed.length).toBeGreaterThan(2_345);
    expect(events).toEqual(listed.toReversed());

    await app.app.get(Sealer).sealNow();
    expect(await app.app.get(ChainCheck).verify(head)).toMatchObject({ intact: true });
  });

  it('ends, although events are written faster than they are read', async () => {
    let read = 0;
    for await (const event of app.app.get(AuditLog).exportEvents({})) {
      expect(event.id).toBeDefined();
      if (read++ % 500 === 0) await recordMany(600);
    }
    expect(read).toBeLessThan((await app.sql('SELECT 1 FROM audit_events')).length);
  });

  it('is read no further when the connection closes', async () => {
    // more than the buffers on the way hold
    await recordMany(30_000);
    const auditLog = app.app.get(AuditLog);
    const original = auditLog.exportEvents.bind(auditLog);
    let read = 0;
    let over = false;
    auditLog.exportEvents = async function* (filter) {
      try {
        for await (const event of original(filter)) {
          read++;
          yield event;
        }
      } finally {
        over = true;
      }
    };
    try {
      await openAndClose(`${origin}/api/v1${PATH}?format=ndjson`);
      await expect.poll(() => over, { timeout: 5_000 }).toBe(true);
      expect(read).toBeLessThan(30_000);
    } finally {
      auditLog.exportEvents = original;
    }
  });
});

function list(query: string) {
  return app.http.get<EventPage>(`${PATH}?${query}`, { token: admin.token });
}

/** Not `fetch`: after an abort it opens another connection, and the server would wait for that one. */
function openAndClose(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get(url, { headers: { authorization: `Bearer ${admin.token}` } }, (response) =>
      response.once('data', () => resolve(void response.destroy())),
    );
    request.on('error', reject);
  });
}

async function download(query: string) {
  const response = await fetch(`${origin}/api/v1${PATH}?format=ndjson&${query}`, {
    headers: { authorization: `Bearer ${admin.token}` },
  });
  const lines = (await response.text()).trimEnd().split('\n');
  const parsed = lines.map((line) => JSON.parse(line) as Event & { head: KnownHead });
  return { response, events: parsed.slice(0, -1), head: parsed.at(-1)?.head ?? null };
}

async function recordAs(actor: { kind: 'cli' | 'system' } | { kind: 'admin'; userId: string }, userId: string) {
  await app.app.get(Audit).record(app.app.get(DataSource).manager, 'browser.trusted', { userId, actor }, {});
}

async function recordMany(count: number): Promise<void> {
  const subjects = Array.from({ length: count }, () => ({ userId: person.id }));
  await app.app.get(Audit).recordEach(app.app.get(DataSource).manager, 'browser.trusted', subjects, {}, {});
}

function cursorOf(key: unknown): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

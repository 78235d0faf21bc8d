import { createHmac } from 'node:crypto';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Audit } from '../../src/audit/audit.service.js';
import { Sealer } from '../../src/audit/sealer.js';
import { startApp, type TestApp } from '../support/app.js';
import { administrator, firstFactor, personWithTotp, register, signInByTotp } from '../support/people.js';
import { isSignedWith, WebhookReceiver, type Hit } from '../support/webhook-receiver.js';

interface Created {
  id: string;
  secret: string;
}

interface Delivery {
  id: string;
  eventId: string;
  type: string;
  state: string;
  attempts: number;
  lastStatus: number | null;
  lastError: string | null;
  nextAttemptAt: string | null;
  deliveredAt: string | null;
}

const WAIT = { timeout: 10_000, interval: 20 };
const SETTINGS = { WEBHOOK_ALLOW_PRIVATE_TARGETS: 'on', WEBHOOK_TIMEOUT: '1s' };
/** Not told of the sign-ins with which these tests renew a token. */
const QUIET = { events: ['user.created'] };
const SECOND = 1;
const HOUR = 3600;

let app: TestApp;
let receiver: WebhookReceiver;
let admin: Awaited<ReturnType<typeof administrator>>;
let token: string;

beforeAll(async () => {
  receiver = await WebhookReceiver.start();
  app = await startApp(SETTINGS);
  admin = await administrator(app);
  ({ token } = admin);
  await seal();
});

afterEach(async () => {
  await app.sql('DELETE FROM webhooks');
  await app.sql('DELETE FROM graphile_worker._private_jobs');
  receiver.reset();
});

afterAll(async () => {
  await app?.close();
  await receiver?.stop();
});

describe('an event', () => {
  it('is told to a webhook, signed so that every library of Standard Webhooks knows whose it is', async () => {
    const { secret } = await create();
    const { id: userId } = await register(app);
    const hit = await told(1);
    expect(isSignedWith(secret, hit, app.clock.now())).toBe(true);
    expect(isSignedWith(`whsec_${Buffer.alloc(32).toString('base64')}`, hit, app.clock.now())).toBe(false);
    expect(isSignedWith(secret, { ...hit, body: `${hit.body} ` }, app.clock.now())).toBe(false);
    // and in the words of the specification
    const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signature } = hit.headers;
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
    expect(key.length).toBe(32);
    expect(signature).toBe(
      `v1,${createHmac('sha256', key)
        .update(`${String(id)}.${String(at)}.${hit.body}`)
        .digest('base64')}`,
    );
    const [event] = await app.sql<{ id: string; at: Date }>(
      `SELECT id, at FROM audit_events WHERE type = 'user.created' AND user_id = $1`,
      [userId],
    );
    expect(id).toBe(event?.id);
    expect(hit.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(JSON.parse(hit.body)).toEqual({
      type: 'user.created',
      timestamp: event?.at.toISOString(),
      data: { userId, sessionId: null, actor: 'user' },
    });
  });

  it('says who, what and how, and never an address, a name or a secret', async () => {
    await create();
    const person = await personWithTotp(app);
    await firstFactor(app, person.email, 'a wrong password');
    await firstFactor(app, 'nobody@example.com');
    await told(5);
    await queueIsEmpty();
    const about = { userId: person.id, sessionId: null, actor: 'user' };
    expect(receiver.told.map(({ type, data }) => [type, data])).toEqual([
      ['user.created', about],
      [
        'sign-in.succeeded',
        { ...about, sessionId: expect.any(String) as string, proved: ['password', 'email'], acr: 'aal1' },
      ],
      ['device.confirmed', { ...about, deviceId: person.deviceId, method: 'totp' }],
      ['sign-in.failed', { ...about, reason: 'wrong_password' }],
      ['sign-in.failed', { ...about, userId: null, reason: 'unknown_identifier' }],
    ]);
    expect(receiver.hits.map(({ body }) => body).join()).not.toMatch(/example\.com|127\.0\.0\.1|wrong password/);
  });

  it('is told to those who listen to it', async () => {
    const failures = await create({ events: ['sign-in.failed', 'device.removed'] });
    const everything = await create({ url: receiver.url('/all') });
    const { email } = await register(app);
    await firstFactor(app, email, 'a wrong password');
    await seal();
    await told(3);
    await queueIsEmpty();
    const typesAt = (path: string) =>
      receiver.hits
        .filter((hit) => hit.path === path)
        .map(({ body }) => (JSON.parse(body) as { type: string }).type)
        .sort();
    expect(typesAt('/hook')).toEqual(['sign-in.failed']);
    expect(typesAt('/all')).toEqual(['sign-in.failed', 'user.created']);
    expect(await deliveriesOf(failures)).toHaveLength(1);
    expect(await deliveriesOf(everything)).toHaveLength(2);
  });

  it('of a request that was rolled back is not told', async () => {
    const webhook = await create();
    const rolledBack = app.app.get(DataSource).transaction(async (tx) => {
      await app.app.get(Audit, { strict: false }).record(tx, 'user.created', { userId: admin.id }, {});
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    const { id } = await register(app);
    await told(1);
    await queueIsEmpty();
    expect(receiver.told.map(({ data }) => data['userId'])).toEqual([id]);
    expect(await deliveriesOf(webhook)).toHaveLength(1);
  });

  it('is not told to a webhook that is switched off, then or later', async () => {
    const webhook = await create();
    await change(webhook, { active: false });
    await register(app);
    await seal();
    await change(webhook, { active: true });
    const { id } = await register(app);
    await told(1);
    await queueIsEmpty();
    expect(receiver.told.map(({ data }) => data['userId'])).toEqual([id]);
  });
});

describe('a receiver that fails', () => {
  it('is asked again for three days, with the same id and body and a new signature, and then given up', async () => {
    receiver.otherwise = 500;
    const webhook = await create(QUIET);
    const { id } = await test(webhook);
    const waits = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
    for (const [index, wait] of waits.entries()) {
      const delivery = await attempted(webhook, id, index + 1);
      expect(delivery).toMatchObject({ state: 'pending', lastStatus: 500, lastError: null, deliveredAt: null });
      const left = (Date.parse(delivery.nextAttemptAt ?? '') - app.clock.now().getTime()) / 1000;
      // renewed tokens have moved the clock a little
      expect(left).toBeGreaterThan(wait - 65);
      expect(left).toBeLessThanOrEqual(wait * 1.1);
      await pass(Math.max(left, 0) + 1);
    }
    expect(await attempted(webhook, id, 10)).toMatchObject({ state: 'failed', lastStatus: 500, nextAttemptAt: null });
    expect(receiver.hits).toHaveLength(10);
    expect(new Set(receiver.hits.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(receiver.hits.map(({ body }) => body)).size).toBe(1);
    expect(new Set(receiver.hits.map(({ headers }) => headers['webhook-timestamp'])).size).toBe(10);
    expect(new Set(receiver.hits.map(({ headers }) => headers['webhook-signature'])).size).toBe(10);
    // nothing but failures for three days
    expect(await get(webhook)).toMatchObject({ active: false, disabledReason: 'failures', failures: 10 });
    expect(await disabledEvents(webhook)).toEqual([{ webhookId: webhook.id, reason: 'failures' }]);
  });

  it('is told when it works again, and its failures are forgotten', async () => {
    receiver.replies = [503];
    const webhook = await create(QUIET);
    const { id } = await test(webhook);
    await attempted(webhook, id, 1);
    expect(await get(webhook)).toMatchObject({ failures: 1, failingSince: expect.any(String) as string });
    await pass(6);
    expect(await attempted(webhook, id, 2)).toMatchObject({
      state: 'delivered',
      lastStatus: 204,
      nextAttemptAt: null,
      deliveredAt: expect.any(String) as string,
    });
    expect(await get(webhook)).toMatchObject({ active: true, failures: 0, failingSince: null });
  });

  it('by silence is left after WEBHOOK_TIMEOUT', async () => {
    receiver.otherwise = 'hang';
    const webhook = await create(QUIET);
    const begun = Date.now();
    const { id } = await test(webhook);
    expect(await attempted(webhook, id, 1)).toMatchObject({ lastStatus: null, lastError: 'No answer within 1 s' });
    expect(Date.now() - begun).toBeLessThan(8_000);
  });

  it('by being away is an error that names no more than a code', async () => {
    const gone = await WebhookReceiver.start();
    const url = gone.url();
    await gone.stop();
    const webhook = await create({ url });
    const { id } = await test(webhook);
    expect((await attempted(webhook, id, 1)).lastError).toBe('Not reached (ECONNREFUSED)');
  });

  it('by sending elsewhere is not followed', async () => {
    const inside = await WebhookReceiver.start();
    receiver.replies = [{ redirectTo: inside.url() }];
    const webhook = await create(QUIET);
    const { id } = await test(webhook);
    expect(await attempted(webhook, id, 1)).toMatchObject({
      state: 'pending',
      lastStatus: 307,
      lastError: 'Redirects are not followed',
    });
    expect([receiver.hits.length, inside.connections]).toEqual([1, 0]);
    await inside.stop();
  });

  it('by an answer without an end has taken the event, and the rest is not read', async () => {
    receiver.otherwise = 'endless';
    const webhook = await create(QUIET);
    const { id } = await test(webhook);
    expect(await attempted(webhook, id, 1)).toMatchObject({ state: 'delivered', lastStatus: 200 });
    await vi.waitFor(() => expect(receiver.openRequests).toBe(0), WAIT);
  });

  it('with 410 is never asked again', async () => {
    receiver.otherwise = 410;
    const webhook = await create(QUIET);
    const { id } = await test(webhook);
    expect(await attempted(webhook, id, 1)).toMatchObject({ state: 'failed', lastStatus: 410, nextAttemptAt: null });
    expect(await get(webhook)).toMatchObject({ active: false, disabledReason: 'gone' });
    expect(await disabledEvents(webhook)).toEqual([{ webhookId: webhook.id, reason: 'gone' }]);
    await register(app);
    await seal();
    await pass(HOUR);
    await queueIsEmpty();
    expect(receiver.hits).toHaveLength(1);
  });

  it.each([
    [49, 30 * 60, true],
    [48, 2 * HOUR, true],
    [49, 2 * HOUR, false],
    [1, 71 * HOUR, true],
    [1, 72 * HOUR, false],
  ])('after %i failures over %i s stays active: %s', async (failures, seconds, active) => {
    receiver.otherwise = 500;
    const webhook = await create(QUIET);
    await app.sql(
      'UPDATE webhooks SET failures = $2, failing_since = now() - make_interval(secs => $3) WHERE id = $1',
      [webhook.id, failures, seconds],
    );
    const { id } = await test(webhook);
    await attempted(webhook, id, 1);
    expect(await get(webhook)).toMatchObject({
      active,
      failures: failures + 1,
      disabledReason: active ? null : 'failures',
    });
    // what was planned for one that is off comes to nothing, and counts against nobody
    await pass(6);
    const later = active ? await attempted(webhook, id, 2) : await settled(webhook, id, 'failed');
    expect(later).toMatchObject(
      active ? { state: 'pending' } : { state: 'failed', attempts: 1, lastError: 'The webhook is switched off' },
    );
    expect((await change(webhook, { active: true })).body).toMatchObject({
      active: true,
      disabledReason: null,
      failures: 0,
      failingSince: null,
    });
  });

  it('does not hold up a mail for longer than one turn, however many there are of it', async () => {
    receiver.otherwise = 'hang';
    for (let count = 0; count < 6; count += 1)
      await create({ url: receiver.url(`/${count}`), events: ['user.created'] });
    for (let count = 0; count < 5; count += 1) await register(app);
    await seal();
    await vi.waitFor(() => expect(receiver.openRequests).toBe(4), WAIT);
    const person = await register(app);
    const begun = Date.now();
    await firstFactor(app, person.email);
    await app.mailbox.code(person.email);
    expect(Date.now() - begun).toBeLessThan(6_000);
  });
});

describe('an administrator', () => {
  it('sees the secret once, and the database never', async () => {
    const webhook = await create({ description: 'Ours', events: ['user.created'] });
    expect(webhook.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    await rotate(webhook);
    await test(webhook);
    await told(1);
    const answers = [
      await app.http.get('/admin/webhooks', { token }),
      await app.http.get(`/admin/webhooks/${webhook.id}`, { token }),
      await app.http.get(`/admin/webhooks/${webhook.id}/deliveries`, { token }),
      await change(webhook, { description: 'Still ours' }),
    ];
    for (const { text } of answers) expect(text).not.toMatch(/whsec_|secret"/);
    const signature = String(receiver.hits[0]?.headers['webhook-signature']);
    const key = webhook.secret.slice('whsec_'.length);
    for (const table of ['webhooks', 'webhook_deliveries', 'audit_events', 'graphile_worker._private_jobs']) {
      const rows = JSON.stringify(await app.sql(`SELECT t::text FROM ${table} t`));
      expect(rows.includes(key) || rows.includes(signature) || rows.includes('whsec_'), table).toBe(false);
    }
    const [row] = await app.sql<{ sealed: string; previous: string }>(
      'SELECT sealed_secret AS sealed, sealed_previous_secret AS previous FROM webhooks',
    );
    expect([row?.sealed, row?.previous].every((text) => /^v1\.[\w-]{1,16}\.[\w-]{40,}$/.test(text ?? ''))).toBe(true);
  });

  it('replaces the secret: for a day both sign, and then only the new one', async () => {
    const webhook = await create(QUIET);
    const { secret, previousSecretUntil } = await rotate(webhook);
    expect(secret).not.toBe(webhook.secret);
    expect(Date.parse(previousSecretUntil) - app.clock.now().getTime()).toBeGreaterThan(23.9 * HOUR * 1000);
    await test(webhook);
    const during = await told(1);
    expect(String(during.headers['webhook-signature']).split(' ')).toHaveLength(2);
    expect(isSignedWith(webhook.secret, during, app.clock.now())).toBe(true);
    expect(isSignedWith(secret, during, app.clock.now())).toBe(true);
    await pass(24 * HOUR + SECOND);
    await renewToken();
    await test(webhook);
    const after = await told(2);
    expect(isSignedWith(webhook.secret, after, app.clock.now())).toBe(false);
    expect(isSignedWith(secret, after, app.clock.now())).toBe(true);
    expect(await get(webhook)).toMatchObject({ previousSecretUntil: null });
  });

  it('sends an event again, or now instead of later, and the attempt that was planned is void', async () => {
    receiver.replies = [500, 500];
    const webhook = await create(QUIET);
    const { id, eventId } = await test(webhook);
    await attempted(webhook, id, 1);
    expect(await redeliver(webhook, id)).toMatchObject({ status: 202, body: { state: 'pending', attempts: 0 } });
    await vi.waitFor(() => expect(receiver.hits).toHaveLength(2), WAIT);
    await attempted(webhook, id, 1);
    expect((await redeliver(webhook, id)).status).toBe(202);
    await settled(webhook, id, 'delivered');
    expect((await redeliver(webhook, id)).status).toBe(202);
    await vi.waitFor(() => expect(receiver.hits).toHaveLength(4), WAIT);
    await settled(webhook, id, 'delivered');
    await pass(HOUR);
    await queueIsEmpty();
    expect(receiver.hits.map(({ headers }) => headers['webhook-id'])).toEqual(Array(4).fill(eventId));
  });

  it('begins again while an attempt is being made, and what comes of that one does not count', async () => {
    receiver.replies = ['hang'];
    const webhook = await create(QUIET);
    const { id } = await test(webhook);
    await told(1);
    expect((await redeliver(webhook, id)).status).toBe(202);
    expect(await settled(webhook, id, 'delivered')).toMatchObject({ attempts: 1, lastStatus: 204, lastError: null });
    expect(await get(webhook)).toMatchObject({ failures: 0 });
    expect(receiver.hits).toHaveLength(2);
  });

  it('sends nothing through one that is switched off, and nothing of another webhook', async () => {
    const webhook = await create(QUIET);
    const other = await create(QUIET);
    const { id } = await test(webhook);
    await told(1);
    expect(await redeliver(other, id)).toMatchObject({ status: 404 });
    await change(webhook, { active: false });
    expect(await redeliver(webhook, id)).toMatchObject({ status: 409, body: { code: 'webhook_inactive' } });
    expect(await app.http.post(`/admin/webhooks/${webhook.id}/test`, undefined, { token })).toMatchObject({
      status: 409,
      body: { code: 'webhook_inactive' },
    });
    await queueIsEmpty();
    expect(receiver.hits).toHaveLength(1);
  });

  it('removes one with everything that was still to be sent', async () => {
    receiver.replies = [500];
    const webhook = await create(QUIET);
    const { id } = await test(webhook);
    await attempted(webhook, id, 1);
    expect((await app.http.delete(`/admin/webhooks/${webhook.id}`, { token })).status).toBe(204);
    await pass(6);
    await queueIsEmpty();
    expect(receiver.hits).toHaveLength(1);
    for (const path of ['', '/deliveries'])
      expect((await app.http.get(`/admin/webhooks/${webhook.id}${path}`, { token })).status).toBe(404);
  });

  it('reads deliveries page by page, the newest first', async () => {
    const webhook = await create(QUIET);
    const sent: string[] = [];
    for (let count = 0; count < 5; count += 1) sent.push((await test(webhook)).eventId);
    const path = `/admin/webhooks/${webhook.id}/deliveries`;
    const pages: string[][] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor === '' ? '?limit=2' : `?limit=2&cursor=${cursor}`;
      const { body } = await app.http.get<{ items: Delivery[]; nextCursor: string | null }>(path + query, { token });
      pages.push(body.items.map(({ eventId }) => eventId));
      cursor = body.nextCursor;
    }
    expect(pages.map(({ length }) => length)).toEqual([2, 2, 1]);
    expect(pages.flat()).toEqual(sent.reverse());
    const strange = Buffer.from('["not a place"]').toString('base64url');
    expect((await app.http.get(`${path}?cursor=${strange}`, { token })).status).toBe(400);
  });

  it('creates twenty and no more, also at the same moment', async () => {
    const answers = await Promise.all(
      Array.from({ length: 23 }, () => app.http.post('/admin/webhooks', { url: receiver.url() }, { token })),
    );
    const codes = answers.map(({ status, body }) => (status === 201 ? 'created' : String(body['code'])));
    expect(codes.filter((code) => code === 'created')).toHaveLength(20);
    expect(codes.filter((code) => code === 'too_many_webhooks')).toHaveLength(3);
  });

  it.each([{ events: ['user.vanished'] }, { events: ['user.created', 'user.created'] }, { events: 'user.created' }])(
    'listens to known events only, once each: %j',
    async (extra) => {
      const { status } = await app.http.post('/admin/webhooks', { url: receiver.url(), ...extra }, { token });
      expect(status).toBe(400);
    },
  );

  it('leaves a trace of each change, which shows the host and no more of the address', async () => {
    const webhook = await create({ url: receiver.url('/a-path-that-is-as-good-as-a-password') });
    await change(webhook, { events: ['user.created'], active: false });
    await rotate(webhook);
    await app.http.delete(`/admin/webhooks/${webhook.id}`, { token });
    const events = await app.sql<{ type: string; actor: string; actor_id: string; details: Record<string, unknown> }>(
      `SELECT type, actor, actor_id, details FROM audit_events WHERE details->>'webhookId' = $1 ORDER BY at, id`,
      [webhook.id],
    );
    expect(events.map(({ type }) => type)).toEqual([
      'webhook.created',
      'webhook.updated',
      'webhook.secret-rotated',
      'webhook.removed',
    ]);
    for (const { actor, actor_id: by } of events) expect([actor, by]).toEqual(['admin', admin.id]);
    expect(JSON.stringify(events)).not.toContain('password');
    expect(events[1]?.details['fields']).toEqual(['events', 'active']);
  });

  it('needs a recent proof to change anything, not to look', async () => {
    const webhook = await create(QUIET);
    const { id } = await test(webhook);
    await told(1);
    await pass(270);
    const path = `/admin/webhooks/${webhook.id}`;
    const answers = [
      await app.http.post('/admin/webhooks', { url: receiver.url() }, { token }),
      await app.http.patch(path, { active: false }, { token }),
      await app.http.post(`${path}/rotate-secret`, undefined, { token }),
      await app.http.post(`${path}/test`, undefined, { token }),
      await redeliver(webhook, id),
      await app.http.delete(path, { token }),
    ];
    await renewToken();
    expect(answers.map(({ body }) => body['code'])).toEqual(Array(6).fill('insufficient_user_authentication'));
  });
});

it('deliveries are kept for thirty days', async () => {
  const webhook = await create(QUIET);
  await test(webhook);
  await told(1);
  await test(webhook);
  await told(2);
  await app.sql(`UPDATE webhook_deliveries SET created_at = created_at - interval '30 days 1 minute'
                 WHERE id = (SELECT id FROM webhook_deliveries ORDER BY event_id LIMIT 1)`);
  await app.sql(`SELECT graphile_worker.add_job('remove-old-webhook-deliveries', '{}', job_key => 'old')`);
  await queueIsEmpty();
  expect(await app.sql('SELECT id FROM webhook_deliveries')).toHaveLength(1);
});

it('an event is told once and in order, one at a time, while two replicas seal and deliver', async () => {
  const one = await startApp(SETTINGS);
  const by = await administrator(one);
  await seal(one);
  const { body } = await one.http.post<Created>(
    '/admin/webhooks',
    { url: receiver.url(), events: ['user.created'] },
    { token: by.token },
  );
  const two = await startApp(SETTINGS, { replicaOf: one });
  const ids: string[] = [];
  for (let round = 0; round < 6; round += 1) {
    const registered = await Promise.all([register(one), register(two), register(one), register(two)]);
    ids.push(...registered.map(({ id }) => id));
    await Promise.all([seal(one), seal(two)]);
  }
  await vi.waitFor(async () => {
    const rows = await one.sql<{ outcome: string }>(
      `SELECT state || ' after ' || attempts AS outcome FROM webhook_deliveries WHERE webhook_id = $1`,
      [body.id],
    );
    expect(rows.map(({ outcome }) => outcome)).toEqual(Array(24).fill('delivered after 1'));
  }, WAIT);
  expect(receiver.told.map(({ data }) => data['userId']).sort()).toEqual(ids.sort());
  const sealed = await one.sql<{ id: string }>(
    `SELECT e.id FROM audit_chain c JOIN audit_events e ON e.id = c.event_id
     WHERE e.user_id = ANY ($1) ORDER BY c.seq`,
    [ids],
  );
  expect(receiver.hits.map(({ headers }) => headers['webhook-id'])).toEqual(sealed.map(({ id }) => id));
  expect(receiver.mostAtOnce).toBe(1);
  await two.close();
  await one.close();
});

/** What was recorded is told about a second later; the tests need not wait for it. */
function seal(one = app): Promise<void> {
  return one.app.get(Sealer, { strict: false }).sealNow();
}

async function create(extra: Record<string, unknown> = {}): Promise<Created> {
  await freshToken();
  // what happened before is told to nobody
  await seal();
  const { status, body, text } = await app.http.post<{ id: string; secret: string }>(
    '/admin/webhooks',
    { url: receiver.url(), ...extra },
    { token },
  );
  if (status !== 201) throw new Error(`Creating answered ${status}: ${text}`);
  return { id: body.id, secret: body.secret };
}

/** Of the 4 minutes that a proof is recent some have passed, where a test moved the clock. */
async function freshToken(): Promise<void> {
  const { status } = await app.http.patch(
    '/admin/webhooks/00000000-0000-7000-8000-000000000000',
    { active: true },
    { token },
  );
  if (status !== 404) await renewToken();
}

async function renewToken(): Promise<void> {
  ({ accessToken: token } = await signInByTotp(app, admin));
}

async function test({ id }: Created): Promise<Delivery> {
  const { body } = await app.http.post<Delivery>(`/admin/webhooks/${id}/test`, undefined, { token });
  return body;
}

function change({ id }: Created, changes: Record<string, unknown>) {
  return freshToken().then(() => app.http.patch(`/admin/webhooks/${id}`, changes, { token }));
}

function redeliver(webhook: Created, id: string) {
  return app.http.post(`/admin/webhooks/${webhook.id}/deliveries/${id}/redeliver`, undefined, { token });
}

async function rotate({ id }: Created): Promise<{ secret: string; previousSecretUntil: string }> {
  const { body } = await app.http.post<{ secret: string; previousSecretUntil: string }>(
    `/admin/webhooks/${id}/rotate-secret`,
    undefined,
    { token },
  );
  return body;
}

async function get({ id }: Created): Promise<Record<string, unknown>> {
  await freshToken();
  return (await app.http.get(`/admin/webhooks/${id}`, { token })).body;
}

async function deliveriesOf({ id }: Created): Promise<Delivery[]> {
  const { body } = await app.http.get<{ items: Delivery[] }>(`/admin/webhooks/${id}/deliveries?limit=200`, { token });
  return body.items;
}

/** The last of so many requests, once they have come. */
async function told(count: number): Promise<Hit> {
  await seal();
  return vi.waitFor(() => {
    const hit = receiver.hits[count - 1];
    if (!hit) throw new Error(`Only ${receiver.hits.length} of ${count} requests came`);
    return hit;
  }, WAIT);
}

/** The delivery, once this attempt was stored. */
function attempted(webhook: Created, id: string, attempts: number): Promise<Delivery> {
  return stored(webhook, id, (delivery) => delivery.attempts === attempts);
}

function settled(webhook: Created, id: string, state: string): Promise<Delivery> {
  return stored(webhook, id, (delivery) => delivery.state === state);
}

function stored(webhook: Created, id: string, isIt: (delivery: Delivery) => boolean): Promise<Delivery> {
  return vi.waitFor(async () => {
    await freshToken();
    const delivery = (await deliveriesOf(webhook)).find((each) => each.id === id);
    if (!delivery || !isIt(delivery)) throw new Error(`It is not so yet: ${JSON.stringify(delivery)}`);
    return delivery;
  }, WAIT);
}

/** Time passes, and the queue need not wait until it looks the next time. */
async function pass(seconds: number): Promise<void> {
  // An attempt is stored a moment before the next one is queued, and that must be queued by the time of before.
  const underWay = 'SELECT id FROM graphile_worker.jobs WHERE locked_at IS NOT NULL';
  await vi.waitFor(async () => expect(await app.sql(underWay)).toEqual([]), WAIT);
  await app.clock.advance(seconds);
  await app.sql(`SELECT pg_notify('jobs:insert', '{"r":0.5,"count":1}')`);
}

function queueIsEmpty(): Promise<void> {
  return vi.waitFor(async () => expect(await app.sql('SELECT id FROM graphile_worker.jobs')).toEqual([]), WAIT);
}

async function disabledEvents({ id }: Created): Promise<Record<string, unknown>[]> {
  const rows = await app.sql<{ details: Record<string, unknown> }>(
    `SELECT details FROM audit_events WHERE type = 'webhook.disabled' AND details->>'webhookId' = $1`,
    [id],
  );
  return rows.map(({ details }) => details);
}

import { createHmac } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { EMPTY_AUDIT_LOG } from '../support/audit-log.js';

const PATH = '/api/v1/webhooks/twilio/status';
const TOKEN = '0123456789abcdef0123456789abcdef';
const MESSAGE = '019aa000-0000-7000-8000-000000000001';
const URL_OF_IT = `https://id.example.test${PATH}?messageId=${MESSAGE}`;

const report = {
  AccountSid: `AC${'1'.repeat(32)}`,
  ApiVersion: '2010-04-01',
  From: '+15005550006',
  MessageSid: `SM${'a'.repeat(32)}`,
  MessageStatus: 'delivered',
  SmsSid: `SM${'a'.repeat(32)}`,
  SmsStatus: 'delivered',
  To: '+4915112345636',
  // Twilio adds parameters without notice
  Something: 'new & ünusual = +',
};

let app: TestApp;

beforeAll(async () => {
  app = await startApp({
    SMS_DRIVER: 'twilio-messages',
    TWILIO_ACCOUNT_SID: report.AccountSid,
    TWILIO_AUTH_TOKEN: TOKEN,
    TWILIO_FROM: report.From,
  });
}, 60_000);

afterAll(() => app?.close());

afterEach(() => app.sql(EMPTY_AUDIT_LOG));

/** As Twilio signs: the URL, then every parameter in the order of the names, keyed with the auth token. */
function signatureOf(form: Record<string, string>, url = URL_OF_IT, token = TOKEN): string {
  const parameters = Object.entries(form)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flat();
  return createHmac('sha1', token)
    .update([url, ...parameters].join(''))
    .digest('base64');
}

interface Options {
  signature?: string | null;
  query?: string;
  headers?: Record<string, string>;
  payload?: string;
}

async function tell(form: Record<string, string>, options: Options = {}) {
  const { signature = signatureOf(form), query = `?messageId=${MESSAGE}`, headers = {}, payload } = options;
  const response = await app.app.inject({
    method: 'POST',
    url: `${PATH}${query}`,
    headers: {
      'content-type': 'application/x-www-form-urlencoded; charset=UTF-8',
      ...(signature === null ? {} : { 'x-twilio-signature': signature }),
      ...headers,
    },
    payload: payload ?? new URLSearchParams(form).toString(),
  });
  return { status: response.statusCode, body: response.body };
}

function recorded() {
  return app.sql<{ actor: string; user_id: string | null; details: Record<string, unknown> }>(
    `SELECT actor, user_id, details FROM audit_events WHERE type = 'message.delivery' ORDER BY at`,
  );
}

describe('a report that Twilio signed', () => {
  it('is recorded without the number', async () => {
    expect(await tell(report)).toEqual({ status: 204, body: '' });
    expect(await recorded()).toEqual([
      {
        actor: 'system',
        user_id: null,
        details: { providerId: report.MessageSid, messageId: MESSAGE, state: 'delivered', errorCode: null },
      },
    ]);
    expect(JSON.stringify(await app.sql('SELECT * FROM audit_events'))).not.toContain(report.To.slice(1));
  });

  it('is recorded once, however often and however much at once it comes', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => tell(report)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 204));
    await tell(report);
    expect(await recorded()).toHaveLength(1);
  });

  it('is recorded for each outcome, with the reason of a failure', async () => {
    await tell({ ...report, MessageStatus: 'sent' });
    await tell({ ...report, MessageStatus: 'undelivered', ErrorCode: '30003' });
    expect((await recorded()).map(({ details }) => [details['state'], details['errorCode']])).toEqual([
      ['sent', null],
      ['undelivered', 30003],
    ]);
  });

  it.each(['queued', 'sending', 'accepted', 'something-new', '', "sent' OR 1=1"])(
    'is taken and forgotten where it is no outcome: %j',
    async (MessageStatus) => {
      expect((await tell({ ...report, MessageStatus })).status).toBe(204);
      expect(await recorded()).toEqual([]);
    },
  );

  it.each(['', 'SM1', `SM${'a'.repeat(31)}\0`, '../../etc'])(
    'is taken and forgotten with the id %j',
    async (MessageSid) => {
      expect((await tell({ ...report, MessageSid })).status).toBe(204);
      expect(await recorded()).toEqual([]);
    },
  );

  it('may come without our id', async () => {
    const signature = signatureOf(report, `https://id.example.test${PATH}`);
    expect((await tell(report, { query: '', signature })).status).toBe(204);
    expect((await recorded())[0]?.details).toMatchObject({ messageId: null });
  });
});

describe('a report that Twilio did not sign', () => {
  it.each<[string, () => Promise<{ status: number; body: string }>]>([
    ['has no signature', () => tell(report, { signature: null })],
    ['has an empty signature', () => tell(report, { signature: '' })],
    ['has another signature', () => tell(report, { signature: signatureOf(report).toLowerCase() })],
    ['is signed with another token', () => tell(report, { signature: signatureOf(report, URL_OF_IT, 'x') })],
    ['is signed for another host', () => tell(report, { signature: signatureOf(report, `https://evil.test${PATH}`) })],
    ['is signed for another path', () => tell(report, { signature: signatureOf(report, 'https://id.example.test/') })],
    ['is signed for another message', () => tell(report, { query: '?messageId=other' })],
    ['was changed', () => tell({ ...report, MessageStatus: 'failed' }, { signature: signatureOf(report) })],
    ['got a parameter', () => tell({ ...report, More: '1' }, { signature: signatureOf(report) })],
    [
      'got a second status',
      () => tell(report, { payload: `${new URLSearchParams(report).toString()}&MessageStatus=failed` }),
    ],
    [
      'names a host of its own',
      () =>
        tell(report, {
          signature: signatureOf(report, `https://evil.test${PATH}?messageId=${MESSAGE}`),
          headers: { host: 'evil.test', 'x-forwarded-host': 'evil.test' },
        }),
    ],
    ['is JSON', () => tell(report, { headers: { 'content-type': 'application/json' }, payload: '{"a":{"b":1}}' })],
    ['is empty', () => tell({}, { payload: '', signature: 'x' })],
    ['names a prototype', () => tell(report, { payload: '__proto__=1&constructor=2&toString=3' })],
  ])('%s', async (_what, ask) => {
    const { status, body } = await ask();
    expect(status).toBe(403);
    expect(JSON.parse(body)).toMatchObject({ code: 'invalid_signature' });
    expect(await recorded()).toEqual([]);
  });
});

it('reads forms nowhere else', async () => {
  const response = await app.app.inject({
    method: 'POST',
    url: '/api/v1/auth/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: 'identifier=a%40example.com&password=three+uncommon+words',
  });
  expect(response.statusCode).toBe(415);
  expect(response.json()).toMatchObject({ code: 'unsupported_media_type' });
});

it('refuses a body that is no text, and one that is compressed', async () => {
  expect((await tell(report, { headers: { 'content-encoding': 'gzip' } })).status).toBe(415);
  const response = await app.app.inject({
    method: 'POST',
    url: PATH,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: Buffer.from([0x61, 0x3d, 0xff]),
  });
  expect(response.statusCode).toBe(400);
});

it('takes no report where no provider is configured', async () => {
  const other = await startApp();
  try {
    const response = await other.app.inject({
      method: 'POST',
      url: `${PATH}?messageId=${MESSAGE}`,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-twilio-signature': signatureOf(report, URL_OF_IT, ''),
      },
      payload: new URLSearchParams(report).toString(),
    });
    expect(response.statusCode).toBe(403);
  } finally {
    await other.close();
  }
});

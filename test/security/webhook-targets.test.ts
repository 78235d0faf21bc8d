import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { isPublicAddress, publicLookup, targetFault } from '../../src/webhooks/target.js';
import { startApp, type TestApp } from '../support/app.js';
import { administrator } from '../support/people.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

/** What a URL may say instead of a host of the public internet, in every way that a parser understands. */
const PRIVATE_HOSTS = [
  '127.0.0.1',
  '127.1',
  '127.0.0.1.',
  '2130706433',
  '0x7f000001',
  '0x7f.1',
  '0177.0.0.1',
  '017700000001',
  '１２７.0.0.1',
  '0.0.0.0',
  '0',
  '10.0.0.7',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '169.254.169.254',
  '0xa9fea9fe',
  '2852039166',
  '100.64.0.1',
  '192.0.0.8',
  '192.0.2.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '[::]',
  '[::1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::ffff:169.254.169.254]',
  '[::127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b:1::10.0.0.1]',
  '[2002:7f00:1::]',
  '[2001::1]',
  '[2001:db8::1]',
  '[3fff::1]',
  '[fe80::1]',
  '[fec0::1]',
  '[fc00::1]',
  '[fd00:ec2::254]',
  '[ff02::1]',
  '[100::1]',
  '[5f00::1]',
  '[4000::1]',
];

const PUBLIC_ADDRESSES = ['1.1.1.1', '8.8.8.8', '100.63.255.255', '100.128.0.0', '172.32.0.1', '2606:4700::1111'];

const WAIT = { timeout: 10_000, interval: 20 };

describe('a webhook cannot be created', () => {
  let app: TestApp;
  let token: string;
  beforeAll(async () => {
    app = await startApp();
    ({ token } = await administrator(app));
  });
  afterAll(() => app.close());

  it.each(PRIVATE_HOSTS)('for https://%s', async (host) => {
    const { status, body } = await create(`https://${host}:8443/hook`);
    expect([status, body['code']]).toEqual([400, 'webhook_target_not_allowed']);
    expect(body['detail']).toBe('The URL must not be a private address.');
  });

  it.each([
    ['plain http', 'http://example.com/'],
    ['another protocol', 'ftp://example.com/'],
    ['a file', 'file:///etc/passwd'],
    ['code', 'javascript:alert(1)'],
    ['a user name', 'https://user@example.com/'],
    ['a password', 'https://:password@example.com/'],
    ['both, before a private host', 'https://example.com:443@127.0.0.1/'],
    ['a fragment', 'https://example.com/#inside'],
    ['no URL', 'example.com'],
    ['nothing', ''],
    ['no host', 'https://'],
    ['more than 2000 characters once they are encoded', `https://example.com/${'ä'.repeat(1000)}`],
  ])('with %s', async (_what, url) => {
    const { status, body } = await create(url);
    expect([status, body['code']]).toEqual([400, 'webhook_target_not_allowed']);
  });

  it('with more than 2000 characters', async () => {
    const { status, body } = await create(`https://example.com/${'a'.repeat(2000)}`);
    expect([status, body['code']]).toEqual([400, 'validation_failed']);
  });

  it('and none can be led there later', async () => {
    const created = await create('https://example.com/hook');
    expect(created.status).toBe(201);
    const path = `/admin/webhooks/${String(created.body['id'])}`;
    const { status, body } = await app.http.patch(path, { url: 'https://10.0.0.7/' }, { token });
    expect([status, body['code']]).toEqual([400, 'webhook_target_not_allowed']);
    expect((await app.http.get(path, { token })).body['url']).toBe('https://example.com/hook');
  });

  function create(url: string) {
    return app.http.post('/admin/webhooks', { url }, { token });
  }
});

describe('public addresses', () => {
  it.each(PUBLIC_ADDRESSES)('such as %s are allowed', (address) => {
    const host = address.includes(':') ? `[${address}]` : address;
    expect(isPublicAddress(address)).toBe(true);
    expect(targetFault(new URL(`https://${host}/`), false)).toBeNull();
  });

  it.each(['', 'example.com', '1.1.1.1 ', 'fe80::1%eth0', '::ffff:10.0.0.1'])('"%s" is none', (text) => {
    expect(isPublicAddress(text)).toBe(false);
  });
});

describe('a connection', () => {
  let app: TestApp;
  let token: string;
  let receiver: WebhookReceiver;
  beforeAll(async () => {
    receiver = await WebhookReceiver.start();
    app = await startApp();
    ({ token } = await administrator(app));
  });
  afterEach(() => receiver.reset());
  afterAll(async () => {
    await app?.close();
    await receiver?.stop();
  });

  it('is not made to a name that leads to this machine', async () => {
    const { webhookId, error } = await tested(`https://localhost:${receiver.port}/`);
    expect(error).toBe('The name of the host leads to a private address');
    expect(receiver.connections).toBe(0);
    await app.http.delete(`/admin/webhooks/${webhookId}`, { token });
  });

  it('is not made to an address that was allowed when the webhook was made', async () => {
    const { webhookId } = await tested('https://localhost:1/');
    await app.sql('UPDATE webhooks SET url = $2 WHERE id = $1', [webhookId, `https://127.0.0.1:${receiver.port}/`]);
    const { error } = await testOf(webhookId);
    expect(error).toBe('The URL must not be a private address');
    await app.sql('UPDATE webhooks SET url = $2 WHERE id = $1', [webhookId, receiver.url()]);
    expect((await testOf(webhookId)).error).toBe('The URL must be an https URL');
    expect(receiver.connections).toBe(0);
  });

  it('looks a name up once, and refuses all of its addresses for a private one', async () => {
    const answers = (all: boolean) =>
      new Promise((resolve) => publicLookup('localhost', { all }, (error, address) => resolve([error?.name, address])));
    expect(await answers(true)).toEqual(['PrivateTargetError', []]);
    expect(await answers(false)).toEqual(['PrivateTargetError', []]);
  });

  async function tested(url: string) {
    const { body } = await app.http.post<{ id: string }>('/admin/webhooks', { url }, { token });
    return testOf(body.id);
  }

  /** The error of the first attempt of a test. */
  async function testOf(webhookId: string) {
    const { body } = await app.http.post<{ id: string }>(`/admin/webhooks/${webhookId}/test`, undefined, { token });
    const error = await vi.waitFor(async () => {
      const [row] = await app.sql<{ last_error: string | null }>(
        'SELECT last_error FROM webhook_deliveries WHERE id = $1 AND attempts = 1',
        [body.id],
      );
      if (!row) throw new Error('No attempt was made');
      return row.last_error;
    }, WAIT);
    return { webhookId, error };
  }
});

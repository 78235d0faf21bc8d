import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { administer } from '../support/global-setup.js';
import { PASSWORD, type Asked, type SignedIn } from '../support/people.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { endProcesses, newFolder, refusedStart, startProcess, type ServerProcess } from '../support/server-process.js';
import { attribute, TraceCollector, type SentSpan } from '../support/trace-collector.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const SECRET_KEY = 'w4Zt8Lq1Xn6Rv3Jd9Hb2Gc7Mf5PyAeKs0';
const EMAIL = 'traced.somebody@example.com';
const SERVER = 2;
const CLIENT = 3;

/** Processes that load the whole application. */
vi.setConfig({ testTimeout: 60_000 });

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterEach(() => endProcesses());
afterAll(() => database.drop());

function start(extra: Record<string, string> = {}): Promise<ServerProcess> {
  return startProcess({ DATA_DIR: newFolder(), DATABASE_URL: database.url, SECRET_KEY, ...extra });
}

async function post<Body>({ url }: ServerProcess, path: string, body: unknown, token = ''): Promise<Body> {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  expect(answer.status, path).toBeLessThan(300);
  return (await answer.json()) as Body;
}

async function mailedCode({ url }: ServerProcess): Promise<string> {
  return vi.waitFor(async () => {
    const { items } = (await (await fetch(`${url}/dev/outbox.json`)).json()) as { items: { subject: string }[] };
    const code = items.map(({ subject }) => /^(\d+): /.exec(subject)?.[1]).find((each) => each !== undefined);
    if (code === undefined) throw new Error('No code was mailed yet');
    return code;
  }, 10_000);
}

/** Every file of JavaScript that a process reads, required or imported, as V8 itself tells. */
async function filesReadBy(extra: Record<string, string>): Promise<string[]> {
  const folder = mkdtempSync(join(newFolder(), 'coverage-'));
  const server = await start({ ...extra, NODE_V8_COVERAGE: folder });
  expect((await fetch(`${server.url}/health/ready`)).status).toBe(200);
  expect(await server.end('SIGTERM')).toBe(0);
  return readdirSync(folder).flatMap((name) => {
    const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { result: { url: string }[] };
    return result.map(({ url }) => url);
  });
}

describe('without OTEL_*', () => {
  it('nothing of OpenTelemetry is loaded, nor of Prometheus', async () => {
    const files = await filesReadBy({});
    expect(files.filter((url) => url.includes('/node_modules/typeorm/'))).not.toEqual([]);
    expect(files.filter((url) => /@opentelemetry|prom-client|\/(tracing|metrics)\.module\.js/.test(url))).toEqual([]);
  });
});

describe('a sign-in that is traced', () => {
  let collector: TraceCollector;
  let receiver: WebhookReceiver;
  let secrets: string[];
  let requests: SentSpan[];

  beforeAll(async () => {
    collector = new TraceCollector();
    receiver = await WebhookReceiver.start();
    const server = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: await collector.listen(),
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      // Nothing is sent before the end: what arrives was sent by the end.
      OTEL_BSP_SCHEDULE_DELAY: '600000',
      WEBHOOK_ALLOW_PRIVATE_TARGETS: 'on',
    });
    await post(server, '/api/v1/users', { email: EMAIL, password: PASSWORD });
    await administer(database.url, `UPDATE users SET roles = '{admin}'`);
    const { codeToken } = await post<Asked>(server, '/api/v1/auth/token', { identifier: EMAIL, password: PASSWORD });
    const code = await mailedCode(server);
    const signedIn = await post<SignedIn>(server, '/api/v1/auth/token/second-factor', { codeToken, code });
    const { accessToken, refreshToken } = signedIn;
    const { secret } = await post<{ secret: string }>(
      server,
      '/api/v1/admin/webhooks',
      { url: receiver.url('/hook?key=of-the-webhook'), events: ['user.created'] },
      accessToken,
    );
    await post(server, '/api/v1/users', { email: `another.${EMAIL}`, password: PASSWORD });
    await vi.waitFor(() => expect(receiver.hits).not.toEqual([]), 10_000);
    await fetch(`${server.url}/nowhere/${accessToken}?token=${refreshToken}`, {
      headers: { cookie: 'a=cookie-of-mine' },
    });
    await fetch(`${server.url}/health/ready`);
    await fetch(`${server.url}/api/v1/users/me?token=${refreshToken}`);
    expect(await server.end('SIGTERM')).toBe(0);
    requests = collector.spans.filter(({ kind }) => kind === SERVER);
    secrets = [
      PASSWORD,
      code,
      codeToken,
      accessToken,
      refreshToken,
      secret,
      SECRET_KEY,
      'of-the-webhook',
      'cookie-of-mine',
    ];
  });
  afterAll(async () => {
    collector.close();
    await receiver.stop();
  });

  const named = (name: string) => requests.find((span) => span.name === name);

  it('is named by its route, with its status', () => {
    const span = named('POST /api/v1/auth/token');
    expect(attribute(span, 'http.route')).toBe('/api/v1/auth/token');
    expect(attribute(span, 'http.response.status_code')).toBe('200');
  });

  it('has the statements of its own as children, with places instead of values', () => {
    const { traceId, spanId } = named('POST /api/v1/auth/token') as SentSpan;
    const statements = collector.spans
      .filter((span) => span.traceId === traceId && span.parentSpanId === spanId)
      .map((span) => attribute(span, 'db.query.text') ?? '');
    expect(statements.some((text) => /FROM "?users"?.*\$1/s.test(text))).toBe(true);
  });

  it('shows the call of a webhook, and not where to', () => {
    const call = collector.spans.find(
      (span) => span.kind === CLIENT && attribute(span, 'http.request.method') === 'POST',
    );
    expect(attribute(call, 'http.response.status_code')).toBe('204');
    expect(attribute(call, 'server.port')).toBe(String(receiver.port));
  });

  it('is not lost among what the job worker asks the database all day', () => {
    const statements = collector.spans.filter((span) => attribute(span, 'db.system.name') !== undefined);
    expect(statements.filter(({ parentSpanId }) => !parentSpanId)).toEqual([]);
  });

  it('leaves out what machines ask all day, and what a stranger wrote into a path', () => {
    expect(requests.map(({ name }) => name)).toContain('GET');
    expect(requests.filter(({ name }) => name.includes('nowhere') || name.includes('health'))).toEqual([]);
  });

  it('says nothing of a person and no secret, in no span', () => {
    // Without ids and times, in whose digits a code may stand by chance.
    const all = JSON.stringify(
      collector.spans.map(({ name, attributes, events, status }) => [name, attributes, events, status]),
    );
    expect(secrets.filter((secret) => all.includes(secret))).toEqual([]);
    expect(all).not.toContain(EMAIL);
    const keys = new Set(collector.spans.flatMap(({ attributes }) => attributes.map(({ key }) => key)));
    expect([...keys].sort()).toEqual([
      'db.namespace',
      'db.query.text',
      'db.system.name',
      'http.request.method',
      'http.response.status_code',
      'http.route',
      'server.address',
      'server.port',
    ]);
  });

  it('says whose it is: countersign, unless OTEL_SERVICE_NAME says otherwise', () => {
    const { attributes = [] } = collector.batches[0]?.resourceSpans[0]?.resource ?? {};
    expect(attributes.map(({ key, value }) => [key, value['stringValue']]).sort()).toEqual([
      ['deployment.environment.name', 'test'],
      ['service.name', 'countersign'],
    ]);
  });
});

describe('a collector', () => {
  it('that is away disturbs no request, and the log tells of it', async () => {
    const server = await start({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:1/v1/traces',
      OTEL_EXPORTER_OTLP_TIMEOUT: '300',
      OTEL_BSP_SCHEDULE_DELAY: '50',
    });
    for (let turn = 0; turn < 20; turn++) {
      expect((await fetch(`${server.url}/.well-known/jwks.json`)).status).toBe(200);
    }
    await vi.waitFor(() => expect(server.output()).toContain('Traces are lost'), 10_000);
    expect(await server.end('SIGTERM')).toBe(0);
  });

  it('that never answers holds up the end for seconds only', async () => {
    const silent = createServer();
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
    const server = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
      OTEL_EXPORTER_OTLP_TIMEOUT: '60000',
    });
    await fetch(`${server.url}/.well-known/jwks.json`);
    const began = Date.now();
    expect(await server.end('SIGTERM')).toBe(0);
    expect(Date.now() - began).toBeLessThan(10_000);
    silent.close();
  });

  it('that speaks gRPC only is refused at the start', async () => {
    const { code, output } = await refusedStart({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4317',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    });
    expect(code).toBe(1);
    expect(output).toContain('OTEL_EXPORTER_OTLP_PROTOCOL: traces are sent as http/protobuf or http/json only');
  });
});

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

export interface SentSpan {
  name: string;
  kind: number;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  events: unknown[];
  status: object;
}

interface Batch {
  resourceSpans: { resource: { attributes: SentSpan['attributes'] }; scopeSpans: { spans: SentSpan[] }[] }[];
}

/** Somebody else's store of traces: a real HTTP server on 127.0.0.1 that takes OTLP as JSON. */
export class TraceCollector {
  readonly batches: Batch[] = [];
  private readonly server: Server = createServer((request, response) => {
    void json(request).then((body) => {
      this.batches.push(body as Batch);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });

  async listen(): Promise<string> {
    await new Promise<void>((done) => this.server.listen(0, '127.0.0.1', done));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get spans(): SentSpan[] {
    return this.batches.flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    );
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

/** The text of an attribute, whatever its type; undefined where it was not sent. */
export function attribute(span: SentSpan | undefined, key: string): string | undefined {
  const value = span?.attributes.find((each) => each.key === key)?.value;
  return value && String(Object.values(value)[0]);
}

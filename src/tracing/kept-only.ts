import { SpanKind, type Attributes, type Context } from '@opentelemetry/api';
import type { ReadableSpan, Span, SpanProcessor } from '@opentelemetry/sdk-trace-node';

/** Of what others ask. Not who asks, nor path, query and host: strangers write those, and tokens get pasted into them. */
const OF_REQUESTS = ['http.request.method', 'http.route', 'http.response.status_code', 'error.type'];
/** Of what is asked elsewhere. Not the address: that of a webhook may hold a key. Statements are without their parameters. */
const OF_CALLS = [
  ...['http.request.method', 'http.response.status_code', 'server.address', 'server.port', 'error.type'],
  ...['db.system.name', 'db.namespace', 'db.query.text'],
];

/**
 * Where spans are kept, other people read them. So what is not named here is not sent, whatever a later version of an
 * instrumentation records; nor are the messages of errors, in which PostgreSQL repeats values.
 */
export class KeptOnly implements SpanProcessor {
  constructor(private readonly next: SpanProcessor) {}

  onStart(span: Span, context: Context): void {
    this.next.onStart(span, context);
  }

  onEnd(span: ReadableSpan): void {
    const kept = span.kind === SpanKind.CLIENT ? OF_CALLS : OF_REQUESTS;
    const copy = Object.create(span, {
      attributes: { value: pick(span.attributes, kept) },
      events: { value: [] },
      status: { value: { code: span.status.code } },
    }) as ReadableSpan;
    this.next.onEnd(copy);
  }

  forceFlush(): Promise<void> {
    return this.next.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.next.shutdown();
  }
}

function pick(attributes: Attributes, names: readonly string[]): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => names.includes(name)));
}

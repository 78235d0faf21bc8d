import { ConfigurationError, type Variables } from './env.js';

const PROTOCOLS = ['http/protobuf', 'http/json'] as const;

export type TracesProtocol = (typeof PROTOCOLS)[number];

/** How traces are sent; null where nobody asked for any. The names, and what else they say, are OpenTelemetry's own. */
export function tracesProtocol(variables: Variables): TracesProtocol | null {
  const read = (name: string) =>
    variables[`OTEL_EXPORTER_OTLP_TRACES_${name}`] || variables[`OTEL_EXPORTER_OTLP_${name}`];
  const isOff =
    variables['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || variables['OTEL_TRACES_EXPORTER'] === 'none';
  if (!read('ENDPOINT') || isOff) return null;
  const wanted = read('PROTOCOL') || 'http/protobuf';
  const protocol = PROTOCOLS.find((each) => each === wanted);
  if (protocol) return protocol;
  throw new ConfigurationError([`OTEL_EXPORTER_OTLP_PROTOCOL: traces are sent as ${PROTOCOLS.join(' or ')} only`]);
}

import { describe, expect, it } from 'vitest';
import { ConfigurationError } from './env.js';
import { tracesProtocol } from './traces.js';

const OTEL_EXPORTER_OTLP_ENDPOINT = 'http://collector:4318';
const OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = 'http://collector:4318/v1/traces';

describe('traces are sent', () => {
  it.each([
    ['nowhere, where nothing says to', {}, null],
    ['nowhere, where nothing says where to', { OTEL_SERVICE_NAME: 'sign-in' }, null],
    ['nowhere, where what says where to is empty', { OTEL_EXPORTER_OTLP_ENDPOINT: '' }, null],
    ['nowhere, with OTEL_SDK_DISABLED', { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SDK_DISABLED: 'true' }, null],
    ['nowhere, where only metrics are wanted', { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }, null],
    ['as protobuf', { OTEL_EXPORTER_OTLP_ENDPOINT }, 'http/protobuf'],
    ['as protobuf, to an address of their own', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT }, 'http/protobuf'],
    ['as JSON', { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }, 'http/json'],
    [
      'in a protocol of their own',
      {
        OTEL_EXPORTER_OTLP_ENDPOINT,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
      },
      'http/json',
    ],
  ])('%s', (_, variables, protocol) => {
    expect(tracesProtocol(variables)).toBe(protocol);
  });

  it('and never by gRPC', () => {
    const variables = { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
    expect(() => tracesProtocol(variables)).toThrow(ConfigurationError);
  });
});

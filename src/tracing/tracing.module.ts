import { Inject, Logger, Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import { setGlobalErrorHandler } from '@opentelemetry/core';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TracesProtocol } from '../config/traces.js';
import { startTracing } from './tracing.js';

/** Milliseconds that the last spans get; a collector that is away must not hold up the end. */
const FLUSH_LIMIT = 3_000;

/** Sends what is left when the last request was answered. */
@Module({})
export class TracingModule implements OnApplicationShutdown {
  constructor(@Inject(NodeTracerProvider) private readonly provider: NodeTracerProvider) {}

  static async start(protocol: TracesProtocol): Promise<DynamicModule> {
    const logger = new Logger('Tracing');
    setGlobalErrorHandler((error) =>
      logger.warn(`Traces are lost: ${error instanceof Error ? error.message : 'unknown'}`),
    );
    const provider = await startTracing(protocol);
    return { module: TracingModule, providers: [{ provide: NodeTracerProvider, useValue: provider }] };
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.race([this.provider.shutdown(), sleep(FLUSH_LIMIT, undefined, { ref: false })]);
  }
}

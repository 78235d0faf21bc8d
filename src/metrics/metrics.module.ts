import { Module, type DynamicModule } from '@nestjs/common';
import type { Config } from '../config/config.js';
import { HealthModule } from '../health/health.module.js';
import { UsersModule } from '../users/users.module.js';
import { AuditCounts } from './audit-counts.js';
import { Meters } from './meters.js';
import { MetricsController } from './metrics.controller.js';
import { MetricsServer } from './metrics-server.js';
import { Scrape } from './scrape.js';

/** Whether anybody may read metrics. Where not, nothing is counted. */
export function isMeasured({ metrics }: Config): boolean {
  return metrics.port !== null || metrics.token !== null;
}

@Module({ imports: [HealthModule, UsersModule], providers: [AuditCounts, Meters, MetricsServer, Scrape] })
export class MetricsModule {
  static with({ metrics }: Config): DynamicModule {
    return { module: MetricsModule, controllers: metrics.token === null ? [] : [MetricsController] };
  }
}

import { Module, type DynamicModule } from '@nestjs/common';
import type { Config } from '../config/config.js';
import { HealthModule } from '../health/health.module.js';
import { UsersModule } from '../users/users.module.js';
import { AuditCounts } from './audit-counts.js';
import { Meters } from './meters.js';
import { MetricsController } from './metrics.controller.js';
import { MetricsServer } from './metrics-server.js';
import { RequestTimes } from './request-times.js';
import { Scrape } from './scrape.js';

@Module({ imports: [HealthModule, UsersModule], providers: [AuditCounts, Meters, MetricsServer, RequestTimes, Scrape] })
export class MetricsModule {
  static with({ metrics }: Config): DynamicModule {
    return { module: MetricsModule, controllers: metrics.token === null ? [] : [MetricsController] };
  }
}

import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { AdminModule } from './admin/admin.module.js';
import { AuditLogModule } from './admin/audit-log.module.js';
import { AuditModule } from './audit/audit.module.js';
import { ClockModule } from './clock/clock.module.js';
import type { Config } from './config/config.js';
import { CleanupModule } from './cleanup/cleanup.module.js';
import { ConfigModule } from './config/config.module.js';
import { CryptoModule } from './crypto/crypto.module.js';
import { DatabaseModule } from './database/database.module.js';
import { RepeatReads } from './database/repeat-reads.js';
import { DeliveryModule } from './delivery/delivery.module.js';
import { DevModule } from './dev/dev.module.js';
import { GatewayModule } from './gateway/gateway.module.js';
import { HealthModule } from './health/health.module.js';
import { InvitationsModule } from './invitations/invitations.module.js';
import { JobsModule } from './jobs/jobs.module.js';
import { NotificationsModule } from './notifications/notifications.module.js';
import { OpenApiModule } from './openapi/openapi.module.js';
import { ProblemFilter } from './problems/problem.filter.js';
import { RegistrationModule } from './registration/registration.module.js';
import { SignInModule } from './sign-in/sign-in.module.js';
import { SocialModule } from './social/social.module.js';
import { IpThrottleGuard } from './throttling/ip-throttle.guard.js';
import { ThrottlingModule } from './throttling/throttling.module.js';
import { TokenGuard } from './tokens/token.guard.js';
import { TokensModule } from './tokens/tokens.module.js';
import { WebhooksModule } from './webhooks/webhooks.module.js';

const platform = [ClockModule, CryptoModule, DatabaseModule, AuditModule, NotificationsModule, ThrottlingModule];

@Module({
  providers: [
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: APP_GUARD, useClass: IpThrottleGuard },
    { provide: APP_GUARD, useClass: TokenGuard },
    { provide: APP_INTERCEPTOR, useClass: RepeatReads },
  ],
})
export class AppModule {
  /**
   * `worksJobs`: false for the command line, which adds to the queue and leaves the work to the service.
   * `tracing`: what sends the traces, where OTEL_* say so.
   */
  static with(
    config: Config,
    { worksJobs = true, tracing = [] }: { worksJobs?: boolean; tracing?: DynamicModule[] } = {},
  ): DynamicModule {
    const development = config.server.production ? [] : [DevModule];
    // The command line serves nobody: it is neither asked how it is nor drained.
    const service = worksJobs ? [HealthModule, ...metricsOf(config)] : [];
    return {
      module: AppModule,
      imports: [
        ConfigModule.with(config),
        JobsModule.with({ worksJobs }),
        ...platform,
        TokensModule,
        SignInModule,
        RegistrationModule,
        InvitationsModule,
        SocialModule,
        GatewayModule,
        AdminModule,
        DeliveryModule,
        CleanupModule,
        AuditLogModule,
        WebhooksModule,
        ...service,
        ...tracing,
        OpenApiModule,
        ...development,
      ],
    };
  }
}

/** Loaded only where anybody may read them: what counts takes memory, and brings OpenTelemetry's API with it. */
function metricsOf(config: Config): Promise<DynamicModule>[] {
  if (config.metrics.port === null && config.metrics.token === null) return [];
  return [import('./metrics/metrics.module.js').then(({ MetricsModule }) => MetricsModule.with(config))];
}

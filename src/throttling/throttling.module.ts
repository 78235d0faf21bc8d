import { Global, Module } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ThrottlerModule, type ThrottlerOptions } from '@nestjs/throttler';
import { Config } from '../config/config.js';
import type { Rate } from '../config/values.js';
import { DestinationLimit } from './destination-limit.js';
import { PasswordFailures } from './password-failures.js';
import { FixedWindowStorage } from './fixed-window.storage.js';
import { THROTTLE_SCOPE } from './ip-throttle.guard.js';

function throttler(name: string, rate: Rate | null, reflector: Reflector): ThrottlerOptions {
  return {
    name,
    limit: rate?.points ?? 0,
    ttl: (rate?.seconds ?? 1) * 1000,
    skipIf: (context) =>
      rate === null || (name !== 'overall' && reflector.get<unknown>(THROTTLE_SCOPE, context.getHandler()) !== name),
  };
}

@Global()
@Module({
  imports: [
    ThrottlerModule.forRootAsync({
      inject: [Config, Reflector],
      useFactory: ({ limits }: Config, reflector: Reflector) => ({
        setHeaders: false,
        storage: new FixedWindowStorage(),
        throttlers: [
          throttler('overall', limits.overallPerIp, reflector),
          throttler('sign-in', limits.signInPerIp, reflector),
        ],
      }),
    }),
  ],
  providers: [PasswordFailures, DestinationLimit],
  exports: [ThrottlerModule, PasswordFailures, DestinationLimit],
})
export class ThrottlingModule {}

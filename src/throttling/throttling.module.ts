import { Global, Module } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ThrottlerModule, type ThrottlerOptions } from '@nestjs/throttler';
import { getEntityManagerToken } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Config } from '../config/config.js';
import type { Rate } from '../config/values.js';
import { Keys } from '../crypto/keys.js';
import { DestinationLimit } from './destination-limit.js';
import { OVERALL, THROTTLE_SCOPES } from './ip-throttle.guard.js';
import { MessageGuard } from './message-guard.js';
import { PasswordFailures } from './password-failures.js';
import { PostgresWindows } from './postgres-windows.js';
import { RedisWindows } from './redis-windows.js';
import { SharedWindows } from './shared-windows.js';
import { WindowStore } from './window-store.js';

function throttler(name: string, rate: Rate | null, reflector: Reflector): ThrottlerOptions {
  const applies = (scopes: readonly string[] = []) => name === OVERALL || scopes.includes(name);
  return {
    name,
    limit: rate?.points ?? 0,
    ttl: (rate?.seconds ?? 1) * 1000,
    skipIf: (context) =>
      rate === null || !applies(reflector.get<readonly string[] | undefined>(THROTTLE_SCOPES, context.getHandler())),
  };
}

@Module({
  providers: [
    {
      provide: WindowStore,
      inject: [Config, getEntityManagerToken()],
      useFactory: ({ storage }: Config, db: EntityManager) =>
        storage.redisUrl === null ? new PostgresWindows(db) : new RedisWindows(storage.redisUrl),
    },
  ],
  exports: [WindowStore],
})
class WindowStoreModule {}

@Global()
@Module({
  imports: [
    ThrottlerModule.forRootAsync({
      imports: [WindowStoreModule],
      inject: [Config, Reflector, WindowStore, Keys],
      useFactory: ({ limits }: Config, reflector: Reflector, store: WindowStore, keys: Keys) => ({
        storage: new SharedWindows(store, keys.for('counters')),
        throttlers: [
          throttler(OVERALL, limits.overallPerIp, reflector),
          throttler('sign-in', limits.signInPerIp, reflector),
          throttler('send', limits.sendPerIp, reflector),
          throttler('reset', limits.resetPerIp, reflector),
        ],
      }),
    }),
  ],
  providers: [PasswordFailures, DestinationLimit, MessageGuard],
  exports: [ThrottlerModule, PasswordFailures, DestinationLimit, MessageGuard],
})
export class ThrottlingModule {}

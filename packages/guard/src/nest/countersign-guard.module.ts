import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { createVerifier, type VerifierOptions } from '../verifier.js';
import { AccessRefusedFilter } from './access-refused.js';
import { CountersignGuard, VERIFIER } from './countersign.guard.js';

@Module({})
export class CountersignGuardModule {
  /** Once, in the root module; the guard can then be used everywhere. */
  static register(options: VerifierOptions): DynamicModule {
    return {
      module: CountersignGuardModule,
      global: true,
      providers: [
        { provide: VERIFIER, useValue: createVerifier(options) },
        { provide: APP_FILTER, useClass: AccessRefusedFilter },
        CountersignGuard,
      ],
      exports: [VERIFIER, CountersignGuard],
    };
  }
}

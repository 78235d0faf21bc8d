import { defineConfig } from 'vitest/config';

/** `npm run test:faults`: all of them, ten rounds of each that is repeated, unless FAULT_ROUNDS says otherwise. */
export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    include: ['test/faults/**/*.test.ts'],
    setupFiles: ['reflect-metadata'],
    pool: 'forks',
    // One file at a time: what is measured beside another one's load would tell nothing.
    maxWorkers: 1,
    isolate: false,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    env: { FAULT_ROUNDS: process.env['FAULT_ROUNDS'] ?? '10' },
    allowOnly: false,
    reporters: ['default'],
  },
});

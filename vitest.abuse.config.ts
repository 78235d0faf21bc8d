import { defineConfig } from 'vitest/config';

/** `npm run test:abuse`: two replicas of the built service as processes, attacked over real sockets. */
export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    include: ['test/abuse/**/*.abuse.ts'],
    setupFiles: ['reflect-metadata'],
    pool: 'forks',
    // One file at a time: two races at once would only slow each other down.
    maxWorkers: 1,
    isolate: false,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    allowOnly: false,
    reporters: ['default'],
  },
});

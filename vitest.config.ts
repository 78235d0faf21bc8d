import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.spec.ts', 'test/**/*.test.ts'],
    // Starts the one PostgreSQL of a run; every file of tests gets its own database in it.
    globalSetup: ['test/support/global-setup.ts'],
    // Decorators record the types of constructor parameters through it.
    setupFiles: ['reflect-metadata'],
    // Processes, because tests start, kill and signal others.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    allowOnly: false,
    reporters: ['default'],
  },
});

import { defineConfig } from 'vitest/config';

/** These replace a module, and so need one of their own. */
const REPLACING = ['test/security/enumeration.test.ts', 'test/security/password-attempt-cap.test.ts'];

const shared = {
  // Decorators record the types of constructor parameters through it.
  setupFiles: ['reflect-metadata'],
  // Processes, because tests start, kill and signal others.
  pool: 'forks' as const,
  testTimeout: 20_000,
  hookTimeout: 60_000,
  allowOnly: false,
};

export default defineConfig({
  test: {
    // Starts the one PostgreSQL of a run; every file of tests gets its own database in it.
    globalSetup: ['test/support/global-setup.ts'],
    // One more than the two cores of a small machine: many tests wait, for a clock or for a process.
    maxWorkers: 3,
    reporters: ['default'],
    projects: [
      {
        // A process keeps what it has loaded: to load the application anew for every file took a third of a run.
        test: {
          ...shared,
          name: 'tests',
          include: ['src/**/*.spec.ts', 'test/**/*.test.ts'],
          exclude: REPLACING,
          isolate: false,
        },
      },
      { test: { ...shared, name: 'isolated tests', include: REPLACING } },
    ],
  },
});

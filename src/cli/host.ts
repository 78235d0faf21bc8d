import type { INestApplicationContext } from '@nestjs/common';
import type { Config, Settings } from '../config/config.js';

/** What the program stands on. `src/cli.ts` makes it: it alone knows the whole application. */
export interface Host {
  variables: Readonly<Record<string, string | undefined>>;
  /** @throws ConfigurationError */
  settings(): Settings;
  /** Reaches for the database, the embedded one where DATABASE_URL names none, and migrates nothing. */
  prepare(): Promise<Config>;
  /** The services that the HTTP API uses, on migrated tables. They do no jobs. */
  open(): Promise<INestApplicationContext>;
  /** Says what to do about whatever was thrown. */
  explain(cause: unknown): string;
}

import type { INestApplicationContext } from '@nestjs/common';
import { Sealer } from '../audit/sealer.js';
import type { Answer } from './answer.js';
import type { Host } from './host.js';
import { print, printJson, warn } from './output.js';

/** Runs what commands do, and prints what they answer. */
export class CommandRunner {
  exitCode = 0;

  constructor(
    readonly host: Host,
    private readonly inJson: () => boolean,
  ) {}

  /** A command that reads. */
  reading<Args extends unknown[]>(work: (app: INestApplicationContext, ...args: Args) => Promise<Answer>) {
    return async (...args: Args): Promise<void> => {
      const app = await this.host.open();
      try {
        await this.say(await work(app, ...args));
      } finally {
        await app.close();
      }
    };
  }

  /** A command that changes something. `before` confirms it while nothing has been opened. */
  changing<Args extends unknown[]>(
    work: (app: INestApplicationContext, ...args: Args) => Promise<Answer>,
    before: (...args: Args) => Promise<void> = () => Promise.resolve(),
  ) {
    const run = this.reading(async (app, ...args: Args) => {
      const answer = await work(app, ...args);
      await sealAudit(app);
      return answer;
    });
    return async (...args: Args): Promise<void> => {
      await before(...args);
      await run(...args);
    };
  }

  /** A command that needs no services. */
  alone<Args extends unknown[]>(work: (...args: Args) => Promise<Answer>) {
    return async (...args: Args): Promise<void> => this.say(await work(...args));
  }

  private async say({ data, text, bad = false }: Answer): Promise<void> {
    if (this.inJson()) await printJson(data);
    else await print(`${text}\n`);
    if (bad) this.exitCode = 1;
  }
}

/**
 * At once and not by the service, which may not be running: what was done at the command line must not stay for long
 * where it can be taken out of the audit log unnoticed.
 */
export async function sealAudit(app: INestApplicationContext): Promise<void> {
  try {
    await app.get(Sealer).sealNow();
  } catch (cause) {
    warn(`The audit log is sealed later, by the service: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

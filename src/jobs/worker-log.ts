import type { Logger } from '@nestjs/common';
import { Logger as WorkerLogger } from 'graphile-worker';

const METHODS: Readonly<Record<string, 'error' | 'warn'>> = { error: 'error', warning: 'warn' };

/**
 * The worker's messages without what it attaches to them: that holds payloads. A failed attempt is tried again, so
 * it is one line; where it failed is for debugging.
 */
export function bridgeTo(logger: Logger): WorkerLogger {
  return new WorkerLogger(() => (level, message, meta) => {
    const [line = message, ...stack] = message.split('\n');
    if (meta?.failure === true) {
      logger.warn(line);
      logger.debug(stack.join('\n'));
    } else {
      logger[METHODS[level] ?? 'debug'](message);
    }
  });
}

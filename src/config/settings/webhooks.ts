import { z } from 'zod';
import { duration, flag } from '../values.js';

export const webhooks = {
  title: 'Webhooks',
  schema: z
    .object({
      WEBHOOK_TIMEOUT: duration({ default: '10s', min: '1s', max: '30s' }).describe(
        'How long a receiver may take to answer one attempt.',
      ),
      WEBHOOK_ALLOW_PRIVATE_TARGETS: flag({ default: 'off' }).describe(
        'Whether webhooks may lead to private addresses and use plain http. `on` lets administrators make this service send requests into its own network.',
      ),
    })
    .transform((env) => ({
      timeoutSeconds: env.WEBHOOK_TIMEOUT,
      allowPrivateTargets: env.WEBHOOK_ALLOW_PRIVATE_TARGETS,
    })),
} as const;

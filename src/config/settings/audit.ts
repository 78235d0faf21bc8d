import { z } from 'zod';
import { durationOrOff } from '../values.js';

export const audit = {
  title: 'Audit log',
  schema: z
    .object({
      AUDIT_RETENTION: durationOrOff({ default: '365d', min: '30d', max: '3650d' }).describe(
        'How long audit events are kept; every night the older ones are removed. `off` keeps all of them.',
      ),
    })
    .transform((env) => ({ retentionSeconds: env.AUDIT_RETENTION })),
} as const;

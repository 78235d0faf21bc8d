import { z } from 'zod';
import { integerOrOff, text, textWithDefault } from '../values.js';

export const metrics = {
  title: 'Metrics',
  schema: z
    .object({
      METRICS_PORT: integerOrOff({ default: 'off', min: 0, max: 65535 }).describe(
        'A port of its own where Prometheus reads /metrics, without a token: let nobody else reach it. 0 takes any free one.',
      ),
      METRICS_HOST: textWithDefault({ default: '127.0.0.1', allowed: 'an address' }).describe(
        'The address that METRICS_PORT listens on.',
      ),
      METRICS_TOKEN: text({
        allowed: '≥ 32 characters',
        secret: true,
        check: z.string().regex(/^[!-~]{32,}$/, 'must be one word of at least 32 characters'),
      }).describe(
        'Serves /metrics on PORT too, to whoever sends `Authorization: Bearer` and this token. Absent: not there.',
      ),
    })
    .transform((env) => ({ port: env.METRICS_PORT, host: env.METRICS_HOST, token: env.METRICS_TOKEN })),
} as const;

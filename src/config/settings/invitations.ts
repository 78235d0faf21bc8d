import { z } from 'zod';
import { duration, flag, integer } from '../values.js';

export const invitations = {
  title: 'Invitations',
  schema: z
    .object({
      INVITE_ALLOWED: flag({ default: 'on' }).describe(
        'Whether signed-in users may invite others. An invitation opens the way in also where SIGNUP_ALLOWED is off. Those that were sent stay good.',
      ),
      INVITATIONS_PER_DAY: integer({ default: 50, min: 1, max: 10_000 }).describe(
        'How many people one user may invite within 24 hours, administrators too.',
      ),
      INVITATION_TTL: duration({ default: '7d', min: '1h', max: '30d' }).describe(
        'How long an invitation is good where the inviter does not say (`expiresIn`).',
      ),
    })
    .transform((env) => ({
      allowed: env.INVITE_ALLOWED,
      perDay: env.INVITATIONS_PER_DAY,
      ttlSeconds: env.INVITATION_TTL,
    })),
} as const;

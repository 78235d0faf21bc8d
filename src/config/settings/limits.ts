import { z } from 'zod';
import { integerOrOff, rateOrOff, ratesOrOff } from '../values.js';

export const limits = {
  title: 'Limits',
  schema: z
    .object({
      THROTTLE_SIGN_IN_PER_IP: rateOrOff({ default: '30/1m' }).describe(
        'Sign-in requests of one address (IPv6: one /64), at all replicas together.',
      ),
      THROTTLE_SEND_PER_IP: rateOrOff({ default: '20/1h' }).describe(
        'Requests of one address for a message: registrations, one-time codes, links, codes for a new device. At all replicas together.',
      ),
      THROTTLE_RESET_PER_IP: rateOrOff({ default: '20/1m' }).describe(
        'Requests of one address about a forgotten password, at all replicas together.',
      ),
      THROTTLE_OVERALL_PER_IP: rateOrOff({ default: '300/5m' }).describe('All requests of one address, per replica.'),
      PASSWORD_FREE_FAILURES: integerOrOff({ default: 10, min: 3, max: 100 }).describe(
        'Wrong passwords for one identifier before each further one waits: 30 s, doubling to 15 min, forgotten after 12 h. The same for unknown identifiers.',
      ),
      SEND_PER_DESTINATION: ratesOrOff({ default: '5/1h,10/1d' }).describe(
        'Messages to one destination that were not answered with the right code.',
      ),
      SEND_PER_ACCOUNT: rateOrOff({ default: '10/1d' }).describe(
        'New destinations, numbers and mailboxes together, that one account may have codes sent to.',
      ),
    })
    .transform((env) => ({
      signInPerIp: env.THROTTLE_SIGN_IN_PER_IP,
      sendPerIp: env.THROTTLE_SEND_PER_IP,
      resetPerIp: env.THROTTLE_RESET_PER_IP,
      overallPerIp: env.THROTTLE_OVERALL_PER_IP,
      passwordFreeFailures: env.PASSWORD_FREE_FAILURES,
      sendPerDestination: env.SEND_PER_DESTINATION,
      sendPerAccount: env.SEND_PER_ACCOUNT,
    })),
} as const;

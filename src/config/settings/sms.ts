import { z } from 'zod';
import { freeList, httpUrl, integerOrOff, optionalChoice, rateOrOff, text } from '../values.js';

export const sms = {
  title: 'Text messages',
  schema: z
    .object({
      SMS_DRIVER: optionalChoice({ of: ['twilio-verify', 'twilio-messages', 'outbox'] }).describe(
        'Who sends text messages. `twilio-verify`: Twilio makes and checks the codes. `twilio-messages`: they are made and checked here, and Twilio delivers them. Absent: no text messages in production; otherwise `outbox`, which keeps them in memory and shows them at /dev/outbox.',
      ),
      TWILIO_ACCOUNT_SID: text({
        allowed: '`AC…`, 34 characters',
        check: z.string().regex(/^AC[0-9a-fA-F]{32}$/, 'must be AC and 32 hexadecimal digits'),
      }).describe('The Twilio account.'),
      TWILIO_AUTH_TOKEN: text({
        allowed: 'a token',
        secret: true,
        check: z.string().regex(/^[!-~]+$/, 'must be one word'),
      }).describe('The auth token of the account. It also proves that status callbacks come from Twilio.'),
      TWILIO_FROM: text({
        allowed: 'an E.164 number, a messaging service `MG…`, or up to 11 letters, digits and spaces',
        check: z
          .string()
          .regex(
            /^(\+[1-9]\d{2,14}|MG[0-9a-fA-F]{32}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11})$/,
            'must be an E.164 number, a messaging service (MG…), or up to 11 letters, digits and spaces',
          ),
      }).describe('Whom the messages of `twilio-messages` come from.'),
      TWILIO_VERIFY_SERVICE_SID: text({
        allowed: '`VA…`, 34 characters',
        check: z.string().regex(/^VA[0-9a-fA-F]{32}$/, 'must be VA and 32 hexadecimal digits'),
      }).describe(
        'The Verify service of `twilio-verify`. Its own settings decide the length of the codes, their text and its language.',
      ),
      TWILIO_API_BASE_URL: text({ allowed: 'an http(s) URL', check: httpUrl }).describe(
        'Where requests to Twilio go instead of api.twilio.com and verify.twilio.com: a proxy, or a stand-in for tests. In production it is https, or on this machine.',
      ),
      SMS_COUNTRIES: freeList({
        allowed: 'ISO 3166-1 alpha-2 codes, comma-separated',
        each: z.string().regex(/^[A-Z]{2}$/, 'must be two-letter country codes such as DE,AT,CH'),
      }).describe(
        'Countries to whose numbers text messages are sent. Empty: all; a short list is the best protection against toll fraud.',
      ),
      SMS_PER_PREFIX: rateOrOff({ default: '10/1h' }).describe(
        'Text messages to numbers that differ in their last four digits only, except those that were answered with the right code.',
      ),
      SMS_DAILY_BUDGET: integerOrOff({ default: 1000, min: 1, max: 10_000_000 }).describe(
        'Text messages a day (UTC). After them none goes out until midnight; other methods go on working.',
      ),
      SMS_MIN_VERIFY_RATE: integerOrOff({ default: 10, min: 1, max: 100 }).describe(
        'Percent. Where of 50 or more codes to one country within an hour fewer come back, text messages to it pause for an hour. A code of the last two minutes counts only once it has come back.',
      ),
    })
    .transform((env) => ({
      driver: env.SMS_DRIVER,
      twilio: {
        accountSid: env.TWILIO_ACCOUNT_SID,
        authToken: env.TWILIO_AUTH_TOKEN,
        from: env.TWILIO_FROM,
        verifyServiceSid: env.TWILIO_VERIFY_SERVICE_SID,
        baseUrl: env.TWILIO_API_BASE_URL?.replace(/\/+$/, '') ?? null,
      },
      countries: env.SMS_COUNTRIES,
      perPrefix: env.SMS_PER_PREFIX,
      dailyBudget: env.SMS_DAILY_BUDGET,
      minVerifyRate: env.SMS_MIN_VERIFY_RATE,
    })),
} as const;

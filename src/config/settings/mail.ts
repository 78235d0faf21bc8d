import { z } from 'zod';
import { text, textWithDefault } from '../values.js';

export const mail = {
  title: 'Mail',
  schema: z
    .object({
      SMTP_URL: text({
        allowed: 'an smtp:// or smtps:// URL',
        secret: true,
        check: z.string().regex(/^smtps?:\/\//, 'must be an smtp:// or smtps:// URL'),
      }).describe(
        'The mail server, such as `smtp://user:password@mail.example.com:587`. Required in production; otherwise mails are kept in memory and shown at /dev/outbox.',
      ),
      MAIL_FROM: textWithDefault({
        default: 'Countersign <no-reply@localhost>',
        allowed: 'an address',
        check: z.string().regex(/^[^\r\n]*$/, 'must be one line'),
      }).describe('The sender of every mail.'),
      MAIL_BRAND: textWithDefault({
        default: 'Countersign',
        allowed: '1–64 characters',
        check: z.string().regex(/^[^\r\n]{1,64}$/, 'must be one line of 1 to 64 characters'),
      }).describe('The product that mails speak of, at their top and bottom.'),
      MAIL_SUBJECT_OVERRIDE: text({
        allowed: 'one line; `{code}`, `{minutes}`',
        check: z.string().regex(/^[^\r\n]{1,200}$/, 'must be one line of 1 to 200 characters'),
      }).describe(
        'The subject of mails with a code, such as `{code}: Your code`, in every language. `{code}` and `{minutes}` are filled in. Absent: our words.',
      ),
      MAIL_BODY_OVERRIDE: text({
        allowed: 'text with `{code}`; `{minutes}`',
        check: z.string().max(10_000).includes('{code}', 'must contain {code}'),
      }).describe(
        'What mails with a code say, between our top and bottom, in every language: plain text, where an empty line starts a paragraph. `{code}` and `{minutes}` are filled in. Absent: our words.',
      ),
    })
    .transform((env) => ({
      smtpUrl: env.SMTP_URL,
      from: env.MAIL_FROM,
      brand: env.MAIL_BRAND,
      subjectOverride: env.MAIL_SUBJECT_OVERRIDE,
      bodyOverride: env.MAIL_BODY_OVERRIDE,
    })),
} as const;

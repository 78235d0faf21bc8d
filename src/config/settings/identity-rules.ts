import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { readIdentityRules, type IdentityRule } from '../identity-rule.js';
import { durationOrOff } from '../values.js';

const DEFAULT_RULES = 'deny username reserved';

/** The entries of one source; every line that is none stops the start. */
function rulesOf(text: string, source: string, addIssue: (message: string) => void): IdentityRule[] {
  return readIdentityRules(text).flatMap((read) => {
    if (!('fault' in read)) return [{ ...read, place: `${source}, ${read.place}` }];
    addIssue(`${read.place}: ${read.fault}`);
    return [];
  });
}

export const identityRules = {
  title: 'Identity rules',
  schema: z
    .object({
      IDENTITY_RULES: z
        .string()
        .transform((text, ctx) => rulesOf(text, 'IDENTITY_RULES', (message) => ctx.addIssue(message)))
        .prefault(DEFAULT_RULES)
        .meta({
          default: DEFAULT_RULES,
          allowed: 'entries such as `deny email *@*.example for registration`, separated by `;` or line breaks',
        })
        .describe(
          'Who may register, and whom codes are sent to: see docs/identity-rules.md. It replaces the default, so repeat that where you want it.',
        ),
      IDENTITY_RULES_FILE: z
        .string()
        .transform((path, ctx): IdentityRule[] => {
          try {
            return rulesOf(readFileSync(path, 'utf8'), 'IDENTITY_RULES_FILE', (message) => ctx.addIssue(message));
          } catch {
            ctx.addIssue('the file cannot be read');
            return z.NEVER;
          }
        })
        .nullable()
        .prefault(null)
        .meta({ allowed: 'the path of a text file' })
        .describe('More entries, one a line, with comments from `#` on. They come before those of IDENTITY_RULES.'),
      HONEYPOT_BAN: durationOrOff({ default: '1h', min: '1m', max: '7d' }).describe(
        'How long an address (IPv6: its /64) is refused for registration and for codes after it has filled in `website` of a registration, which people do not see. `off`: not at all; such a registration still creates nothing.',
      ),
    })
    .transform((env) => ({
      rules: [...(env.IDENTITY_RULES_FILE ?? []), ...env.IDENTITY_RULES],
      honeypotBanSeconds: env.HONEYPOT_BAN,
    })),
} as const;

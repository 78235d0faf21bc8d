import { Argument, Option, type Command } from 'commander';
import { isIP } from 'node:net';
import type { Settings } from '../config/config.js';
import { RULE_PURPOSES, type RulePurpose } from '../config/identity-rule.js';
import { disposableDomains } from '../identity-rules/disposable-domains.js';
import { compileRules, judge, type Named } from '../identity-rules/judge.js';
import { canonicalEmail, canonicalUsername } from '../users/identity.js';
import { parsePhone, phoneFault } from '../users/phone.js';
import { UsageError } from './answer.js';
import type { CommandRunner } from './command-runner.js';
import { printable, table } from './output.js';

const KINDS = ['email', 'phone', 'username', 'ip'] as const;
type Kind = (typeof KINDS)[number];

interface Tested {
  purpose: RulePurpose;
  allowed: boolean;
  /** The entry that decided, and where it stands; null where none matches. */
  entry: string | null;
  place: string | null;
}

/** The list alone, as the settings have it: neither command needs a database. */
export function addRuleCommands(program: Command, runner: CommandRunner): void {
  const commands = program.command('rules').description('who may register, and whom codes are sent to');

  commands
    .command('list')
    .description('every entry, in the order in which they are read')
    .action(
      runner.alone(() => {
        const { rules } = runner.host.settings().identityRules;
        const entries = rules.map(({ place, text }) => ({ place, entry: text }));
        const rows = entries.map(({ place, entry }) => [place, entry]);
        const text = rows.length === 0 ? 'There are none: everybody is allowed.' : table(['PLACE', 'ENTRY'], rows);
        return Promise.resolve({ data: { entries }, text });
      }),
    );

  commands
    .command('test')
    .description('tell whether something would be accepted, and which entry says so; exit code 1 where it is refused')
    .addArgument(new Argument('<kind>', 'what it is').choices(KINDS))
    .argument('<value>', 'what somebody would give')
    .addOption(new Option('--for <purpose>', 'for this alone').choices(RULE_PURPOSES))
    .action(
      runner.alone(async (kind: Kind, value: string, options: { for?: RulePurpose }) => {
        const settings = runner.host.settings();
        const purposes = options.for === undefined ? RULE_PURPOSES : [options.for];
        const results = await testFor(settings, purposes, readNamed(kind, value));
        const rows = results.map(({ purpose, allowed, entry, place }) => [
          purpose,
          allowed ? 'allowed' : 'REFUSED',
          entry ?? 'no entry',
          place ?? '-',
        ]);
        return {
          data: { kind, value, results },
          text: table(['FOR', 'RESULT', 'BY', 'PLACE'], rows),
          bad: results.some(({ allowed }) => !allowed),
        };
      }),
    );
}

async function testFor(settings: Settings, purposes: readonly RulePurpose[], named: Named): Promise<Tested[]> {
  const phone = parsePhone(named.phoneNumber ?? '');
  // Refused for everything, before any entry is read.
  const fault = phone && phoneFault(phone, settings.sms.countries);
  if (fault) return purposes.map((purpose) => ({ purpose, allowed: false, entry: fault, place: 'built in' }));
  const { rules } = settings.identityRules;
  const compiled = compileRules(rules, await disposableDomains(rules));
  return purposes.map((purpose) => {
    const { allowed, by } = judge(compiled, purpose, named);
    return { purpose, allowed, entry: by?.text ?? null, place: by?.place ?? null };
  });
}

/** In the form in which the service compares it. */
function readNamed(kind: Kind, value: string): Named {
  const named: Record<Kind, Named> = {
    email: { email: canonicalEmail(value) },
    phone: { phoneNumber: parsePhone(value)?.e164 ?? null },
    username: { username: canonicalUsername(value) },
    ip: { ip: isIP(value) === 0 ? null : value },
  };
  if (Object.values(named[kind]).includes(null)) throw new UsageError(`"${printable(value)}" is no ${kind}.`);
  return named[kind];
}

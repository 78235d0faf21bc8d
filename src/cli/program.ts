import { Command, CommanderError } from 'commander';
import { UnprovedAccount } from '../admin/admin-creation.service.js';
import { ConfigurationError } from '../config/env.js';
import { Problem } from '../problems/problem.js';
import { SigningKeyRefused } from '../tokens/signing-key-ring.js';
import { UsageError } from './answer.js';
import { addAuditCommands } from './audit.js';
import { CommandRunner } from './command-runner.js';
import { addDoctorCommand } from './doctor.js';
import type { Host } from './host.js';
import { addKeyCommands } from './keys.js';
import { addMigrationCommands } from './migrations.js';
import { jsonLine, warn } from './output.js';
import { addRuleCommands } from './rules.js';
import { addTwoFactorCommands } from './two-factor.js';
import { addUserCommands } from './users.js';

/** @returns the exit code: 0 ok, 1 refused or not as it should be, 2 not understood or not confirmed */
export async function runProgram(host: Host, args: readonly string[]): Promise<number> {
  const program = new Command('countersign')
    .description(
      'Runs the service from the inside: with its settings, on its database. The answer alone goes to stdout.',
    )
    .option('--json', 'answer with one JSON document')
    .configureHelp({ showGlobalOptions: true })
    // said once, below, and with --json as JSON
    .configureOutput({ outputError: () => undefined })
    .exitOverride();
  const inJson = () => program.opts<{ json?: boolean }>().json === true || args.includes('--json');
  const runner = new CommandRunner(host, inJson);
  addUserCommands(program, runner);
  addTwoFactorCommands(program, runner);
  addRuleCommands(program, runner);
  addKeyCommands(program, runner);
  addMigrationCommands(program, runner);
  addAuditCommands(program, runner);
  addDoctorCommand(program, runner);
  try {
    await program.parseAsync(args, { from: 'user' });
    return runner.exitCode;
  } catch (cause) {
    if (isHelp(cause)) return cause.exitCode === 0 ? 0 : 2;
    const failure = failureOf(cause, host);
    warn(inJson() ? jsonLine({ error: { code: failure.code, message: failure.message } }).trimEnd() : failure.message);
    return failure.exitCode;
  }
}

/** The help was asked for, or shown because a command was missing. */
function isHelp(cause: unknown): cause is CommanderError {
  return cause instanceof CommanderError && cause.code.startsWith('commander.help');
}

interface Failure {
  code: string;
  message: string;
  exitCode: 1 | 2;
}

function failureOf(cause: unknown, host: Host): Failure {
  if (cause instanceof CommanderError) {
    return { code: 'usage', message: `${cause.message.replace(/^error: /, '')}\nSee: countersign --help`, exitCode: 2 };
  }
  if (cause instanceof UsageError) return { code: 'usage', message: cause.message, exitCode: 2 };
  if (cause instanceof UnprovedAccount) {
    const message =
      'An account with this address exists, and nobody has proved to read its mailbox: whoever registered it would become an administrator. If it is yours, repeat this with --yes.';
    return { code: 'unproved_account', message, exitCode: 2 };
  }
  if (cause instanceof Problem) return { code: cause.code, message: sentenceOf(cause), exitCode: 1 };
  if (cause instanceof SigningKeyRefused) return { code: 'signing_key_refused', message: cause.message, exitCode: 1 };
  const code = cause instanceof ConfigurationError ? 'configuration' : 'failed';
  return { code, message: host.explain(cause), exitCode: 1 };
}

function sentenceOf({ message, options: { errors = [] } }: Problem): string {
  if (errors.length === 0) return message;
  return errors.map(({ field, messages }) => `${field}: ${messages.join('; ')}.`).join('\n');
}

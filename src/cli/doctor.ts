import type { Command } from 'commander';
import type { Config, Settings } from '../config/config.js';
import { ConfigurationError, readSettings } from '../config/env.js';
import { tracesProtocol } from '../config/traces.js';
import { failed, ok, warning, type Check } from './check.js';
import type { CommandRunner } from './command-runner.js';
import { checkDatabase } from './doctor-database.js';
import { checkMail, checkTextMessages } from './doctor-messages.js';
import type { Host } from './host.js';
import { painter, printable } from './output.js';

const COLOURS = { ok: 'green', warning: 'yellow', failed: 'red' } as const;

export function addDoctorCommand(program: Command, runner: CommandRunner): void {
  program
    .command('doctor')
    .description(
      'look at the settings, the database, the mail server, Twilio and the keys; exit code 1 where one fails',
    )
    .action(
      runner.alone(async () => {
        const checks = await examine(runner.host);
        const paint = painter(runner.host.variables);
        const width = Math.max(...checks.map(({ name }) => name.length));
        const lines = checks.map(
          ({ name, state, detail }) =>
            `${name.padEnd(width)}  ${paint(state.padEnd('warning'.length), COLOURS[state])}  ${printable(detail)}`,
        );
        return { data: { checks }, text: lines.join('\n'), bad: checks.some(({ state }) => state === 'failed') };
      }),
    );
}

/** The service need not run, and nothing is changed. */
async function examine(host: Host): Promise<Check[]> {
  const problems = problemsOf(host.variables);
  if (problems.length > 0) return problems.map((problem) => failed('configuration', problem));
  const settings = host.settings();
  const checks = [ok('configuration', 'every setting can be used'), ...checkProduction(host, settings)];
  let config: Config;
  try {
    config = await host.prepare();
  } catch (cause) {
    return [...checks, failed('database', host.explain(cause))];
  }
  const [database, mail, texts] = await Promise.all([
    checkDatabase(config, (cause) => host.explain(cause)),
    checkMail(config),
    checkTextMessages(config),
  ]);
  return [...checks, ...database, mail, texts];
}

/** Whether the same settings would do in production. */
function checkProduction({ variables }: Host, { server }: Settings): Check[] {
  if (server.production) return [ok('production', 'it runs in production')];
  const problems = problemsOf({ ...variables, NODE_ENV: 'production' });
  if (problems.length === 0) return [ok('production', 'it would start with NODE_ENV=production too')];
  return problems.map((problem) => warning('production', `would not start: ${problem}`));
}

function problemsOf(variables: Host['variables']): readonly string[] {
  try {
    readSettings(variables);
    tracesProtocol(variables);
    return [];
  } catch (cause) {
    if (cause instanceof ConfigurationError) return cause.problems;
    throw cause;
  }
}

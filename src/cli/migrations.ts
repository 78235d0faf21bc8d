import type { Command } from 'commander';
import { findMigrationStates, migrate } from '../database/migrate.js';
import type { CommandRunner } from './command-runner.js';
import { table } from './output.js';

export function addMigrationCommands(program: Command, runner: CommandRunner): void {
  const group = program.command('migrate').description('the tables of the database');

  group
    .command('up')
    .description('apply what is pending; replicas and commands that do so at once wait for each other')
    .action(
      runner.alone(async () => {
        const { storage } = await runner.host.prepare();
        const applied = await migrate(storage.directUrl);
        const text = applied.length === 0 ? 'Nothing was pending.' : `Applied:\n${applied.join('\n')}`;
        return { data: { applied }, text };
      }),
    );

  group
    .command('status')
    .description('which migrations were applied; exit code 1 where one is pending')
    .action(
      runner.alone(async () => {
        const { storage } = await runner.host.prepare();
        const migrations = await findMigrationStates(storage.directUrl);
        const bad = migrations.some(({ applied }) => !applied);
        const rows = migrations.map(({ name, applied }) => [name, applied ? 'applied' : 'pending']);
        const text = table(['MIGRATION', 'STATE'], rows) + (bad ? '\nApply them with: countersign migrate up' : '');
        return { data: { migrations }, text, bad };
      }),
    );
}

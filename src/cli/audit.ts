import type { INestApplicationContext } from '@nestjs/common';
import { isUUID } from 'class-validator';
import { InvalidArgumentError, type Command } from 'commander';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { filterOf, ListAuditEventsDto, toAuditEventDto } from '../admin/audit-log.dto.js';
import { AuditLog } from '../audit/audit-log.js';
import type { EventFilter } from '../audit/audit-log.queries.js';
import { Audit } from '../audit/audit.service.js';
import { ChainCheck, type CheckedChain, type KnownHead } from '../audit/chain-check.js';
import { asQuery, BY_CLI, databaseOf, findUserId } from './arguments.js';
import { sealAudit, type CommandRunner } from './command-runner.js';
import { jsonLine, pairs, table, time } from './output.js';

interface ExportOptions {
  from?: string;
  to?: string;
  user?: string;
  type?: string;
}

export function addAuditCommands(program: Command, runner: CommandRunner): void {
  const audit = program.command('audit').description('the log of what happened');

  audit
    .command('verify')
    .description('tell whether anybody changed the audit log; exit code 1 where it is not intact')
    .option('--head <seq:hash>', 'an end of the chain that an export or a log line told earlier', readHead)
    .action(
      runner.reading(async (app, { head }: { head?: KnownHead }) => {
        const checked = await app.get(ChainCheck).verify(head ?? null);
        return { data: checked, text: chainText(checked), bad: !checked.intact };
      }),
    );

  audit
    .command('export')
    .description(
      'every event that matches, the oldest first, one JSON object a line; the last line is the end of the chain',
    )
    .option('--from <time>', 'not before, such as 2026-11-22T09:30:00Z')
    .option('--to <time>', 'before')
    .option('--user <user>', 'about this user, by id, address, number or name')
    .option('--type <type>', 'of this type, such as sign-in.failed')
    .action(async (options: ExportOptions) => {
      const app = await runner.host.open();
      try {
        await exportEvents(app, options);
      } finally {
        await app.close();
      }
    });
}

/** It streams, so it prints by itself. That somebody took a copy is an event too, and in the copy. */
async function exportEvents(app: INestApplicationContext, { user, ...times }: ExportOptions): Promise<void> {
  // The log outlives its users, so an id needs no account.
  const userId = user === undefined || isUUID(user) ? user : await findUserId(app, user);
  const filter = filterOf(await asQuery(ListAuditEventsDto, { ...times, userId }));
  const asked = Object.entries(filter).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const details = { filter: Object.fromEntries(asked) };
  await app.get(Audit).record(databaseOf(app), 'audit.exported', { userId: null, ...BY_CLI }, details);
  await sealAudit(app);
  await pipeline(Readable.from(lines(app.get(AuditLog), filter)), process.stdout, { end: false });
}

async function* lines(log: AuditLog, filter: EventFilter): AsyncGenerator<string, void> {
  for await (const event of log.exportEvents(filter)) yield jsonLine(toAuditEventDto(event));
  yield jsonLine({ head: await log.head() });
}

function readHead(text: string): KnownHead {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || hash === undefined)
    throw new InvalidArgumentError('It is a number, a colon and 64 hexadecimal digits.');
  return { seq: Number(seq), hash };
}

function chainText({ intact, events, from, to, head, unsealed, faults }: CheckedChain): string {
  const told = pairs({
    intact: intact ? 'yes' : 'NO',
    events,
    from: time(from),
    to: time(to),
    'not sealed yet': unsealed,
    head: head && `${head.seq}:${head.hash}`,
  });
  if (faults.length === 0) return told;
  const rows = faults.map(({ seq, eventId, kind }) => [String(seq ?? '-'), eventId ?? '-', kind]);
  return `${told}\n\n${table(['PLACE', 'EVENT', 'FAULT'], rows)}`;
}

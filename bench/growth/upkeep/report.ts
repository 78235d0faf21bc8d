import { measuredOn, short, table } from '../sections.js';
import type { UpkeepResults } from './main.js';

export function renderUpkeep({ date, machine, footprints, cleanup, retention }: UpkeepResults): string {
  const { signInsBefore: before, signInsMeanwhile: meanwhile } = cleanup;
  return [
    measuredOn(date, machine),
    table(
      ['one', 'leaves in', 'rows', 'bytes'],
      footprints.flatMap(({ operation, tables, walBytes }) => [
        ...tables
          .filter(({ bytes }) => bytes >= 1)
          .map(({ table: name, rows, bytes }) => [operation, `\`${name}\``, short(rows), short(bytes)]),
        [operation, 'the write-ahead log', '', short(walBytes)],
      ]),
    ),
    table(
      ['removing', 'seconds', 'rows a second', 'sign-ins meanwhile, p50 / p99 ms', 'before, p50 / p99 ms'],
      [
        [
          `${short(cleanup.challenges)} challenges and ${short(cleanup.sessions)} sessions`,
          short(cleanup.seconds),
          short((cleanup.challenges + cleanup.sessions) / cleanup.seconds),
          `${short(meanwhile.p50)} / ${short(meanwhile.p99)}`,
          `${short(before.p50)} / ${short(before.p99)}`,
        ],
        ['nothing: the hour after', short(cleanup.again), '', '', ''],
        [
          `${short(retention.events)} audit events and their links`,
          short(retention.seconds),
          short(retention.events / retention.seconds),
          '',
          '',
        ],
      ],
    ),
  ].join('\n\n');
}

import type { GrowthResults } from './main.js';
import { measuredOn, short, table } from './sections.js';

/** The statements of users; what starts, seals and does jobs is not asked for by anybody. */
const OF_USERS = /\b(users|sessions|otp_devices|challenges|failure_counters|audit_events)\b/;

export function renderGrowth(results: GrowthResults): string {
  const { date, machine, sizes, operations, tables, statements } = results;
  const heads = sizes.map(({ users }) => `${users.toLocaleString('en')} users`);
  return [
    measuredOn(date, machine),
    table(
      ['milliseconds, p50 (p99)', ...heads, 'last : first'],
      operations.map(({ name, p50, p99 }) => [
        name,
        ...p50.map((each, index) => `${short(each)} (${short(p99[index] ?? NaN)})`),
        ((p50.at(-1) ?? NaN) / (p50[0] ?? NaN)).toFixed(2),
      ]),
    ),
    table(
      [`at ${heads.at(-1)}`, 'rows', 'MiB', 'MiB of indexes'],
      tables.map(({ table: name, rows, megabytes, indexMegabytes }) => [
        `\`${name}\``,
        Math.round(rows).toLocaleString('en'),
        megabytes,
        indexMegabytes,
      ]),
    ),
    table(
      [`a statement at ${heads.at(-1)}`, 'indexes', 'rows', 'buffers', 'ms'],
      statements
        .filter(({ statement, indexes }) => OF_USERS.test(statement) && indexes.length > 0)
        .map(({ statement, indexes, rows, buffers, milliseconds }) => [
          `\`${briefly(statement)}\``,
          indexes.map((index) => `\`${index}\``).join(' '),
          rows,
          buffers,
          milliseconds.toFixed(2),
        ]),
    ),
  ].join('\n\n');
}

/** What it does to which tables. */
function briefly(statement: string): string {
  const written = [...statement.matchAll(/\b(INSERT INTO|UPDATE|DELETE FROM) "?([a-z_]+)/g)].filter(
    ([, , name]) => name !== 'OF',
  );
  if (written.length > 0) return written.map(([, verb, name]) => `${verb} ${name}`).join(', ');
  const read = [...statement.matchAll(/\b(?:FROM|JOIN) "?([a-z_]+)/g)].map(([, name]) => name);
  const condition = /WHERE (.{0,60})/.exec(statement)?.[1] ?? '';
  return `SELECT FROM ${[...new Set(read)].join(', ')} WHERE ${condition}`.replaceAll('|', '').trim();
}

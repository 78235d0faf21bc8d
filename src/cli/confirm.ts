import { createInterface } from 'node:readline/promises';
import { UsageError } from './answer.js';

/** Asks before something that is hard to undo; without a terminal only `--yes` is a yes. */
export async function confirm(question: string, { yes = false }: { yes?: boolean }): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw new UsageError(`${question} Repeat it with --yes.`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question} [y/N] `);
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    terminal.close();
  }
  throw new UsageError('Nothing was done.');
}

/** From a pipe or the environment: an argument would be seen by everybody who lists the processes. */
export async function readPassword(
  fromStdin: boolean,
  variables: Readonly<Record<string, string | undefined>>,
): Promise<string | null> {
  if (!fromStdin) return variables['COUNTERSIGN_PASSWORD'] || null;
  if (process.stdin.isTTY)
    throw new UsageError('--password-stdin reads from a pipe: a terminal would show the password.');
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const password = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
  if (password === '') throw new UsageError('--password-stdin found no password on the standard input.');
  return password;
}

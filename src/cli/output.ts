import { styleText } from 'node:util';

/** Waits until whoever reads has taken it: the process ends with `exit`, which would cut a pipe off. */
export function print(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()));
}

export function printJson(data: unknown): Promise<void> {
  return print(`${plainJson(data, 2)}\n`);
}

/** One document on a line of its own. */
export function jsonLine(data: unknown): string {
  return `${plainJson(data)}\n`;
}

export function warn(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** JSON leaves DEL and the C1 controls as they are, and a terminal obeys some of them. */
function plainJson(data: unknown, indent?: number): string {
  return JSON.stringify(data, null, indent).replace(
    /[\u007f-\u009f]/g,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Names are chosen by strangers: none may move the cursor, colour the screen or turn the direction of a line. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '\ufffd');
}

/** Columns under their heads, two spaces between them. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows].map((row) => row.map(printable));
  const widths = head.map((_, column) => Math.max(...lines.map((line) => lengthOf(line[column] ?? ''))));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - lengthOf(cell)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Names and values, one pair a line; what is null is left out. */
export function pairs(values: Readonly<Record<string, string | number | null>>): string {
  const given = Object.entries(values).filter(([, value]) => value !== null);
  const width = Math.max(...given.map(([name]) => lengthOf(name)));
  return given.map(([name, value]) => `${name.padEnd(width)}  ${printable(String(value))}`).join('\n');
}

export function time(date: Date | string | null): string {
  if (date === null) return '-';
  return new Date(date).toISOString().replace(/\.\d+Z$/, 'Z');
}

type Colour = 'green' | 'yellow' | 'red';

/** Colours where somebody looks and has not asked for none (https://no-color.org). */
export function painter(
  variables: Readonly<Record<string, string | undefined>>,
): (text: string, colour: Colour) => string {
  const coloured = process.stdout.isTTY && !variables['NO_COLOR'];
  return (text, colour) => (coloured ? styleText(colour, text, { validateStream: false }) : text);
}

function lengthOf(text: string): number {
  return [...text].length;
}

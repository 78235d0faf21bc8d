import { setTimeout as sleep } from 'node:timers/promises';
import { styleText } from 'node:util';

type Style = 'bold' | 'dim' | 'green' | 'red' | 'cyan' | 'yellow';

const WIDTH = 110;
/** Longer than any id; tokens are. */
const SHOWN_WHOLE = 64;

/** An expectation of the tour that did not hold: the tour ends with it. */
export class Unmet extends Error {}

/** Tells what happens, in colours on a terminal. Counts what was expected and held. */
export class Narrator {
  held = 0;
  readonly colours = process.stdout.isTTY && !process.env['NO_COLOR'];

  tour(title: string): void {
    this.write(`\n${this.paint('bold', `━━ ${title} ${'━'.repeat(Math.max(0, 76 - title.length))}`)}`);
  }

  chapter(title: string): void {
    this.write(`\n${this.paint('cyan', `── ${title}`)}`);
  }

  say(text: string): void {
    this.write(`   ${text}`);
  }

  request(method: string, path: string, body: unknown, bearer: string | undefined): void {
    const authorization = bearer === undefined ? '' : this.paint('dim', `   Authorization: Bearer ${shorten(bearer)}`);
    this.write(`\n${this.paint('bold', `${method} ${path}`)}${authorization}`);
    if (body !== undefined) this.write(this.paint('dim', asText(body, '   → ')));
  }

  answer(status: number, body: unknown): void {
    this.write(`   ${this.paint(status < 400 ? 'green' : 'yellow', String(status))}`);
    if (body !== undefined) this.write(this.paint('dim', asText(body, '   ← ')));
  }

  mail(to: string, subject: string): void {
    this.write(`\n${this.paint('bold', 'A mail arrives')}\n   To: ${to}\n   Subject: ${subject}`);
  }

  table(rows: readonly (readonly [name: string, value: unknown, meaning: string])[]): void {
    for (const [name, value, meaning] of rows) {
      const shown = typeof value === 'string' ? value : JSON.stringify(value);
      this.write(`   ${name.padEnd(10)}${shown.padEnd(40)} ${this.paint('dim', meaning)}`);
    }
  }

  /** Black on white where that can be said: some cameras read no light code on a dark ground. */
  qrCode(drawing: string): void {
    for (const line of drawing.split('\n')) this.write(this.colours ? `   \x1b[30;107m${line}\x1b[0m` : `   ${line}`);
  }

  /** What must be so, and why it is. */
  expect(holds: boolean, sentence: string, instead = 'it is not so'): void {
    if (!holds) {
      this.write(`   ${this.paint('red', `✗ ${sentence}`)}`);
      throw new Unmet(`${sentence} (${instead})`);
    }
    this.held += 1;
    this.write(`   ${this.paint('green', '✓')} ${sentence}`);
  }

  async wait(seconds: number, why: string): Promise<void> {
    this.say(`… waits ${Math.ceil(seconds)} s: ${why}`);
    await sleep(seconds * 1000);
  }

  failure(text: string): void {
    process.stderr.write(`\n${this.paint('red', text)}\n`);
  }

  private paint(style: Style, text: string): string {
    return this.colours ? styleText(style, text) : text;
  }

  private write(line: string): void {
    process.stdout.write(`${line}\n`);
  }
}

function shorten(text: string): string {
  return text.length > SHOWN_WHOLE && !text.includes(' ') ? `${text.slice(0, 12)}…${text.slice(-6)}` : text;
}

/** On one line where it fits, else a line for each property. */
function asText(body: unknown, arrow: string): string {
  const line = JSON.stringify(body, abridge);
  if (line.length <= WIDTH || typeof body !== 'object' || body === null) return arrow + line;
  const indent = ' '.repeat(arrow.length);
  const properties = Object.entries(body)
    .filter(([name, value]) => abridge(name, value) !== undefined)
    .map(([name, value]) => `${indent}  "${name}": ${JSON.stringify(value, abridge)}`);
  return `${arrow}{\n${properties.join(',\n')}\n${indent}}`;
}

/** For `JSON.stringify`: what is empty, and when something was made, would only crowd the screen. */
function abridge(name: string, value: unknown): unknown {
  const empty = value === null || value === '' || (Array.isArray(value) && value.length === 0);
  if (empty || /^(created|updated|lastUsed)At$/.test(name)) return undefined;
  return typeof value === 'string' ? shorten(value) : value;
}

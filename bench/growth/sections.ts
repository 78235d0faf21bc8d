import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { format } from 'prettier';

const REPOSITORY = resolve(import.meta.dirname, '../../..');

/** Keeps results as numbers and, as tables, in their section of docs/performance.md. */
export async function keepSection(name: string, results: object, tables: string): Promise<void> {
  const numbers = resolve(REPOSITORY, `bench/results/${name}.json`);
  writeFileSync(numbers, await format(JSON.stringify(results), { parser: 'json', printWidth: 120 }));
  await keepTables(name, tables);
}

export async function keepTables(name: string, tables: string): Promise<void> {
  const paper = resolve(REPOSITORY, 'docs/performance.md');
  const text = readFileSync(paper, 'utf8');
  const [begin, end] = [`<!-- ${name}: written by its command -->`, `<!-- end of ${name} -->`];
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`docs/performance.md has lost the lines around ${name}`);
  const rendered = await format(tables, { parser: 'markdown', printWidth: 120 });
  writeFileSync(paper, `${text.slice(0, from)}${begin}\n\n${rendered}\n${text.slice(to)}`);
}

export function measuredOn(date: string, { cpu, cores, node }: { cpu: string; cores: number; node: string }): string {
  return `Measured on ${date}: ${cpu}, ${cores} cores, Node ${node}.`;
}

export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const rule = head.map((_, index) => (index === 0 ? '---' : '--:'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Three digits are enough to plan with. */
export function short(value: number): string {
  if (value >= 1_000) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}

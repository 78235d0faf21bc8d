import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';

interface Cruised {
  modules: { source: string }[];
  summary: { violations: { from: string; to: string; rule: { name: string } }[] };
}

const root = join(import.meta.dirname, '..', '..');
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replaceAll('\\', '/'));

it('keeps the arrows between the folders', { timeout: 60_000 }, () => {
  const { modules, summary } = cruise();
  // A cruiser that cannot parse TypeScript finds nothing, and nothing breaks no rule.
  expect(modules.filter(({ source }) => source.startsWith('src/')).length).toBeGreaterThan(60);
  expect(summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`)).toEqual([]);
});

it('has no drawer for what has no place', () => {
  expect(sources.filter((file) => /util|helper|manager|common/i.test(file))).toEqual([]);
  expect(sources.filter((file) => basename(file) === 'index.ts')).toEqual([]);
});

it('uses neither forwardRef nor any', () => {
  expect(sources.filter((file) => /\bforwardRef\b|: any\b|\bas any\b|<any>/.test(code(file)))).toEqual([]);
});

function cruise(): Cruised {
  const cruiser = join(root, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs');
  const args = [cruiser, 'src', 'migrations', '--output-type', 'json'];
  // The json output ends with 0 whatever it found.
  return JSON.parse(
    execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 }),
  ) as Cruised;
}

/** Without comments, in which "any" is a word like any other. */
function code(file: string): string {
  return readFileSync(join(root, 'src', file), 'utf8').replace(/\/\*[^]*?\*\/|\/\/.*/g, '');
}

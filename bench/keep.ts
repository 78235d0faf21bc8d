import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format } from 'prettier';
import { drawResults } from './picture.js';
import type { Results } from './results.js';
import { renderResults } from './table.js';

const BEGIN = '<!-- Between these lines `npm run bench` writes. -->\n\n';
const END = '\n<!-- Written by `npm run bench`. -->';

/** Keeps results in the repository: as numbers, as tables in docs/performance.md, and as its picture. */
export async function keep(results: Results, repository: string): Promise<void> {
  const { numbers, paper, picture } = placesIn(repository);
  writeFileSync(numbers, await format(JSON.stringify(results), { parser: 'json', printWidth: 120 }));
  writeFileSync(paper, withResults(readFileSync(paper, 'utf8'), await renderResults(results)));
  mkdirSync(join(picture, '..'), { recursive: true });
  writeFileSync(picture, drawResults(results));
}

export function placesIn(repository: string): { numbers: string; paper: string; picture: string } {
  return {
    numbers: join(repository, 'bench', 'results', 'latest.json'),
    paper: join(repository, 'docs', 'performance.md'),
    picture: join(repository, 'docs', 'images', 'bench.svg'),
  };
}

/** The paper with these results instead of those that are in it. */
export function withResults(paper: string, rendered: string): string {
  const begin = paper.indexOf(BEGIN);
  const end = paper.indexOf(END);
  if (begin < 0 || end < begin)
    throw new Error('docs/performance.md has lost the lines that results are written between');
  return paper.slice(0, begin) + BEGIN + rendered + paper.slice(end);
}

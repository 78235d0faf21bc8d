import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { renderProblemDocs } from '../../scripts/problem-docs.js';
import { catalogue } from '../../src/problems/catalogue.js';

const file = join(import.meta.dirname, '..', '..', 'docs', 'problems.md');

it('is what is committed; `npm run generate` writes it', () => {
  expect(renderProblemDocs()).toBe(readFileSync(file, 'utf8'));
});

it('explains every code in one row', () => {
  const rows = renderProblemDocs().match(/^\| <a id=.*$/gm) ?? [];
  expect(rows).toHaveLength(Object.keys(catalogue).length);
  expect(rows.filter((row) => row.split(' | ').length !== 4)).toEqual([]);
});

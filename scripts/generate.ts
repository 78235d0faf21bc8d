import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { renderConfigurationDocs, renderEnvExample } from './configuration-docs.js';
import { renderOpenApi } from './openapi.js';
import { renderProblemDocs } from './problem-docs.js';

/** Writes everything that is generated from the sources and committed beside them. */
const files = {
  'openapi.json': await renderOpenApi(),
  'docs/configuration.md': renderConfigurationDocs(),
  'docs/problems.md': renderProblemDocs(),
  '.env.example': renderEnvExample(),
};

// Run by npm, so in the package's own folder.
if (!existsSync('package.json')) throw new Error('Run this with: npm run generate');
for (const [path, text] of Object.entries(files)) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(join(process.cwd(), path), text);
  process.stdout.write(`${path}\n`);
}

// Builds dist/: the compiled modules in dist/src/, the service that runs in dist/service/ (bundle.mjs), beside each the mail
// templates, which the compiler leaves out; and the guard for other services in packages/guard/dist/.
// What is up to date is not compiled again; remove dist/ to start over.
// node scripts/build.mjs <tsconfig>…: builds these projects as well.
//
// TypeScript 7 compiles and checks in a fifth of the time of TypeScript 6, which is there for what reads types through its
// interface: ESLint and the editors.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const compiler = join(root, 'node_modules', 'typescript-7', 'bin', 'tsc');
// not part of the image
const packages = existsSync(join(root, 'packages')) ? [join('packages', 'guard')] : [];
const templates = join('src', 'notifications', 'templates');
const besides = [join('dist', templates), join('dist', 'service', 'templates')];

const projects = ['tsconfig.build.json', ...packages, ...process.argv.slice(2)];
const { status } = spawnSync(process.execPath, [compiler, '--build', ...projects], { cwd: root, stdio: 'inherit' });
if (status !== 0) process.exit(1);

await bundle(root);
for (const folder of besides) {
  cpSync(join(root, templates), join(root, folder), {
    recursive: true,
    filter: (source) => source.endsWith('.hbs') || statSync(source).isDirectory(),
  });
}

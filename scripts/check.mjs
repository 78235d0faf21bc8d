// npm test: every gate and every test in one command that needs no services; stops at the first gate that fails.
// npm test -- <filter>: builds, and runs the tests whose path contains the filter.
// npm test -- --abuse: npm test, and then npm run test:abuse.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(root, 'node_modules', '.cache', 'countersign');
const withAbuse = process.argv.includes('--abuse');
const filters = process.argv.slice(2).filter((argument) => argument !== '--abuse');

const build = { name: 'build', args: [join(root, 'scripts', 'build.mjs')] };
const gates = [
  build,
  tool('types', 'tsc', '--noEmit', '--incremental', '--tsBuildInfoFile', join(cache, 'types.tsbuildinfo')),
  tool(
    'format',
    'prettier',
    '--check',
    '--log-level=warn',
    '--cache',
    '--cache-location',
    join(cache, 'prettier'),
    '.',
  ),
  tool('dead code', 'knip', '--no-progress'),
];
/** Takes longer than the other gates together, on one core: the tests begin beside it. */
const lint = tool('lint', 'eslint', '.');
const suites = [suite('tests'), ...(withAbuse ? [suite('abuse', '--config', 'vitest.abuse.config.ts')] : [])];

const running = new Set();
let passed = 0;
let failed = 0;
let interrupted = false;

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop());

mkdirSync(cache, { recursive: true });
await Promise.all(filters.length > 0 ? [gatesAndTests([build])] : [gatesAndTests(gates), pass(lint)]);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || interrupted ? 1 : 0;

async function gatesAndTests(gates) {
  for (const each of gates) await pass(each);
  for (const each of suites) await test(each);
}

/** The first gate that fails stops what runs beside it. */
async function pass(gate) {
  if (failed > 0 || interrupted) return;
  const { succeeded, output, seconds } = await run(gate, 'pipe');
  if (failed > 0 || interrupted) return; // stopped half-way
  console.log(`${succeeded ? '' : output}${gate.name.padEnd(10)} ${succeeded ? 'ok' : 'failed'} (${seconds} s)`);
  if (succeeded) passed += 1;
  else {
    failed += 1;
    kill();
  }
}

async function test({ name, args, results }) {
  if (failed > 0 || interrupted) return;
  rmSync(results, { force: true });
  const { succeeded, seconds } = await run({ args: [...args, ...filters] }, 'inherit');
  console.log(`${name.padEnd(10)} ${succeeded ? 'ok' : 'failed'} (${seconds} s)`);
  for (const file of readResults(results)) {
    const verdicts = file.assertionResults.map(({ status }) => status);
    passed += verdicts.filter((status) => status === 'passed').length;
    const wrong = verdicts.filter((status) => status === 'failed').length;
    failed += file.status === 'failed' ? Math.max(wrong, 1) : wrong; // a file that cannot be loaded has no tests
  }
  if (!succeeded && failed === 0) failed = 1; // such as an error that no test waited for
}

function readResults(results) {
  try {
    return JSON.parse(readFileSync(results, 'utf8')).testResults;
  } catch {
    return []; // it ended before it could write them
  }
}

function run({ args }, output) {
  const begun = performance.now();
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', output, output] });
  const chunks = [];
  child.stdout?.on('data', (chunk) => chunks.push(chunk));
  child.stderr?.on('data', (chunk) => chunks.push(chunk));
  running.add(child);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      running.delete(child);
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      resolve({ succeeded: code === 0, output: Buffer.concat(chunks).toString(), seconds });
    });
  });
}

function kill() {
  for (const child of running) child.kill();
}

function stop() {
  interrupted = true;
  kill();
}

/** Tests by vitest, which leaves its verdicts in a file. */
function suite(name, ...options) {
  const results = join(cache, `${name}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${results}`];
  return { ...tool(name, 'vitest', 'run', ...options, ...reporters), results };
}

/** A command of a development dependency, without a shell and its differences between systems. */
function tool(name, command, ...args) {
  const packages = { tsc: 'typescript-7' };
  const folder = join(root, 'node_modules', packages[command] ?? command);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return { name, args: [join(folder, typeof bin === 'string' ? bin : bin[command]), ...args] };
}

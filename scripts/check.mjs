// npm test: every gate and every test in one command that needs no services; stops at the first gate that fails.
// npm test -- <filter>: builds, and runs the tests whose path contains the filter.
// npm test -- --abuse: npm test, and then npm run test:abuse.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(root, 'node_modules', '.cache', 'countersign');
const verdictsFile = join(cache, 'verdicts.json');
const TRIES_THAT_DECIDE = 2;
const MOST_SECOND_CHANCES = 4;
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

/** All files of a suite; those that fail get their second chance once the others no longer take the machine's time. */
async function test(suite) {
  if (failed > 0 || interrupted) return;
  const verdicts = await verdictsOf(suite, filters);
  const wrong = verdicts.filter((verdict) => verdict.failed > 0);
  const right = verdicts.filter((verdict) => verdict.failed === 0);
  passed += sum(right, 'passed');
  if (wrong.length === 0) return;
  const files = [...new Set(wrong.map(({ file }) => file))];
  const second = filters.length === 0 ? await secondChance(suite, files) : null;
  passed += sum(second ?? wrong, 'passed');
  failed += sum(second ?? wrong, 'failed');
}

/**
 * A file that failed beside the others has to pass by itself, in two of three tries, and is named: on a machine that
 * others use, too, something always comes too late one day. Many that fail are no accident.
 * @returns the verdicts that count; null where it is not given
 */
async function secondChance(suite, files) {
  if (files.length > MOST_SECOND_CHANCES || files.includes(null)) return null;
  const tries = { passed: 0, failed: 0 };
  let verdicts = [];
  do {
    console.log(`again, alone: ${files.join(' ')}`);
    verdicts = await verdictsOf(suite, files);
    tries[sum(verdicts, 'failed') === 0 ? 'passed' : 'failed'] += 1;
  } while (!interrupted && tries.passed < TRIES_THAT_DECIDE && tries.failed < TRIES_THAT_DECIDE);
  if (tries.passed === TRIES_THAT_DECIDE) console.log(`failed in the whole, and passed alone: ${files.join(' ')}`);
  return verdicts;
}

async function verdictsOf({ name, args }, files) {
  rmSync(verdictsFile, { force: true });
  const { succeeded, seconds } = await run({ args: [...args, ...files] }, 'inherit');
  console.log(`${name.padEnd(10)} ${succeeded ? 'ok' : 'failed'} (${seconds} s)`);
  const verdicts = readVerdicts();
  return succeeded || sum(verdicts, 'failed') > 0 ? verdicts : [...verdicts, { file: null, passed: 0, failed: 1 }];
}

function readVerdicts() {
  try {
    return JSON.parse(readFileSync(verdictsFile, 'utf8')).map((verdict) => ({
      ...verdict,
      file: verdict.file && relative(root, verdict.file),
    }));
  } catch {
    return []; // it ended before it could write them
  }
}

function sum(verdicts, count) {
  return verdicts.reduce((total, verdict) => total + verdict[count], 0);
}

function run({ args }, output) {
  const begun = performance.now();
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, VERDICTS_FILE: verdictsFile },
    stdio: ['ignore', output, output],
  });
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

function suite(name, ...options) {
  const reporters = ['--reporter=default', `--reporter=${join(root, 'scripts', 'verdicts.mjs')}`];
  return tool(name, 'vitest', 'run', ...options, ...reporters);
}

/** A command of a development dependency, without a shell and its differences between systems. */
function tool(name, command, ...args) {
  const packages = { tsc: 'typescript-7' };
  const folder = join(root, 'node_modules', packages[command] ?? command);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return { name, args: [join(folder, typeof bin === 'string' ? bin : bin[command]), ...args] };
}

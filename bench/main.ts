import { keep } from './keep.js';
import { readOptions } from './options.js';
import { REPOSITORY } from './results.js';
import { run } from './run.js';
import { renderResults } from './table.js';

// What has been started is stopped on the way out.
process.on('SIGINT', () => process.exit(130));

const options = readOptions(process.argv.slice(2));
const results = await run(options);
console.log(await renderResults(results));
if (options.complete) {
  await keep(results, REPOSITORY);
  console.log('Kept in bench/results/latest.json and docs/performance.md.');
} else {
  console.log('Not kept: only a run of everything, for as long as by default, is.');
}

// npm run start:dev: compiles what changes and starts the service again. A changed mail template is seen at the next start of this.
import { spawn } from 'node:child_process';
import './build.mjs';

const compiler = [
  'node_modules/typescript/bin/tsc',
  '--build',
  'tsconfig.build.json',
  '--watch',
  '--preserveWatchOutput',
];
const service = ['--watch', '--watch-preserve-output', '--enable-source-maps', 'dist/src/main.js'];
const children = [compiler, service].map((args) => spawn(process.execPath, args, { stdio: 'inherit' }));

for (const child of children) child.on('exit', () => stop());
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop(signal));

function stop(signal = 'SIGTERM') {
  for (const child of children) child.kill(signal);
}

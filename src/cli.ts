#!/usr/bin/env node
import { createHost } from './cli-host.js';
import { runProgram } from './cli/program.js';
import { environment } from './config/env.js';

// Whoever reads may have read enough, as `head` has.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

// The embedded database, where this process started it, ends with it.
process.exit(await runProgram(createHost(environment()), process.argv.slice(2)));

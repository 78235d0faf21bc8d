import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { freePort } from '../support/free-port.js';

const RECIPE = resolve(import.meta.dirname, '../../docs/gateway/nginx.conf');

const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
const program = folders.map((folder) => join(folder, 'nginx')).find((path) => existsSync(path));

/** Nobody must install a gateway to work on something else, but a test that did not run should be seen. */
export const hasNginx = program !== undefined;
if (!hasNginx) process.stderr.write('SKIPPED: nginx is not installed, so docs/gateway/nginx.conf is not tested.\n');

export interface Nginx {
  url: URL;
  stop(): Promise<void>;
}

/** The real nginx with the very file of the papers: only ports and paths are others, unless a test is about a change. */
export async function startNginx(
  { replicas, service }: { replicas: readonly [string, string]; service: string },
  changes: Readonly<Record<string, string>> = {},
): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-nginx-'));
  // The workers are not root.
  chmodSync(folder, 0o755);
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  const text = Object.entries({
    'listen 8080;': `listen 127.0.0.1:${port};`,
    'server 127.0.0.1:3001;': `server ${new URL(replicas[0]).host};`,
    'server 127.0.0.1:3002;': `server ${new URL(replicas[1]).host};`,
    'server 127.0.0.1:8081;': `server ${new URL(service).host};`,
    '/run/nginx.pid': `${folder}/nginx.pid`,
    '/var/log/nginx/error.log': `${folder}/error.log`,
    '/var/log/nginx/access.log': `${folder}/access.log`,
    'http {\n': `http {\n${temporary.join('\n')}\n`,
    ...changes,
  }).reduce(replaceOnce, readFileSync(RECIPE, 'utf8'));
  writeFileSync(join(folder, 'nginx.conf'), text);
  const child = spawn(program ?? 'nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-g', 'daemon off;'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // Ends its workers too, also when a test process ends before its clean-up.
  const end = () => child.kill('SIGTERM');
  process.once('exit', end);
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  await untilListening(port, child, () => complaints);
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    async stop() {
      process.off('exit', end);
      end();
      if (child.exitCode === null) await once(child, 'exit');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function replaceOnce(text: string, [from, to]: [string, string]): string {
  const parts = text.split(from);
  if (parts.length !== 2) throw new Error(`The recipe has "${from}" ${parts.length - 1} times`);
  return parts.join(to);
}

async function untilListening(port: number, child: ChildProcess, complaints: () => string): Promise<void> {
  while (child.exitCode === null) {
    const socket = connect(port, '127.0.0.1');
    const connected = await new Promise<boolean>((answer) => {
      socket.once('connect', () => answer(true)).once('error', () => answer(false));
    });
    socket.destroy();
    if (connected) return;
    await new Promise((wake) => setTimeout(wake, 20));
  }
  throw new Error(`nginx did not start:\n${complaints()}`);
}

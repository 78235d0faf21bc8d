import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../service/main.js', import.meta.url));
const LOOK_EVERY_MS = 50;

/** Whether a Countersign that shows its mails answers there. */
export async function isOurs(url: string): Promise<boolean> {
  const live = await readJson(`${url}/health/live`);
  const outbox = await readJson(`${url}/dev/outbox.json`);
  return live?.['status'] === 'live' && Array.isArray(outbox?.['items']);
}

async function readJson(url: string): Promise<Record<string, unknown> | null> {
  try {
    return (await (await fetch(url, { signal: AbortSignal.timeout(2_000) })).json()) as Record<string, unknown>;
  } catch {
    return null;
  }
}

/** The tour's own server: one at a time, with data in a temporary folder, and nobody's settings but ours. */
export class OwnServer {
  private readonly folder = mkdtempSync(join(tmpdir(), 'countersign-demo-'));
  private child: ChildProcess | null = null;

  /** Starts it, or starts it again with other settings on the same data; answers its address. */
  async start(settings: Record<string, string> = {}): Promise<string> {
    await this.stop();
    const port = await freePort();
    const child = spawn(process.execPath, [MAIN], {
      cwd: this.folder,
      env: { PATH: process.env['PATH'], PORT: String(port), DATA_DIR: join(this.folder, 'data'), ...settings },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.child = child;
    let complaint = '';
    child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    const url = `http://localhost:${port}`;
    while (child.exitCode === null && child.signalCode === null) {
      if ((await readJson(`${url}/health/ready`))?.['status'] === 'ready') return url;
      await sleep(LOOK_EVERY_MS);
    }
    throw new Error(`The tour's own server did not start:\n${complaint}`);
  }

  /** Ends it and removes its data. */
  async end(): Promise<void> {
    await this.stop();
    // PostgreSQL ends a moment after the server.
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  private async stop(): Promise<void> {
    const { child } = this;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('The system gave no port');
  return address.port;
}

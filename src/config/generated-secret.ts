import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigurationError } from './env.js';

/**
 * The secret of a development machine: made at the first start, kept in `DATA_DIR/secret-key` (mode 0600), the
 * same ever after. Never called in production, where SECRET_KEY is required.
 */
export function generatedSecret(dataDir: string): string {
  const file = join(dataDir, 'secret-key');
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    return readSecret(file) ?? createSecret(file);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new ConfigurationError([
      `DATA_DIR: cannot keep a secret in ${file} (${reason}); point DATA_DIR to a writable folder, or set SECRET_KEY and DATABASE_URL`,
    ]);
  }
}

function readSecret(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw cause;
  }
}

/** Written aside and linked into place: of two processes that start at once both end with the same secret. */
function createSecret(file: string): string {
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, `${randomBytes(48).toString('base64url')}\n`, { mode: 0o600 });
  try {
    linkSync(mine, file);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
  } finally {
    unlinkSync(mine);
  }
  return readFileSync(file, 'utf8').trim();
}

/** Why the embedded database cannot run here; the message says what to do about it. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
}

/** What PostgreSQL prints, since LC_ALL=C, for the errors of a folder that Node would give a code for. */
const PRINTED_CODES: readonly [text: string, code: string][] = [
  ['No space left on device', 'ENOSPC'],
  ['Disk quota exceeded', 'EDQUOT'],
  ['Read-only file system', 'EROFS'],
  ['Permission denied', 'EACCES'],
];

export function printedCode(output: string): string | null {
  return PRINTED_CODES.find(([text]) => output.includes(text))?.[1] ?? null;
}

export function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'unknown';
}

export function cannotKeep(folder: string, code: string, cause?: unknown): EmbeddedPostgresError {
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  const remedy = full ? 'free some space, point DATA_DIR to another folder' : 'point DATA_DIR to a writable folder';
  return new EmbeddedPostgresError(`Cannot keep the database in ${folder} (${code}); ${remedy}, or set DATABASE_URL`, {
    cause,
  });
}

export function cannotRun(reason: string): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    `The embedded PostgreSQL cannot run here: ${reason}; set DATABASE_URL to a PostgreSQL server`,
  );
}

/** An error of the file system or of starting a process, as the sentence that says what to do; others as they are. */
export function inPlainWords(cause: unknown, folder: string): unknown {
  if (!(cause instanceof Error) || !('syscall' in cause) || cause instanceof EmbeddedPostgresError) return cause;
  const code = codeOf(cause);
  return String(cause.syscall).startsWith('spawn')
    ? cannotRun(`no process can be started (${code})`)
    : cannotKeep(folder, code, cause);
}

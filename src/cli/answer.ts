/** What a command has to say. */
export interface Answer {
  /** With `--json`: one document. */
  data: unknown;
  /** For people. */
  text: string;
  /** The command did its work, and what it found is not as it should be: exit code 1. */
  bad?: boolean;
}

/** The command was not understood, or not confirmed: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

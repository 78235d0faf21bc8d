import { Problem } from './problems/problem.js';

export type Form = Readonly<Record<string, string | string[]>>;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads a form as it was sent: nothing is trimmed or converted, because its sender may have signed every character.
 * @throws Problem malformed_body
 */
export function parseFormBody(bytes: Buffer): Form {
  const form = Object.create(null) as Record<string, string | string[]>;
  const parameters = new URLSearchParams(textOf(bytes));
  for (const name of new Set(parameters.keys())) {
    const values = parameters.getAll(name);
    form[name] = values.length === 1 ? (values[0] ?? '') : values;
  }
  return form;
}

function textOf(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Problem('malformed_body');
  }
}

import { Problem } from './problems/problem.js';

const MAX_DEPTH = 16;
/** More than any request has: to name 3,000 unknown ones, one by one, held everybody else up for 60 ms. */
const MAX_KEYS = 256;
/**
 * Keys that would reach an object's prototype where somebody copies them without looking, or that every object has
 * already: class-validator's whitelist lets those pass as if a rule named them.
 */
const RESERVED_KEYS = new Set(['prototype', ...Object.getOwnPropertyNames(Object.prototype)]);

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a JSON body strictly: UTF-8 without replacement characters or a byte order mark, bounded depth, few keys, no
 * reserved ones, no NUL (PostgreSQL cannot store it) and no lone surrogates (which are no characters). Refused here, no field
 * of any request needs to think of them.
 * @throws Problem malformed_body
 */
export function parseJsonBody(bytes: Buffer): unknown {
  // No body at all is an object without properties; what is missing is named field by field.
  if (bytes.length === 0) return {};
  const value = parse(bytes);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Problem('malformed_body');
  inspect(value, 1);
  return value;
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    throw new Problem('malformed_body');
  }
}

function inspect(value: unknown, depth: number): void {
  if (typeof value === 'string') return inspectText(value);
  if (typeof value !== 'object' || value === null) return;
  if (depth > MAX_DEPTH) throw new Problem('malformed_body');
  const entries = Object.entries(value);
  if (!Array.isArray(value) && entries.length > MAX_KEYS) throw new Problem('malformed_body');
  for (const [key, inner] of entries) {
    if (RESERVED_KEYS.has(key)) throw new Problem('malformed_body');
    inspectText(key);
    inspect(inner, depth + 1);
  }
}

function inspectText(text: string): void {
  // A lone surrogate does not survive the way to UTF-8 and back.
  if (text.includes('\0') || !text.isWellFormed()) throw new Problem('malformed_body');
}

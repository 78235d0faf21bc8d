import { z } from 'zod';

const MAX_TOKEN_LENGTH = 8_192;

/** Strict: a header with anything else (`jku`, `x5u`, `jwk`, `x5c`, `crit`, `b64`) names keys or rules that are not ours. */
const header = z.strictObject({ alg: z.string(), typ: z.string(), kid: z.string().optional() });

export type TokenHeader = z.infer<typeof header>;

/** The header of a compact JWS (RFC 7515 §3.1), not yet verified; null where the text is none of ours. */
export function readTokenHeader(token: string): TokenHeader | null {
  if (token.length > MAX_TOKEN_LENGTH) return null;
  const parts = token.split('.');
  if (parts.length !== 3 || parts.some((part) => !/^[A-Za-z0-9_-]+$/.test(part))) return null;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(parts[0] ?? '', 'base64url').toString('utf8'));
    return header.safeParse(parsed).data ?? null;
  } catch {
    return null;
  }
}

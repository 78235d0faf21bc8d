import { createHmac, type KeyObject } from 'node:crypto';
import { sameBytes } from '../crypto/codes.js';
import type { RingKey } from '../crypto/keys.js';

const SESSION_BYTES = 16;
const COUNTER_BYTES = 4;
const SECRET_BYTES = 32;
const LENGTH = SESSION_BYTES + COUNTER_BYTES + SECRET_BYTES;

/**
 * A refresh token is the session, its number in the family and 256 bits that only the holder of the server's key and
 * of the session's salt can compute:
 *
 *     HMAC-SHA256(key, salt ‖ session ‖ number)
 *
 * So the database keeps no token, not even a hashed one; a leaked dump opens nothing; the successor of a rotated
 * token can be named again (replay grace) without having been stored; and a token that was ours once is told from an
 * invented one, so that nobody can end a session by guessing at its refresh token.
 */
export interface ParsedRefreshToken {
  sessionId: string;
  counter: number;
  secret: Buffer;
}

export function formatRefreshToken(key: KeyObject, salt: Buffer, sessionId: string, counter: number): string {
  const head = headOf(sessionId, counter);
  return Buffer.concat([head, secretOf(key, salt, head)]).toString('base64url');
}

export function parseRefreshToken(text: string): ParsedRefreshToken | null {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) return null;
  const bytes = Buffer.from(text, 'base64url');
  // The last character holds spare bits: only one spelling of a token is the token.
  if (bytes.length !== LENGTH || bytes.toString('base64url') !== text) return null;
  const hex = bytes.subarray(0, SESSION_BYTES).toString('hex');
  return {
    sessionId: `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`,
    counter: bytes.readUInt32BE(SESSION_BYTES),
    secret: bytes.subarray(SESSION_BYTES + COUNTER_BYTES),
  };
}

/** Whether this service issued the token, now or earlier in the family, with any of its keys. */
export function isGenuine(token: ParsedRefreshToken, ring: readonly RingKey[], salt: Buffer): boolean {
  const head = headOf(token.sessionId, token.counter);
  return ring.some(({ key }) => sameBytes(token.secret, secretOf(key, salt, head)));
}

function headOf(sessionId: string, counter: number): Buffer {
  const head = Buffer.alloc(SESSION_BYTES + COUNTER_BYTES);
  head.write(sessionId.replaceAll('-', ''), 'hex');
  head.writeUInt32BE(counter, SESSION_BYTES);
  return head;
}

function secretOf(key: KeyObject, salt: Buffer, head: Buffer): Buffer {
  return createHmac('sha256', key).update(salt).update(head).digest();
}

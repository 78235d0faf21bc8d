import { createHmac } from 'node:crypto';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The time step of a code (RFC 6238), one before and one after the present one are accepted; null where it is wrong. */
export function stepOf(secret: string, code: string): number | null {
  const key = fromBase32(secret);
  const now = Math.floor(Date.now() / 30_000);
  return [now, now - 1, now + 1].find((step) => codeOf(key, step) === code) ?? null;
}

/** What an authenticator app shows now. */
export function codeNow(secret: string): string {
  return codeOf(fromBase32(secret), Math.floor(Date.now() / 30_000));
}

/** RFC 4226 §5.3 */
function codeOf(key: Buffer, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', key).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 0xf;
  return ((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).toString().padStart(6, '0');
}

function fromBase32(text: string): Buffer {
  const bits = [...text].map((letter) => ALPHABET.indexOf(letter).toString(2).padStart(5, '0')).join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((eight) => Number.parseInt(eight, 2)));
}

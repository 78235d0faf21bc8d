import { createHash } from 'node:crypto';

/** Somebody who is seeded everywhere, with the same address, password and authenticator app. */
export interface Person {
  email: string;
  /** Of the authenticator app, in base32; only those of `WITH_APP` have one. */
  secret: string;
}

/** The half-open ranges of numbers that `personOf` takes. Of an app's user no time step may be needed twice. */
export const WITHOUT_APP = { from: 0, to: 5_000 };
export const WITH_APP = { from: 5_000, to: 10_000 };

export const PASSWORD = 'three uncommon words';

/** The defaults of our ARGON2_… settings; `algorithm: 2` is argon2id, whose enum cannot be imported. */
export const ARGON2 = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

export function personOf(number: number): Person {
  return { email: `person-${number}@example.com`, secret: base32(createHash('sha1').update(`${number}`).digest()) };
}

export function peopleOf({ from, to }: { from: number; to: number }): Person[] {
  return Array.from({ length: to - from }, (_, index) => personOf(from + index));
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** RFC 4648 §6, for the twenty bytes of a SHA-1 hash, which need no padding. */
function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? []).map((five) => ALPHABET[Number.parseInt(five, 2)]).join('');
}

import { Injectable } from '@nestjs/common';
import { createHmac, randomBytes, type KeyObject } from 'node:crypto';
import { Keys } from '../../crypto/keys.js';
import type { Asked, Created, DeviceState, Method, Question, Verdict } from './method.js';

/** 120 bits, as 24 characters in groups of six: nothing to guess, and still something to type. */
const CODE_BYTES = 15;
/** Crockford's base32: no I, L, O and U, which people misread. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/**
 * A sheet of codes for the day when the phone is gone. Each is good for one sign-in; at rest there is only a keyed
 * hash. It is never asked for first, and never the only device.
 */
@Injectable()
export class RecoveryCodesMethod implements Method {
  readonly type = 'recovery_codes';
  readonly amr = ['recovery'];
  readonly sends = false;
  readonly preferredOnceConfirmed = false;

  constructor(private readonly keys: Keys) {}

  /** A sheet is made with the first device, not asked for like one. */
  create(): Promise<Created> {
    return Promise.resolve({
      ok: false,
      errors: [{ field: 'type', messages: ['recovery codes come with the first confirmed device'] }],
    });
  }

  ask(): Question {
    return { codeHash: null, message: null };
  }

  /** Whether the hash is on the sheet and unused is the database's to say, in the statement that uses it. */
  verify(device: DeviceState, _asked: Asked, typed: string): Verdict {
    const code = readCode(typed);
    if (code === null) return { ok: false, reason: 'wrong' };
    return {
      ok: true,
      next: { recoveryCodeHashes: this.keys.ring('recovery-codes').map(({ key }) => hashOf(key, device.id, code)) },
    };
  }

  /** Codes as they are shown, once, with what is stored of each. */
  generate(deviceId: string, count: number): { code: string; hash: Buffer }[] {
    const key = this.keys.for('recovery-codes');
    return Array.from({ length: count }, () => {
      const code = encode(randomBytes(CODE_BYTES));
      return { code: (code.match(/.{6}/g) ?? []).join('-'), hash: hashOf(key, deviceId, code) };
    });
  }
}

function hashOf(key: KeyObject, deviceId: string, code: string): Buffer {
  return createHmac('sha256', key).update(`${deviceId}\0${code}`).digest();
}

/** What people make of it: lower case, spaces, O for 0, I and L for 1; null where it is no code. */
function readCode(typed: string): string | null {
  const code = typed.normalize('NFKC').toUpperCase().replace(/[\s-]/gu, '').replaceAll('O', '0').replace(/[IL]/g, '1');
  return /^[0-9A-HJKMNP-TV-Z]{24}$/.test(code) ? code : null;
}

function encode(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? []).map((group) => ALPHABET[Number.parseInt(group, 2)]).join('');
}

import { Injectable } from '@nestjs/common';
import { Config } from '../../config/config.js';
import { codeHash, randomCode, sameBytes } from '../../crypto/codes.js';
import { Keys } from '../../crypto/keys.js';
import { canonicalEmail } from '../../users/identity.js';
import {
  normalizeCode,
  type Asked,
  type Created,
  type DeviceState,
  type Method,
  type NewDevice,
  type Question,
  type Verdict,
} from './method.js';

/** A code sent by mail: bound to its challenge, replaced by the next one that is sent for it. */
@Injectable()
export class EmailMethod implements Method {
  readonly type = 'email';
  readonly amr = ['email'];
  readonly sends = true;
  readonly preferredOnceConfirmed = false;
  private readonly hashKey: Buffer;

  constructor(
    private readonly config: Config,
    keys: Keys,
  ) {
    this.hashKey = keys.for('codes');
  }

  create({ email }: NewDevice): Promise<Created> {
    const address = email === undefined ? null : canonicalEmail(email);
    if (address !== null) return Promise.resolve({ ok: true, address, secret: null, shownOnce: null });
    return Promise.resolve({ ok: false, errors: [{ field: 'email', messages: ['must be an e-mail address'] }] });
  }

  ask(device: DeviceState, { challengeId, purpose }: Omit<Asked, 'codeHash'>): Question {
    const { emailLength, characters, ttlSeconds } = this.config.codes;
    const code = randomCode(emailLength, characters);
    return {
      codeHash: codeHash(this.hashKey, purpose, challengeId, code),
      message: {
        kind: purpose === 'confirm' ? 'device-code' : 'sign-in-code',
        to: device.address ?? '',
        code,
        minutes: Math.ceil(ttlSeconds / 60),
      },
    };
  }

  verify(_device: DeviceState, asked: Asked, typed: string): Verdict {
    if (asked.codeHash === null) return { ok: false, reason: 'wrong' };
    const hash = codeHash(this.hashKey, asked.purpose, asked.challengeId, normalizeCode(typed));
    return sameBytes(hash, asked.codeHash) ? { ok: true, lastStep: null } : { ok: false, reason: 'wrong' };
  }
}

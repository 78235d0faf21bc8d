import { Injectable } from '@nestjs/common';
import { Config } from '../../config/config.js';
import { Keys } from '../../crypto/keys.js';
import type { CodeMessage } from '../../notifications/messages.js';
import { canonicalEmail } from '../../users/identity.js';
import type { ChallengePurpose } from '../challenge.entity.js';
import type { Asked, Created, DeviceState, Method, NewDevice, Question, Verdict } from './method.js';
import { compareCode, makeCode } from './sent-code.js';

const KINDS = {
  first_factor: 'first-factor-code',
  // A mailbox gets a link instead.
  reset: 'first-factor-code',
  sign_in: 'sign-in-code',
  step_up: 'sign-in-code',
  confirm: 'device-code',
  registration: 'device-code',
} as const satisfies Record<ChallengePurpose, CodeMessage['kind']>;

/** A code sent by mail: bound to its challenge, replaced by the next one that is sent for it. */
@Injectable()
export class EmailMethod implements Method {
  readonly type = 'email';
  readonly amr = ['email'];
  readonly sends = true;
  readonly preferredOnceConfirmed = false;

  constructor(
    private readonly config: Config,
    private readonly keys: Keys,
  ) {}

  create({ email, phoneNumber }: NewDevice): Promise<Created> {
    const address = email === undefined ? null : canonicalEmail(email);
    if (address !== null && phoneNumber === undefined) {
      return Promise.resolve({ ok: true, address, secret: null, shownOnce: null });
    }
    const field = address === null ? 'email' : 'phoneNumber';
    const message = address === null ? 'must be an e-mail address' : 'does not belong to a mailbox';
    return Promise.resolve({ ok: false, errors: [{ field, messages: [message] }] });
  }

  ask(device: DeviceState, challenge: Omit<Asked, 'codeHash'>): Question {
    const { emailLength, characters, ttlSeconds } = this.config.codes;
    const { code, codeHash } = makeCode(this.keys, challenge, emailLength, characters);
    const minutes = Math.ceil(ttlSeconds / 60);
    const message: CodeMessage = { kind: KINDS[challenge.purpose], to: device.address ?? '', code, minutes };
    return { codeHash, message };
  }

  verify(_device: DeviceState, asked: Asked, typed: string): Verdict {
    return compareCode(this.keys, asked, typed);
  }
}

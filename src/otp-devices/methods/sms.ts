import { Injectable } from '@nestjs/common';
import { Config } from '../../config/config.js';
import { Keys } from '../../crypto/keys.js';
import type { CodeTextKind } from '../../notifications/messages.js';
import { CodeVerifier, type CodeVerdict } from '../../notifications/verify-provider.js';
import { parsePhone, phoneFault } from '../../users/phone.js';
import type { ChallengePurpose } from '../challenge.entity.js';
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
import { compareCode, makeCode } from './sent-code.js';

const KINDS = {
  first_factor: 'first-factor-code',
  reset: 'password-reset-code',
  sign_in: 'sign-in-code',
  step_up: 'sign-in-code',
  confirm: 'device-code',
  registration: 'device-code',
} as const satisfies Record<ChallengePurpose, CodeTextKind>;

/**
 * A code sent by text message. With the driver `twilio-verify` Twilio makes, sends and checks it; otherwise it is ours
 * like an e-mailed one.
 */
@Injectable()
export class SmsMethod implements Method {
  readonly type = 'sms';
  readonly amr = ['sms'];
  readonly sends = true;
  readonly preferredOnceConfirmed = false;

  constructor(
    private readonly config: Config,
    private readonly verifier: CodeVerifier,
    private readonly keys: Keys,
  ) {}

  create({ email, phoneNumber }: NewDevice): Promise<Created> {
    const refuse = (field: string, message: string): Promise<Created> =>
      Promise.resolve({ ok: false, errors: [{ field, messages: [message] }] });
    if (email !== undefined) return refuse('email', 'does not belong to a phone');
    const phone = phoneNumber === undefined ? null : parsePhone(phoneNumber);
    if (!phone) return refuse('phoneNumber', 'must be a phone number with its country code, such as +49 30 123456');
    const fault = phoneFault(phone, this.config.sms.countries);
    if (fault !== null) return refuse('phoneNumber', fault);
    return Promise.resolve({ ok: true, address: phone.e164, secret: null, shownOnce: null });
  }

  ask(device: DeviceState, challenge: Omit<Asked, 'codeHash'>): Question {
    const to = device.address ?? '';
    if (this.config.sms.driver === 'twilio-verify') return { codeHash: null, message: null, verification: { to } };
    const { smsLength, characters, ttlSeconds } = this.config.codes;
    const { code, codeHash } = makeCode(this.keys, challenge, smsLength, characters);
    const minutes = Math.ceil(ttlSeconds / 60);
    return { codeHash, message: { channel: 'sms', kind: KINDS[challenge.purpose], to, code, minutes } };
  }

  verify(_device: DeviceState, asked: Asked, typed: string): Verdict {
    return compareCode(this.keys, asked, typed);
  }

  checkRemotely(providerId: string, typed: string): Promise<CodeVerdict> {
    return this.verifier.check(providerId, normalizeCode(typed));
  }
}

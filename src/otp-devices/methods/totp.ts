import { Injectable } from '@nestjs/common';
import { NodeCryptoPlugin } from '@otplib/plugin-crypto-node';
import { generateSecret, generateURI, verifySync } from 'otplib';
import { Config } from '../../config/config.js';
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

const STEP_SECONDS = 30;
const DIGITS = 6;
/** 160 bits, the length of the HMAC's output (RFC 4226 §4, R6). */
const SECRET_BYTES = 20;

const crypto = new NodeCryptoPlugin();

/** An authenticator app: TOTP with SHA-1, six digits and 30-second steps (RFC 6238), what every app understands. */
@Injectable()
export class TotpMethod implements Method {
  readonly type = 'totp';
  readonly amr = ['otp'];
  readonly sends = false;
  readonly preferredOnceConfirmed = true;

  constructor(private readonly config: Config) {}

  async create({ email, phoneNumber, account }: NewDevice): Promise<Created> {
    if (email !== undefined || phoneNumber !== undefined) {
      return {
        ok: false,
        errors: [
          {
            field: email === undefined ? 'phoneNumber' : 'email',
            messages: ['does not belong to an authenticator app'],
          },
        ],
      };
    }
    const secret = generateSecret({ length: SECRET_BYTES, crypto });
    const otpauthUrl = generateURI({ issuer: this.config.twoFactor.totpIssuer, label: account, secret });
    // Sixty files that most processes never need.
    const { default: QRCode } = await import('qrcode');
    const svg = await QRCode.toString(otpauthUrl, { type: 'svg', errorCorrectionLevel: 'M', margin: 2 });
    const qrCode = `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`;
    return { ok: true, address: null, secret, shownOnce: { secret, otpauthUrl, qrCode } };
  }

  ask(): Question {
    return { codeHash: null, message: null };
  }

  verify(device: DeviceState, _asked: Asked, typed: string, now: Date): Verdict {
    const token = normalizeCode(typed);
    // The library throws on anything else.
    if (device.secret === null || !/^[0-9]{6}$/.test(token)) return { ok: false, reason: 'wrong' };
    const result = verifySync({
      strategy: 'totp',
      crypto,
      secret: device.secret,
      token,
      digits: DIGITS,
      period: STEP_SECONDS,
      epoch: Math.floor(now.getTime() / 1000),
      epochTolerance: this.config.twoFactor.totpWindow * STEP_SECONDS,
    });
    if (!result.valid || !('timeStep' in result)) return { ok: false, reason: 'wrong' };
    // A code seen over a shoulder, or the one that confirmed the device, is worth nothing a second time.
    if (device.lastStep !== null && result.timeStep <= device.lastStep) return { ok: false, reason: 'replayed' };
    return { ok: true, next: { lastStep: result.timeStep } };
  }
}

import { NodeCryptoPlugin } from '@otplib/plugin-crypto-node';
import { generateSync } from 'otplib';
import type { Clock } from '../../src/clock/clock.js';

const crypto = new NodeCryptoPlugin();

/** What an authenticator app shows at this moment, or `steps` of 30 seconds from it. */
export function totpCode(secret: string, clock: Clock, steps = 0): string {
  return generateSync({ secret, crypto, epoch: clock.seconds() + steps * 30 });
}

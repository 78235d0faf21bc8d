import { Injectable } from '@nestjs/common';
import { createHmac, type KeyObject } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { Config } from '../config/config.js';
import { Keys } from '../crypto/keys.js';
import type { SendPermission } from './send-permission.js';
import { forgetSends, secondsUntilSend, takeSend, type SendLimits } from './sends.queries.js';

/** Messages to one destination, all purposes together: a cooldown between two, and a few an hour and a day. */
@Injectable()
export class DestinationLimit {
  private readonly hashKey: KeyObject;
  private readonly limits: SendLimits;

  constructor({ codes, limits }: Config, keys: Keys) {
    this.hashKey = keys.for('counters');
    this.limits = { cooldownSeconds: codes.resendCooldownSeconds, rates: limits.sendPerDestination };
  }

  /** Takes one send in the caller's transaction; of parallel requests exactly one gets it. */
  async take(tx: EntityManager, destination: string): Promise<SendPermission> {
    const key = this.keyOf(destination);
    if (await takeSend(tx, key, this.limits)) return { allowed: true };
    const retryAfter = await secondsUntilSend(tx, key, this.limits);
    return { allowed: false, refusal: 'code_recently_sent', retryAfter };
  }

  /** The right code came back: whoever reads this destination asked for the messages, so they do not count. */
  forgive(tx: EntityManager, destination: string): Promise<void> {
    return forgetSends(tx, this.keyOf(destination));
  }

  private keyOf(destination: string): Buffer {
    return createHmac('sha256', this.hashKey).update(`destination\0${destination}`).digest();
  }
}

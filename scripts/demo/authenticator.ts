import { NodeCryptoPlugin } from '@otplib/plugin-crypto-node';
import { generateSync } from 'otplib';
import type { Narrator } from './narrator.js';

const STEP_SECONDS = 30;
/** A code asked for so shortly before its step ends might arrive too late. */
const MARGIN_SECONDS = 2;

const crypto = new NodeCryptoPlugin();
const now = (): number => Date.now() / 1000;

/**
 * Stands for the app on a phone. Every step's code is good once, and the server accepts the step before and the one
 * after the present: taking the oldest that is still good saves the tour from waiting half a minute between codes.
 */
export class Authenticator {
  private lastStep = 0;

  constructor(
    private readonly secret: string,
    private readonly narrator: Narrator,
  ) {}

  /** The code that was given last. */
  get lastCode(): string {
    return this.codeOf(this.lastStep);
  }

  async nextCode(): Promise<string> {
    const oldest = Math.floor((now() + MARGIN_SECONDS) / STEP_SECONDS) - 1;
    const step = Math.max(oldest, this.lastStep + 1);
    const wait = (step - 1) * STEP_SECONDS - now();
    if (wait > 0) await this.narrator.wait(wait, 'the next code must be of a new 30-second step');
    this.lastStep = step;
    return this.lastCode;
  }

  /** A code of none of the steps that are accepted. */
  wrongCode(): string {
    const near = [-2, -1, 0, 1, 2].map((offset) => this.codeOf(Math.floor(now() / STEP_SECONDS) + offset));
    return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !near.includes(code)) ?? '';
  }

  private codeOf(step: number): string {
    return generateSync({ secret: this.secret, crypto, epoch: step * STEP_SECONDS });
  }
}

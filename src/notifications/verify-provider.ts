import { SmsRefusedError } from './sms.js';

/** What a provider says about a code. */
export type CodeVerdict =
  | 'approved'
  | 'wrong'
  /** It ran out, was approved before, or never was. */
  | 'expired'
  /** Too many wrong codes; also the right one is refused now. */
  | 'exhausted'
  /** It did not answer, so nothing is known. Never to be taken for a right code. */
  | 'unavailable';

/** Somebody else makes the code, sends it, counts the guesses and compares. */
export abstract class CodeVerifier {
  /**
   * Sends a code, or the same code again where the number has one that is still open.
   * @throws SmsRefusedError, SmsUnavailableError
   */
  abstract start(to: string): Promise<{ providerId: string }>;

  abstract check(providerId: string, code: string): Promise<CodeVerdict>;
}

/** Where codes are made and checked here. */
export class NoVerifier extends CodeVerifier {
  start(): Promise<never> {
    return Promise.reject(new SmsRefusedError('No driver makes and checks codes (SMS_DRIVER)'));
  }

  check(): Promise<CodeVerdict> {
    return Promise.resolve('unavailable');
  }
}

export interface Sms {
  /** The same for every attempt at the same message. */
  messageId: string;
  /** In E.164 form. */
  to: string;
  body: string;
}

/** Hands a text message to whoever delivers it. */
export abstract class SmsSender {
  /**
   * @returns the name under which the provider reports what became of it, where there is one
   * @throws SmsRefusedError when this message will never be taken, SmsUnavailableError when another attempt is worth
   * it. No error's message names the number or the code: it is stored and logged.
   */
  abstract send(sms: Sms): Promise<{ providerId: string | null }>;
}

/**
 * Why nothing is sent to a number: it is none that gets text messages (`number`), its owner, its country or the
 * provider's fraud protection forbids it (`blocked`), it got too many codes lately (`too_many`), or the provider
 * refuses for a reason of its own (`other`).
 */
export type SmsRefusal = 'number' | 'blocked' | 'too_many' | 'other';

/** Never worth another attempt. */
export class SmsRefusedError extends Error {
  override readonly name = 'SmsRefusedError';

  constructor(
    readonly reason: SmsRefusal,
    message: string,
  ) {
    super(message);
  }
}

/** Worth another attempt, a little later. */
export class SmsUnavailableError extends Error {
  override readonly name = 'SmsUnavailableError';
}

/** Where no driver sends text messages. Whoever asks nevertheless has not looked at `config.sms.driver`. */
export class NoSms extends SmsSender {
  send(): Promise<never> {
    return Promise.reject(new SmsRefusedError('other', 'No driver sends text messages (SMS_DRIVER)'));
  }
}

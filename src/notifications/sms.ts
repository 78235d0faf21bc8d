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
   * @throws SmsRefusedError when this message will never be taken, SmsUnavailableError when another attempt is worth
   * it. No error's message names the number or the code: it is stored and logged.
   */
  abstract send(sms: Sms): Promise<void>;
}

/** Never worth another attempt. */
export class SmsRefusedError extends Error {
  override readonly name = 'SmsRefusedError';
}

/** Worth another attempt, a little later. */
export class SmsUnavailableError extends Error {
  override readonly name = 'SmsUnavailableError';
}

/** Where no driver sends text messages. Whoever asks nevertheless has not looked at `config.sms.driver`. */
export class NoSms extends SmsSender {
  send(): Promise<never> {
    return Promise.reject(new SmsRefusedError('No driver sends text messages (SMS_DRIVER)'));
  }
}

export interface Mail {
  /** The same for every attempt at the same message, so that a mail server or reader can drop a duplicate. */
  messageId: string;
  to: string;
  subject: string;
  text: string;
  html: string;
}

/** Hands a mail to whoever delivers it. */
export abstract class Mailer {
  /**
   * @throws MailRefusedError when this mail will never be taken, MailUnansweredError when it may have been taken; any
   * other error is worth another attempt. No error's message names the recipient: it is stored and logged.
   */
  abstract send(mail: Mail): Promise<void>;
}

export class MailRefusedError extends Error {
  override readonly name = 'MailRefusedError';
}

/** The whole mail was handed over, and then the server said nothing: perhaps it delivers it, perhaps not. */
export class MailUnansweredError extends Error {
  override readonly name = 'MailUnansweredError';
}

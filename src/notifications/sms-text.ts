import type { SmsTexts, TextMessage } from './messages.js';
import type { Locale } from './locale.js';
import * as german from './templates/de/sms.js';
import * as english from './templates/en/sms.js';

const texts: Readonly<Record<Locale, SmsTexts>> = { en: english.sms, de: german.sms };

/** What fits into one message of the GSM alphabet (3GPP TS 23.038). */
const ONE_MESSAGE = 160;

/**
 * The whole body. The last line of a code binds the code to our site (https://wicg.github.io/sms-one-time-codes/), so that
 * browsers offer it there and nowhere else; a host so long that it would cost a second message is left out.
 */
export function smsText(message: TextMessage, publicUrl: string, locale: Locale = 'en'): string {
  if (message.kind === 'invitation') return texts[locale].invitation(message);
  const text = texts[locale][message.kind](message);
  const bound = `${text}\n\n@${new URL(publicUrl).hostname} #${message.code}`;
  return bound.length <= ONE_MESSAGE ? bound : text;
}

import { createTransport } from 'nodemailer';
import type { Config } from '../config/config.js';
import { mailerOptions } from '../notifications/smtp.js';
import { TwilioClient, TwilioError } from '../notifications/twilio-client.js';
import { failed, ok, warning, type Check } from './check.js';

/** Connects and logs in, and sends nothing. */
export async function checkMail(config: Config): Promise<Check> {
  if (config.mail.smtpUrl === null) return warning('mail', 'SMTP_URL is not set: mails are only shown at /dev/outbox');
  const transport = createTransport(mailerOptions(config).transport as Parameters<typeof createTransport>[0]);
  try {
    await transport.verify();
    return ok('mail', 'the mail server lets this service in');
  } catch (cause) {
    const { code, responseCode } = cause as { code?: string; responseCode?: number };
    const what = [code, responseCode].filter(Boolean).join(' ') || 'unknown error';
    return failed('mail', `the mail server does not let this service in (${what}); start it, or correct SMTP_URL`);
  } finally {
    transport.close();
  }
}

/** Reads the account, which costs nothing. */
export async function checkTextMessages({ sms }: Config): Promise<Check> {
  const { accountSid } = sms.twilio;
  if (sms.driver === null) return ok('text messages', 'no SMS_DRIVER is set: none are sent');
  if (sms.driver === 'outbox') return warning('text messages', 'they are only shown at /dev/outbox');
  const client = new TwilioClient(sms.twilio);
  try {
    const { status } = await client.ask(client.breaker('accounts'), (twilio) =>
      twilio.api.v2010.accounts(accountSid ?? '').fetch(),
    );
    if (status === 'active') return ok('text messages', 'Twilio knows the account');
    return failed('text messages', `the Twilio account is ${status}`);
  } catch (cause) {
    const what = cause instanceof TwilioError ? cause.message : 'its client does not work';
    return failed('text messages', `Twilio refuses or cannot be reached (${what}); check the TWILIO_… settings`);
  }
}

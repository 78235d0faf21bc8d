import { Injectable } from '@nestjs/common';
import { MailerService, type MailerOptions } from '@nestjs-modules/mailer';
import { Config } from '../config/config.js';
import { Mailer, MailRefusedError, type Mail } from './channels.js';

/** Milliseconds. */
const PHASE_TIMEOUT = 10_000;
/** For all phases together: a server that answers one byte at a time passes every other limit. */
const SEND_TIMEOUT = 30_000;

/**
 * The transport of @nestjs-modules/mailer. It gets mails that are rendered: with no template adapter and no
 * `context` it does not look into them, so braces in a name stay braces.
 */
export function mailerOptions({ mail }: Config): MailerOptions {
  // it insists on a transport; this one sends nothing, and nothing is handed to it
  if (mail.smtpUrl === null) return { transport: { jsonTransport: true } };
  return {
    transport: {
      url: mail.smtpUrl,
      connectionTimeout: PHASE_TIMEOUT,
      greetingTimeout: PHASE_TIMEOUT,
      socketTimeout: PHASE_TIMEOUT,
      dnsTimeout: PHASE_TIMEOUT,
      disableFileAccess: true,
      disableUrlAccess: true,
    },
  };
}

@Injectable()
export class SmtpMailer extends Mailer {
  private readonly from: string;
  private readonly domain: string;

  constructor(
    private readonly transport: MailerService,
    config: Config,
  ) {
    super();
    this.from = config.mail.from;
    this.domain = /@([\w.-]+)/.exec(this.from)?.[1] ?? 'localhost';
  }

  async send({ messageId, to, subject, text, html }: Mail): Promise<void> {
    const options = {
      from: this.from,
      // an object, because a text is parsed as a list: one address must never become two recipients
      to: { name: '', address: to },
      subject,
      text,
      html,
      messageId: `<${messageId}@${this.domain}>`,
      // RFC 3834 §5: nobody's out-of-office notice is wanted
      headers: { 'Auto-Submitted': 'auto-generated' },
      xMailer: false as const,
      signal: AbortSignal.timeout(SEND_TIMEOUT),
    };
    try {
      await this.transport.sendMail(options);
    } catch (error) {
      throw withoutAddress(error as SmtpError);
    }
  }
}

interface SmtpError {
  code?: string;
  command?: string;
  responseCode?: number;
}

/** What a server answers often repeats the address, so only the numbers are kept. */
function withoutAddress(error: SmtpError): Error {
  const what = [error.code ?? 'unknown error', error.command, error.responseCode].filter(Boolean).join(' ');
  return isRefusal(error)
    ? new MailRefusedError(`The mail server refused the mail (${what})`)
    : new Error(`The mail server did not take the mail (${what})`);
}

/**
 * Final is what is said about this mail: a permanent answer (RFC 5321 §4.2.1) to its recipient or content, or an
 * address that cannot be written into the dialogue. A 5xx to a greeting, a login or the sender is a configuration
 * that somebody is about to correct, and 4xx is how greylisting asks to come again.
 */
function isRefusal({ code, command, responseCode }: SmtpError): boolean {
  if (command === 'RCPT TO' || command === 'DATA') return responseCode !== undefined && responseCode >= 500;
  return code === 'EENVELOPE' && command === 'API';
}

import type { OnApplicationShutdown } from '@nestjs/common';
import type { MailerOptions, MailerService } from '@nestjs-modules/mailer';
import type { Readable } from 'node:stream';
import type { Config } from '../config/config.js';
import { Mailer, MailRefusedError, MailUnansweredError, type Mail } from './channels.js';

/** Milliseconds. */
const PHASE_TIMEOUT = 10_000;
/** For all phases together: a server that answers one byte at a time passes every other limit. */
const SEND_TIMEOUT = 30_000;

/**
 * Connections are kept for the next mail: with TLS and a login, a new one costs more round trips than the mail itself. As
 * many as there are jobs at a time, and not for long: no mail server likes to be held by somebody who says nothing.
 */
const KEPT_CONNECTIONS = 4;
const KEPT_FOR = 30_000;

/** Called when the last byte of a mail goes to the server, which is not asked to take it before that. */
type HandedOver = () => void;

/** What the plugin below uses of nodemailer's mail. */
interface MailInTransport {
  data: { handedOver?: HandedOver };
  message: { processFunc(process: (stream: Readable) => Readable): void };
}

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
      pool: true,
      maxConnections: KEPT_CONNECTIONS,
      idleTimeout: KEPT_FOR,
      // Over another connection where one that was kept has died, and only if nothing of the mail had gone over it.
      maxRequeues: 1,
      connectionTimeout: PHASE_TIMEOUT,
      greetingTimeout: PHASE_TIMEOUT,
      socketTimeout: PHASE_TIMEOUT,
      dnsTimeout: PHASE_TIMEOUT,
      disableFileAccess: true,
      disableUrlAccess: true,
    },
    plugins: [{ step: 'stream', plugin: tellWhenHandedOver }],
  };
}

/**
 * nodemailer's errors do not tell whether a connection was lost before or after the whole mail had gone over it. The
 * stream that it sends does: nobody reads it before the server has agreed to take it.
 */
function tellWhenHandedOver({ data, message }: MailInTransport, done: () => void): void {
  const { handedOver } = data;
  if (handedOver) message.processFunc((stream) => stream.once('end', handedOver));
  done();
}

export class SmtpMailer extends Mailer implements OnApplicationShutdown {
  private readonly from: string;
  private readonly domain: string;
  private readonly closeConnections: () => Promise<void>;

  constructor(
    private readonly transport: MailerService,
    config: Config,
  ) {
    super();
    // The library closes its connections first of all, and the jobs that are being finished could not mail any more.
    this.closeConnections = transport.onModuleDestroy.bind(transport);
    transport.onModuleDestroy = () => Promise.resolve();
    this.from = config.mail.from;
    this.domain = /@([\w.-]+)/.exec(this.from)?.[1] ?? 'localhost';
  }

  onApplicationShutdown(): Promise<void> {
    return this.closeConnections();
  }

  async send({ messageId, to, subject, text, html }: Mail): Promise<void> {
    let handedOver = false;
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
      handedOver: () => {
        handedOver = true;
      },
    };
    try {
      await this.transport.sendMail(options);
    } catch (error) {
      throw withoutAddress(error as SmtpError, handedOver);
    }
  }
}

interface SmtpError {
  code?: string;
  command?: string;
  responseCode?: number;
}

/** What a server answers often repeats the address, so only the numbers are kept. */
function withoutAddress(error: SmtpError, handedOver: boolean): Error {
  const what = [error.code ?? 'unknown error', error.command, error.responseCode].filter(Boolean).join(' ');
  if (isRefusal(error)) return new MailRefusedError(`The mail server refused the mail (${what})`);
  if (handedOver && error.responseCode === undefined) {
    return new MailUnansweredError(`The mail server got the mail and did not answer (${what})`);
  }
  return new Error(`The mail server did not take the mail (${what})`);
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

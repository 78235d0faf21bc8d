import type { MessageListInstanceCreateOptions } from 'twilio/lib/rest/api/v2010/account/message.js';
import type { Config } from '../config/config.js';
import { SmsSender, SmsUnavailableError, type Sms } from './sms.js';
import { CodeVerifier, type CodeVerdict } from './verify-provider.js';
import { TwilioClient, TwilioError } from './twilio-client.js';

/** Where Twilio reports what became of a message. */
export const TWILIO_STATUS_PATH = '/api/v1/webhooks/twilio/status';

/** Programmable Messaging: codes are made, kept and checked here. One attempt a call; the queue makes the others. */
export class TwilioMessages extends SmsSender {
  private readonly client: TwilioClient;
  private readonly breaker;

  constructor(private readonly config: Config) {
    super();
    this.client = new TwilioClient(config.sms.twilio);
    this.breaker = this.client.breaker('text messages');
  }

  async send({ messageId, to, body }: Sms): Promise<void> {
    const { from } = this.config.sms.twilio;
    const message: MessageListInstanceCreateOptions = {
      to,
      body,
      ...(from?.startsWith('MG') ? { messagingServiceSid: from } : { from: from ?? '' }),
      ...statusCallback(this.config.server.publicUrl, messageId),
      // seconds; a code that has expired must not arrive
      validityPeriod: this.config.codes.ttlSeconds,
    };
    try {
      await this.client.ask(this.breaker, (twilio) => twilio.messages.create(message));
    } catch (error) {
      throw this.client.toSmsError(error);
    }
  }
}

/** Twilio Verify, version 2: Twilio makes the codes, sends them and checks them. */
export class TwilioVerify extends CodeVerifier {
  private readonly client: TwilioClient;
  private readonly starts;
  private readonly checks;

  constructor(private readonly config: Config) {
    super();
    this.client = new TwilioClient(config.sms.twilio);
    this.starts = this.client.breaker('verifications');
    this.checks = this.client.breaker('checks of verifications');
  }

  async start(to: string): Promise<{ providerId: string }> {
    let providerId: string | null;
    try {
      const { sid } = await this.client.ask(this.starts, (twilio) =>
        twilio.verify.v2.services(this.serviceSid).verifications.create({ to, channel: 'sms' }),
      );
      providerId = idOrNull(sid);
    } catch (error) {
      throw this.client.toSmsError(error);
    }
    if (providerId === null) throw new SmsUnavailableError('Twilio answered without a verification');
    return { providerId };
  }

  /** Asked once: a second question about the same guess would be counted as another one. */
  async check(providerId: string, code: string): Promise<CodeVerdict> {
    // the length is a setting of the Verify service (4 to 10 digits); anything else needs no question
    if (!/^[0-9]{4,10}$/.test(code)) return 'wrong';
    try {
      const { status } = await this.client.ask(
        this.checks,
        (twilio) =>
          twilio.verify.v2.services(this.serviceSid).verificationChecks.create({ verificationSid: providerId, code }),
        (error) => verdictOn(error) !== null,
      );
      return VERDICTS[status] ?? 'unavailable';
    } catch (error) {
      const verdict = error instanceof TwilioError ? verdictOn(error) : null;
      if (verdict === null && error instanceof TwilioError) this.client.report('A code was not checked', error);
      return verdict ?? 'unavailable';
    }
  }

  private get serviceSid(): string {
    return this.config.sms.twilio.verifyServiceSid ?? '';
  }
}

/** What an error says about the code; null where it says nothing about it. */
function verdictOn({ code }: TwilioError): CodeVerdict | null {
  switch (code) {
    // Twilio forgets a verification that was approved, has expired or was guessed at too often
    case 20404:
      return 'expired';
    case 60202:
    case 60203:
      return 'exhausted';
    case 60200:
      return 'wrong';
    default:
      return null;
  }
}

/** The states of a verification after a check. `pending` is one that a wrong code did not close. */
const VERDICTS: Readonly<Record<string, CodeVerdict>> = {
  approved: 'approved',
  pending: 'wrong',
  canceled: 'expired',
  expired: 'expired',
  deleted: 'expired',
  failed: 'expired',
  max_attempts_reached: 'exhausted',
};

/** Twilio refuses a URL that it cannot reach, so a development machine gets no reports. */
function statusCallback(publicUrl: string, messageId: string): { statusCallback?: string } {
  if (!publicUrl.startsWith('https:')) return {};
  return { statusCallback: `${publicUrl}${TWILIO_STATUS_PATH}?messageId=${messageId}` };
}

/** An answer that is not Twilio's, such as a proxy's page, has no id. */
function idOrNull(sid: unknown): string | null {
  return typeof sid === 'string' && /^[A-Z]{2}[0-9a-fA-F]{32}$/.test(sid) ? sid : null;
}

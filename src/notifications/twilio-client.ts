import { Logger } from '@nestjs/common';
import type { Twilio } from 'twilio';
import type RequestClient from 'twilio/lib/base/RequestClient.js';
import type { Config } from '../config/config.js';
import { CircuitBreaker, CircuitOpenError } from './circuit-breaker.js';
import { SmsRefusedError, SmsUnavailableError } from './sms.js';

/** Milliseconds for a whole request, from the connection to the last byte of the answer. */
const REQUEST_TIMEOUT = 5_000;
const FAILURES_BEFORE_PAUSE = 5;
/** Milliseconds. */
const PAUSE = 30_000;

/** Codes of Twilio's error dictionary (https://www.twilio.com/docs/api/errors) that are about one number. */
const REFUSALS: ReadonlySet<number> = new Set([
  21211, // not a phone number
  21214, // cannot be reached
  21217, // does not look like one
  21614, // not a mobile number
  60200, // a parameter of a verification that is not valid, and only the number varies
  60205, // a landline
  21408, // its country is not enabled
  21610, // its owner answered STOP
  21612, // no way from this sender to it
  60410, // fraud protection, for a prefix
  60412, // fraud protection, for a sign-up
  60605, // its country is blocked
  60202, // too many checks
  60203, // too many sends
  60207, // too many sends, by a limit of the Verify service
]);

/** The same about our side: it will work again once somebody has corrected a setting, here or at Twilio. */
const MISCONFIGURED: ReadonlySet<number> = new Set([
  20003, // credentials
  20404, // account or service
  21212, // sender
  21603, // sender missing
  21606, // sender that cannot send text messages
  21659, // sender of nobody
  21660, // sender of another account
  21704, // messaging service without senders
  21705, // messaging service
  60223, // the service may not send text messages
]);

/**
 * What went wrong, in numbers: Twilio's sentences repeat the phone number, and the errors of its HTTP library carry
 * the credentials.
 */
export class TwilioError extends Error {
  override readonly name = 'TwilioError';

  constructor(
    /** Null where there was no answer. */
    readonly status: number | null,
    /** Twilio's code, or the network's. */
    readonly code: number | string | null,
  ) {
    super([status === null ? 'no answer' : `HTTP ${status}`, code].filter((part) => part !== null).join(', '));
  }

  /** Whether this one message is refused; otherwise the trouble is not about it. */
  get refused(): boolean {
    if (typeof this.code === 'number' && REFUSALS.has(this.code)) return true;
    if (this.misconfigured || this.status === null) return false;
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429;
  }

  get misconfigured(): boolean {
    if (typeof this.code === 'number' && REFUSALS.has(this.code)) return false;
    return (
      [401, 403, 404].includes(this.status ?? 0) || (typeof this.code === 'number' && MISCONFIGURED.has(this.code))
    );
  }
}

/** The official client: loaded when it is first needed, pointed where the configuration says, and given up in time. */
export class TwilioClient {
  private readonly logger = new Logger('Twilio');
  private client: Promise<Twilio> | null = null;

  constructor(private readonly settings: Config['sms']['twilio']) {}

  /** One for each kind of request: trouble with one says little about the others. */
  breaker(requests: string): CircuitBreaker {
    return new CircuitBreaker({
      failures: FAILURES_BEFORE_PAUSE,
      pause: PAUSE,
      opened: () =>
        this.logger.error(
          `${FAILURES_BEFORE_PAUSE} ${requests} in a row failed; none is made for ${PAUSE / 1000} s at a time until one succeeds`,
        ),
    });
  }

  /**
   * @param isAnswer which errors are an answer about the question, and no sign of trouble
   * @throws TwilioError, CircuitOpenError
   */
  ask<T>(
    breaker: CircuitBreaker,
    question: (client: Twilio) => Promise<T>,
    isAnswer = (error: TwilioError) => error.refused,
  ): Promise<T> {
    return breaker.run(
      async () => {
        const client = await (this.client ??= connect(this.settings));
        try {
          return await question(client);
        } catch (error) {
          throw withoutSecrets(error);
        }
      },
      (error) => !(error instanceof TwilioError && isAnswer(error)),
    );
  }

  /** What a sender throws for it. */
  toSmsError(error: unknown): SmsRefusedError | SmsUnavailableError {
    if (error instanceof CircuitOpenError) {
      return new SmsUnavailableError('Twilio is not asked for a while, after failures in a row');
    }
    if (!(error instanceof TwilioError)) return new SmsUnavailableError('Twilio’s client does not work');
    if (error.refused) return new SmsRefusedError(`Twilio refused the text message (${error.message})`);
    this.report('A text message was not sent', error);
    return new SmsUnavailableError(`Twilio did not take the text message (${error.message})`);
  }

  /** What waiting heals is a warning; what somebody has to correct is an error. */
  report(what: string, error: TwilioError): void {
    if (error.misconfigured) {
      this.logger.error(
        `${what}: Twilio refuses this service (${error.message}); check the TWILIO_… settings and the account`,
      );
    } else {
      this.logger.warn(`${what}: ${error.message}`);
    }
  }
}

async function connect({ accountSid, authToken, baseUrl }: Config['sms']['twilio']): Promise<Twilio> {
  // the configuration's checks say this first
  if (accountSid === null || authToken === null) throw new Error('No credentials for Twilio');
  const { default: twilio } = await import('twilio');

  class Requests extends twilio.RequestClient {
    constructor() {
      super({ timeout: REQUEST_TIMEOUT });
      // its own limit starts again with every byte that arrives
      this.axios.interceptors.request.use((request) =>
        Object.assign(request, { signal: AbortSignal.timeout(REQUEST_TIMEOUT) }),
      );
    }

    override request<T>(options: RequestClient.RequestOptions<T>) {
      return super.request(baseUrl === null ? options : { ...options, uri: redirected(options.uri, baseUrl) });
    }
  }

  // no log of its own: at its level `debug` it prints requests
  return twilio(accountSid, authToken, { httpClient: new Requests(), logLevel: 'none' });
}

/** The same request to another server. */
function redirected(uri: string, baseUrl: string): string {
  const { pathname, search } = new URL(uri);
  return `${baseUrl}${pathname}${search}`;
}

function withoutSecrets(error: unknown): TwilioError {
  const { status, code } = error as { status?: unknown; code?: unknown };
  return new TwilioError(
    typeof status === 'number' ? status : null,
    typeof code === 'number' || (typeof code === 'string' && /^[A-Z_]{1,40}$/.test(code)) ? code : null,
  );
}

import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What Twilio's documentation says of these errors; `status` is the HTTP status. */
const ERRORS: Readonly<Record<number, { status: number; message: string }>> = {
  20003: { status: 401, message: 'Authenticate' },
  20404: { status: 404, message: 'The requested resource was not found' },
  20429: { status: 429, message: 'Too Many Requests' },
  21211: { status: 400, message: "The 'To' number {to} is not a valid phone number" },
  21408: { status: 400, message: 'Permission to send an SMS has not been enabled for the region indicated by {to}' },
  21606: { status: 400, message: "The 'From' phone number provided is not a valid message-capable phone number" },
  21610: { status: 400, message: 'Attempt to send to unsubscribed recipient {to}' },
  21614: { status: 400, message: "'To' number {to} is not a valid mobile number" },
  60200: { status: 400, message: 'Invalid parameter `To`: {to}' },
  60202: { status: 429, message: 'Max check attempts reached' },
  60203: { status: 429, message: 'Max send attempts reached' },
  60205: { status: 400, message: 'SMS is not supported by landline phone number {to}' },
  60410: { status: 403, message: 'The destination phone number {to} has been temporarily blocked by Twilio' },
  60605: { status: 403, message: 'The destination country of {to} is blocked' },
};

/** What the server does with one request instead of answering it as usual. */
export type Fault =
  | { code: number; status?: number }
  /** Without a body that Twilio would write, as a proxy in between answers. */
  | { status: number }
  /** Answers as usual, but late. */
  | { after: number }
  /** Accepts the request, does what it asks, and closes the connection without an answer. */
  | { reset: true }
  /** Sends the answer's head, and then a byte a second. */
  | { trickle: true };

export interface RecordedRequest {
  method: string;
  path: string;
  form: Record<string, string>;
  headers: IncomingMessage['headers'];
}

export interface SentText {
  sid: string;
  to: string;
  body: string;
}

interface Verification {
  sid: string;
  to: string;
  code: string;
  sends: number;
  checks: number;
  expiresAt: number;
  state: 'pending' | 'approved' | 'max_attempts_reached';
}

interface Reply {
  status: number;
  body: Record<string, unknown>;
}

const TEN_MINUTES = 600_000;
const MOST = 5;

/**
 * Twilio, as far as this service uses it and as its public API description says: Programmable Messaging and Verify
 * v2 with form bodies and Basic authentication. Faults are scripted with {@link next}; everything is recorded.
 */
export class TwilioFake {
  readonly accountSid = `AC${randomBytes(16).toString('hex')}`;
  readonly authToken = randomBytes(16).toString('hex');
  readonly serviceSid = `VA${randomBytes(16).toString('hex')}`;
  readonly from = '+15005550006';
  /** In the order of their arrival. */
  readonly requests: RecordedRequest[] = [];
  /** The text messages that were delivered, the codes of verifications among them. */
  readonly texts: SentText[] = [];
  private readonly verifications: Verification[] = [];
  private faults: Fault[] = [];
  private always: Fault | null = null;
  private shift = 0;

  private constructor(private readonly server: Server) {}

  static async start(): Promise<TwilioFake> {
    const server = createServer();
    const fake = new TwilioFake(server);
    server.on('request', (request, response) => void fake.serve(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return fake;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The settings that make a service use it. */
  settings(driver: 'twilio-messages' | 'twilio-verify'): Record<string, string> {
    return {
      SMS_DRIVER: driver,
      TWILIO_ACCOUNT_SID: this.accountSid,
      TWILIO_AUTH_TOKEN: this.authToken,
      TWILIO_FROM: this.from,
      TWILIO_VERIFY_SERVICE_SID: this.serviceSid,
      TWILIO_API_BASE_URL: this.url,
    };
  }

  /** Scripts the next requests, one each; those after them are answered as usual. */
  next(...faults: Fault[]): void {
    this.faults.push(...faults);
  }

  /** Does the same with every request until it is told otherwise. */
  every(fault: Fault | null): void {
    this.always = fault;
  }

  /** Forgets requests, texts, verifications and scripts. */
  reset(): void {
    this.requests.length = 0;
    this.texts.length = 0;
    this.verifications.length = 0;
    this.faults = [];
    this.always = null;
    this.shift = 0;
  }

  /** Moves its clock: verifications live for ten minutes. */
  pass(milliseconds: number): void {
    this.shift += milliseconds;
  }

  /** The code of the last text to this number. */
  codeFor(to: string): string {
    const code = /\d{4,10}/.exec(this.texts.findLast((text) => text.to === to)?.body ?? '')?.[0];
    if (!code) throw new Error(`No code was sent to ${to}`);
    return code;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const form = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString('utf8')));
    const path = new URL(request.url ?? '/', this.url).pathname;
    this.requests.push({ method: request.method ?? '', path, form, headers: request.headers });

    const fault = this.faults.shift() ?? this.always;
    if (fault && 'code' in fault) return send(response, errorReply(fault.code, form, fault.status));
    if (fault && 'status' in fault) {
      response.writeHead(fault.status, { 'content-type': 'text/html' }).end('<html>Something is wrong</html>');
      return;
    }
    const reply = this.reply(request, path, form);
    if (!fault) return send(response, reply);
    if ('reset' in fault) {
      request.socket.resetAndDestroy();
    } else if ('after' in fault) {
      setTimeout(() => send(response, reply), fault.after).unref();
    } else {
      response.writeHead(reply.status, { 'content-type': 'application/json' });
      const drip = setInterval(() => response.write(' '), 1_000).unref();
      response.on('close', () => clearInterval(drip));
    }
  }

  private reply(request: IncomingMessage, path: string, form: Record<string, string>): Reply {
    const basic = `Basic ${Buffer.from(`${this.accountSid}:${this.authToken}`).toString('base64')}`;
    if (request.headers.authorization !== basic) return errorReply(20003, form);
    if (request.method !== 'POST') return errorReply(20404, form);
    if (request.headers['content-type']?.startsWith('application/x-www-form-urlencoded') !== true) {
      return errorReply(60200, form);
    }
    switch (path) {
      case `/2010-04-01/Accounts/${this.accountSid}/Messages.json`:
        return this.createMessage(form);
      case `/v2/Services/${this.serviceSid}/Verifications`:
        return this.startVerification(form);
      case `/v2/Services/${this.serviceSid}/VerificationCheck`:
        return this.checkVerification(form);
      default:
        return errorReply(20404, form);
    }
  }

  private createMessage(form: Record<string, string>): Reply {
    const { To: to = '', From: from, MessagingServiceSid: service, Body: body = '' } = form;
    if (!isNumber(to)) return errorReply(21211, form);
    if (from !== undefined && from !== this.from) return errorReply(21606, form);
    const sid = `SM${randomBytes(16).toString('hex')}`;
    this.texts.push({ sid, to, body });
    return {
      status: 201,
      body: {
        account_sid: this.accountSid,
        api_version: '2010-04-01',
        body,
        date_created: new Date().toUTCString(),
        date_sent: null,
        date_updated: new Date().toUTCString(),
        direction: 'outbound-api',
        error_code: null,
        error_message: null,
        from: from ?? null,
        messaging_service_sid: service ?? null,
        num_media: '0',
        num_segments: '1',
        price: null,
        price_unit: 'USD',
        sid,
        status: 'queued',
        subresource_uris: { media: `/2010-04-01/Accounts/${this.accountSid}/Messages/${sid}/Media.json` },
        to,
        uri: `/2010-04-01/Accounts/${this.accountSid}/Messages/${sid}.json`,
      },
    };
  }

  private startVerification(form: Record<string, string>): Reply {
    const { To: to = '', Channel: channel } = form;
    if (!isNumber(to) || channel !== 'sms') return errorReply(60200, form);
    const verification = this.pending((each) => each.to === to) ?? this.newVerification(to);
    if (verification.sends >= MOST) return errorReply(60203, form);
    verification.sends += 1;
    this.texts.push({ sid: verification.sid, to, body: `Your verification code is: ${verification.code}` });
    return { status: 201, body: { ...this.shown(verification), valid: false } };
  }

  private newVerification(to: string): Verification {
    const verification: Verification = {
      sid: `VE${randomBytes(16).toString('hex')}`,
      to,
      code: String(randomInt(1_000_000)).padStart(6, '0'),
      sends: 0,
      checks: 0,
      expiresAt: this.now() + TEN_MINUTES,
      state: 'pending',
    };
    this.verifications.push(verification);
    return verification;
  }

  private checkVerification(form: Record<string, string>): Reply {
    const { To: to, VerificationSid: sid, Code: code = '' } = form;
    if (!/^\w{4,10}$/.test(code)) return errorReply(60200, form);
    const verification = this.pending((each) => (sid === undefined ? each.to === to : each.sid === sid));
    // one that was approved, has expired or was refused for good is forgotten
    if (!verification) return errorReply(20404, form);
    if (verification.checks >= MOST) {
      verification.state = 'max_attempts_reached';
      return errorReply(60202, form);
    }
    verification.checks += 1;
    const valid = code === verification.code;
    if (valid) verification.state = 'approved';
    return { status: 200, body: { ...this.shown(verification), valid } };
  }

  private pending(isIt: (verification: Verification) => boolean): Verification | undefined {
    return this.verifications.find((each) => isIt(each) && each.state === 'pending' && each.expiresAt > this.now());
  }

  private shown({ sid, to, state }: Verification): Record<string, unknown> {
    return {
      sid,
      service_sid: this.serviceSid,
      account_sid: this.accountSid,
      to,
      channel: 'sms',
      status: state,
      amount: null,
      payee: null,
      lookup: {},
      send_code_attempts: [],
      sna: null,
      date_created: new Date().toISOString(),
      date_updated: new Date().toISOString(),
      url: `https://verify.twilio.com/v2/Services/${this.serviceSid}/Verifications/${sid}`,
    };
  }

  private now(): number {
    return Date.now() + this.shift;
  }
}

function isNumber(text: string): boolean {
  return /^\+[1-9]\d{6,14}$/.test(text);
}

function errorReply(code: number, form: Record<string, string>, status?: number): Reply {
  const known = ERRORS[code] ?? { status: 400, message: 'Something is wrong with {to}' };
  return {
    status: status ?? known.status,
    body: {
      code,
      message: known.message.replace('{to}', form['To'] ?? ''),
      more_info: `https://www.twilio.com/docs/errors/${code}`,
      status: status ?? known.status,
    },
  };
}

function send(response: ServerResponse, { status, body }: Reply): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

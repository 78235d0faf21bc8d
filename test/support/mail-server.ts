import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

export interface ReceivedMail {
  recipients: string[];
  /** The values as they were sent, one a line. */
  headers(name: string): string[];
  subject: string;
  /** The text part, decoded. */
  text: string;
  html: string;
  raw: string;
}

/** What a whole mail gets: a good answer, one with a number, none, or a connection that ends. */
type Answer = 'take' | 'hang' | 'die' | number;

/** A real SMTP server on a port of its own that does as the test says, and may be down. */
export class MailServer {
  /** Every mail whose last byte arrived, whatever was answered. */
  readonly received: ReceivedMail[] = [];
  /** For the next mails; later ones are taken. */
  answers: Answer[] = [];
  /** For the next recipients; later ones are taken. */
  recipientAnswers: (number | 'hang')[] = [];
  recipientsAsked = 0;
  /** How many connections were made. */
  connectionsMade = 0;
  /** Whether the next mail finds its connection dead, once it has begun. */
  diesAtNextMail = false;
  /** Milliseconds that it takes for an answer to a whole mail. */
  slowness = 0;
  private server: SMTPServer | null = null;

  private constructor(readonly port: number) {}

  /** It does not listen yet. */
  static async create(): Promise<MailServer> {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    return new MailServer(port);
  }

  async start(): Promise<void> {
    this.server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS', 'AUTH'],
      closeTimeout: 50,
      onConnect: (_session, callback) => {
        this.connectionsMade += 1;
        callback();
      },
      onMailFrom: (_address, _session, callback) => {
        if (!this.diesAtNextMail) return callback();
        this.diesAtNextMail = false;
        this.cut();
      },
      onRcptTo: ({ address }, _session, callback) => {
        this.recipientsAsked += 1;
        const answer = this.recipientAnswers.shift();
        if (answer === 'hang') return;
        callback(answer === undefined ? null : refusal(answer, address));
      },
      onData: (stream, session, callback) => {
        const arrived = textOf(stream).then((raw) => {
          this.received.push(
            parse(
              raw,
              session.envelope.rcptTo.map(({ address }) => address),
            ),
          );
          const answer = this.answers.shift() ?? 'take';
          if (answer === 'hang') return;
          if (answer === 'die') this.cut();
          else
            setTimeout(() => callback(answer === 'take' ? null : refusal(answer, 'alice@example.com')), this.slowness);
        });
        // A sender that dies in the middle has sent nothing.
        arrived.catch(() => undefined);
      },
    });
    this.server.on('error', () => undefined);
    const { server: socket } = this.server;
    this.server.listen(this.port, '127.0.0.1');
    await once(socket, 'listening');
  }

  async stop(): Promise<void> {
    const stopped = this.server;
    this.server = null;
    await new Promise<void>((resolve) => (stopped ? stopped.close(() => resolve()) : resolve()));
  }

  /** Forgets what it was told and what it got. */
  reset(): void {
    this.received.length = 0;
    this.answers = [];
    this.recipientAnswers = [];
    this.recipientsAsked = 0;
    this.connectionsMade = 0;
    this.slowness = 0;
  }

  get connectionsOpen(): number {
    return this.server?.connections.size ?? 0;
  }

  private cut(): void {
    const connections = this.server?.connections as Set<{ _socket: { destroy(): void } }> | undefined;
    for (const { _socket } of connections ?? []) _socket.destroy();
  }
}

/** Servers repeat the address; it must not get into logs and tables from there. */
function refusal(responseCode: number, address: string): Error {
  return Object.assign(new Error(`<${address}> is not taken`), { responseCode });
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function parse(raw: string, recipients: string[]): ReceivedMail {
  const lines = raw
    .slice(0, raw.indexOf('\r\n\r\n'))
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n');
  const headers = (name: string) =>
    lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
  const part = (type: string) => decodedPart(raw, type);
  const subject = decodedWords(headers('Subject')[0] ?? '');
  return { raw, recipients, headers, subject, text: part('text/plain'), html: part('text/html') };
}

/** RFC 2047. */
function decodedWords(header: string): string {
  return header
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?UTF-8\?([QB])\?([^?]*)\?=/gi, (_, encoding: string, word: string) =>
      encoding.toUpperCase() === 'B' ? Buffer.from(word, 'base64').toString() : unquoted(word.replaceAll('_', ' ')),
    );
}

function decodedPart(raw: string, type: string): string {
  const part = raw.split(/\r\n--[^\r\n]+/).find((piece) => piece.includes(`Content-Type: ${type}`)) ?? '';
  const start = part.indexOf('\r\n\r\n');
  const body = part.slice(start + 4);
  if (/Content-Transfer-Encoding: base64/i.test(part)) return Buffer.from(body, 'base64').toString();
  return unquoted(body.replace(/=\r\n/g, '')).replace(/\r\n/g, '\n');
}

function unquoted(text: string): string {
  return Buffer.from(
    text.replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  ).toString();
}

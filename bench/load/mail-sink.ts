import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';

/** As long as all contenders make them. */
const CODE = /(?<![\w#&])\d{7}(?!\w)/;
const PATIENCE_MS = 60_000;

/** The mail server of all contenders. It runs beside the load generator, so that none of them pays for it. */
export class MailSink {
  private readonly codes = new Map<string, string>();
  private missing = 0;
  private complete: (at: number) => void = () => undefined;

  private constructor(
    readonly url: string,
    /** It waits until those who are connected have left. */
    readonly stop: () => Promise<void>,
  ) {}

  static async start(): Promise<MailSink> {
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS', 'AUTH'],
      onData: (stream, { envelope }, callback) => {
        void text(stream).then((raw) => {
          callback();
          sink.take(envelope.rcptTo[0]?.address ?? '', raw);
        });
      },
    });
    const listening = server.listen(0, '127.0.0.1');
    await once(listening, 'listening');
    const sink = new MailSink(
      `smtp://127.0.0.1:${(listening.address() as AddressInfo).port}`,
      () => new Promise((resolve) => server.close(resolve)),
    );
    return sink;
  }

  /** When the last of so many mails was here, by `performance.now()`. */
  expect(count: number): Promise<number> {
    this.missing = count;
    return new Promise((resolve, reject) => {
      const impatience = setTimeout(() => reject(new Error(`${this.missing} mails did not come`)), PATIENCE_MS);
      this.complete = (at) => {
        clearTimeout(impatience);
        resolve(at);
      };
    });
  }

  codeOf(email: string): string {
    const code = this.codes.get(email);
    if (code === undefined) throw new Error(`No code was mailed to ${email}`);
    return code;
  }

  private take(to: string, raw: string): void {
    const [code] = CODE.exec(raw.slice(raw.indexOf('\r\n\r\n'))) ?? [];
    if (code === undefined) return;
    this.codes.set(to, code);
    this.missing -= 1;
    if (this.missing === 0) this.complete(performance.now());
  }
}

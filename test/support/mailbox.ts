import { setTimeout as pause } from 'node:timers/promises';
import type { Outbox, OutboxMessage } from '../../src/notifications/outbox.js';

const PATIENCE_MS = 8_000;

/** What people find in their mailbox. Mails are sent by the job worker, so reading waits for them to arrive. */
export class Mailbox {
  private readonly read = new Set<string>();

  constructor(private readonly outbox: Pick<Outbox, 'list'>) {}

  /** The next unread mail to this address, oldest first; fails where none arrives in time. */
  async next(address: string, subject: RegExp = /./): Promise<OutboxMessage> {
    const until = Date.now() + PATIENCE_MS;
    while (Date.now() < until) {
      const mail = this.all(address).find(({ id, subject: line }) => !this.read.has(id) && subject.test(line));
      if (mail) {
        this.read.add(mail.id);
        return mail;
      }
      await pause(10);
    }
    throw new Error(`No mail to ${address} with a subject like ${subject} arrived`);
  }

  /** The code of the next unread mail. */
  async code(address: string): Promise<string> {
    const { subject } = await this.next(address, /verification code$/);
    const code = /^(\w+): /.exec(subject)?.[1];
    if (!code) throw new Error(`No code in the subject "${subject}"`);
    return code;
  }

  /** The code of the next unread text message. */
  async smsCode(number: string): Promise<string> {
    const { text } = await this.next(number, /^$/);
    const code = /^\w+(?= )/.exec(text)?.[0];
    if (!code) throw new Error(`No code in the text "${text}"`);
    return code;
  }

  /** Everything that has arrived, oldest first. */
  all(address: string): OutboxMessage[] {
    return this.outbox
      .list()
      .filter(({ to }) => to === address)
      .toReversed();
  }
}

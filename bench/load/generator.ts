import { MailSink } from './mail-sink.js';
import { measure, type Job, type Measured } from './measure.js';

/** What the load generator, a process of its own, tells the one that started it. */
export type Report = { smtpUrl: string } | { measured: Measured } | { failed: string };

const report = (message: Report) => process.send?.(message);

const mails = await MailSink.start();
process.on('disconnect', () => process.exit());
process.on('message', (job) => {
  measure(job as Job, mails).then(
    (measured) => report({ measured }),
    (cause: unknown) => report({ failed: String(cause) }),
  );
});
report({ smtpUrl: mails.url });
